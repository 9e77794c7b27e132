from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.batches import cancel, lines, status
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import refused, travel, unchanged
from twofa.exceptions import (
    NotActive,
    NotFound,
    OnboardingIncomplete,
    OrderConflict,
    RedemptionRefused,
    TemporaryFailure,
    TooManyOpenChallenges,
    Unavailable,
)
from twofa.flows import batch_checkouts
from twofa.models import Campaign, Challenge, Delivery, Device, Event, Redemption, RedemptionBatch

pytestmark = pytest.mark.django_db
WAITS = ("pending_2fa_approval", "reserved")


def open_again(shop: factories.Shop, order: batch_checkouts.BatchOrder) -> tuple[RedemptionBatch, bool]:
    return batch_checkouts.open_batch(order, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor)


def test_batch_is_opened_with_its_lines_and_one_challenge(shop):
    order = shop.batch_order("10.00", "20.00", "12.50")
    batch, created = open_again(shop, order)
    assert created
    assert (batch.status, batch.count, batch.total) == ("pending_2fa_approval", 3, Decimal("42.50"))
    assert [line.order_id for line in batch.lines] == [line.order_id for line in order.lines]
    assert lines(batch) == {WAITS: 3}
    challenge = Challenge.objects.get()
    assert (challenge.purpose, challenge.batch_id, challenge.redemption_id) == ("batch", batch.pk, None)
    assert bytes(challenge.transaction_digest) == batch.digest(batch.lines)
    assert Delivery.objects.get().event == "batch.token"
    assert RecordingBackend.calls == [("reserve", line.pk) for line in batch.lines]
    assert list(Event.objects.order_by("pk").values_list("type", flat=True))[-5:] == [
        "challenge.issued", "batch.pending", *["redemption.pending"] * 3,
    ]  # fmt: skip


def test_hundred_lines_keep_their_order(shop):
    order = shop.batch_order(*(f"{number}.00" for number in range(1, 101)))
    batch, _created = open_again(shop, order)
    assert [line.amount for line in batch.lines] == [Decimal(number) for number in range(1, 101)]
    assert batch.total == Decimal(5050)


@pytest.mark.postgres
def test_hundred_lines_cost_as_many_statements_as_one(shop):
    def cost(*amounts: str) -> int:
        with record_statements() as statements:
            shop.open_batch(*amounts)
        return len(statements)

    shop.open_batch("1.00")
    travel(timedelta(hours=1))
    assert cost("1.00") == cost(*["1.00"] * 100)


def test_same_request_gives_the_same_batch_and_sends_nothing(shop):
    order = shop.batch_order()
    batch, _created = open_again(shop, order)
    cancel(shop, batch)
    with unchanged():
        again, created = open_again(shop, order)
    assert (again.pk, again.status, created) == (batch.pk, "cancelled", False)


@pytest.mark.parametrize("change", ["order_id", "amount", "description", "items", "order", "fewer", "participant"])
def test_same_request_with_another_content_is_a_conflict(shop, change):
    order = shop.batch_order()
    batch, _created = open_again(shop, order)
    first, *others = order.lines
    other = factories.participant(shop.campaign)
    item = {"sku": "M", "name": "Mug", "quantity": 1, "amount": "100.00"}
    asked = {
        "order_id": replace(order, lines=(replace(first, order_id="L-x"), *others)),
        "amount": replace(order, lines=(replace(first, amount=Decimal("100.01")), *others)),
        "description": replace(order, lines=(replace(first, description="Cup"), *others)),
        "items": replace(order, lines=(replace(first, items=[item]), *others)),
        "order": replace(order, lines=order.lines[::-1]),
        "fewer": replace(order, lines=order.lines[:-1]),
        "participant": replace(order, participant=other.external_id),
    }[change]
    with refused(OrderConflict) as refusal:
        open_again(shop, asked)
    assert refusal.value.params["batch"].pk == batch.pk


def test_line_whose_order_id_is_taken_is_named(shop):
    taken = shop.open(order_id="A-taken")
    order = shop.batch_order()
    first, *others = order.lines
    asked = replace(order, lines=(first, replace(others[0], order_id="A-taken"), others[1]))
    with refused(OrderConflict) as refusal:
        open_again(shop, asked)
    assert refusal.value.params["redemption"].pk == taken.pk
    assert refusal.value.params["line"] == 1


def test_refusal_of_one_line_undoes_all(shop):
    order = shop.batch_order()
    RecordingBackend.failures["reserve"] = iter([None, RedemptionRefused("insufficient_points")])
    with pytest.raises(RedemptionRefused) as refusal:
        open_again(shop, order)
    assert refusal.value.params == {"reason": "insufficient_points", "line": 1}
    assert not RedemptionBatch.objects.exists()
    assert not Redemption.objects.exists()
    assert not Challenge.objects.exists()
    assert not Delivery.objects.exists()
    assert RecordingBackend.count("reserve") == 2


def test_failure_of_one_line_undoes_all(shop):
    RecordingBackend.failures["reserve"] = iter([None, None, TemporaryFailure()])
    with pytest.raises(Unavailable):
        shop.open_batch()
    assert not RedemptionBatch.objects.exists()
    assert not Delivery.objects.exists()


def test_threshold_is_held_against_the_total():
    shop = factories.Shop(threshold=Decimal(300))
    assert shop.open_batch("100.00", "199.99").status == "completed"
    travel(timedelta(hours=25))
    asked = shop.open_batch("100.00", "200.00")
    assert (asked.status, asked.two_factor_reason) == ("pending_2fa_approval", "above_threshold")


def test_threshold_counts_what_was_redeemed_before():
    shop = factories.Shop(threshold=Decimal(300))
    shop.open(amount=Decimal(100))
    assert shop.open_batch("100.00", "100.00").two_factor_reason == "above_threshold"


def test_lines_count_in_the_threshold_of_a_single_redemption():
    shop = factories.Shop(threshold=Decimal(300))
    shop.open_batch("100.00", "100.00")
    assert shop.open(amount=Decimal(100)).two_factor_reason == "above_threshold"


def test_batch_without_a_second_factor_is_completed_at_once():
    shop = factories.Shop(two_factor_mode="off")
    batch = shop.open_batch()
    assert (batch.status, batch.two_factor_reason) == ("completed", "campaign_off")
    assert batch.completed_at is not None
    assert lines(batch) == {("completed", "completed"): 3}
    assert not Challenge.objects.exists()
    assert Event.objects.filter(type="batch.exempted").count() == 1
    assert Event.objects.filter(type="redemption.exempted").count() == 3


def test_batch_counts_as_one_open_challenge():
    shop = factories.Shop(max_open_challenges=2)
    shop.open_batch()
    shop.open_batch()
    with refused(TooManyOpenChallenges):
        shop.open_batch()


def test_identity_that_is_demanded_and_not_proved_refuses():
    shop = factories.Shop(identity_required=True, required_documents=["rg"])
    with refused(OnboardingIncomplete) as refusal:
        shop.open_batch()
    assert refusal.value.params["missing"] == ["document:rg"]


def test_participant_without_a_device_is_refused(shop):
    Device.objects.update(status="revoked", confirmed=False, is_default=False)
    with refused(OnboardingIncomplete):
        shop.open_batch()


def test_campaign_that_is_switched_off_refuses(shop):
    Campaign.objects.update(is_active=False)
    with refused(NotActive):
        shop.open_batch()


def test_unknown_participant_is_not_found(shop):
    with refused(NotFound):
        shop.open_batch(participant="nobody")


def test_lines_are_looked_at_after_the_deadline(shop):
    batch = shop.open_batch()
    due = set(Redemption.objects.values_list("due_at", flat=True))
    assert due == {batch.challenge.deadline + timedelta(seconds=30)}
    assert status(batch) == "pending_2fa_approval"
