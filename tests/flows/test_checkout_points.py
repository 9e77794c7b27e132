from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from tests import factories
from tests.fulfillment import RecordingBackend, RemoteBackend
from tests.stories import STAFF, confirm, deliver_due, points, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    RedemptionRefused,
    SendBudget,
    TemporaryFailure,
    Unavailable,
)
from twofa.flows import checkouts, parked_completions, reservations
from twofa.models import Campaign, Delivery, Event, Redemption

pytestmark = pytest.mark.django_db


def open_again(shop, order, **changes):
    return checkouts.open_redemption(
        replace(order, **changes), storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
    )


def policy(shop, **columns) -> None:
    Campaign.objects.filter(pk=shop.campaign.pk).update(**columns)


# --- the host's points ------------------------------------------------------------------------------------------------


def test_refusal_of_the_host_leaves_nothing_behind(shop):
    RecordingBackend.failures["reserve"] = iter([RedemptionRefused("insufficient_points")])
    with pytest.raises(RedemptionRefused) as refusal:
        shop.open()
    assert refusal.value.reason == "insufficient_points"
    assert not Redemption.objects.exists()
    assert not Delivery.objects.exists()
    assert not Event.objects.filter(type__startswith="redemption").exists()


@pytest.mark.parametrize(
    "error", [TemporaryFailure(), ValueError("x"), KeyError("y"), RuntimeError("secret")], ids=repr
)
def test_failure_of_the_host_is_told_as_temporary(shop, error):
    RecordingBackend.failures["reserve"] = iter([error])
    order = shop.order()
    with pytest.raises(Unavailable):
        open_again(shop, order)
    assert not Redemption.objects.exists()
    assert open_again(shop, order)[0].status == "pending_2fa_approval"


def test_order_of_the_host_that_rolls_back_is_not_opened(shop, settings):
    """A host may tell Django to roll back instead of raising: then nothing was set aside."""
    settings.TWOFA_FULFILLMENT_BACKEND = RollingBack
    with pytest.raises(Unavailable):
        shop.open()
    assert not Redemption.objects.exists()


def test_remote_ledger_is_asked_after_the_commit_and_the_token_sent_after_its_answer(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    redemption = shop.open()
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert Delivery.objects.count() == 1
    deliver_due()
    assert confirm(shop, redemption, outbox[0].token).status == "completed"


def test_refusal_of_a_remote_ledger_ends_the_redemption(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    RecordingBackend.failures["reserve"] = iter([RedemptionRefused("insufficient_points")])
    with pytest.raises(RedemptionRefused):
        shop.open()
    redemption = Redemption.objects.get()
    assert points(redemption) == ("cancelled", "none")
    assert redemption.failure_code == "insufficient_points"
    assert redemption.challenge.status == "cancelled"
    deliver_due()
    assert not list(outbox)
    assert Delivery.objects.get().status == "superseded"


def test_silence_of_a_remote_ledger_keeps_the_redemption_waiting_without_a_token(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    RecordingBackend.failures["reserve"] = iter([TemporaryFailure()])
    redemption = shop.open()
    assert points(redemption) == ("pending_2fa_approval", "none")
    deliver_due()
    assert not list(outbox)
    assert Delivery.objects.get().due_at == redemption.challenge.deadline, "held back until the ledger answers"


def test_messages_that_a_remote_ledger_holds_back_count_against_the_budgets(shop, settings):
    """Else a slow ledger would let any number of checkouts through, and send all their messages when it answers."""
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    RecordingBackend.failures["reserve"] = iter([TemporaryFailure()])
    policy(shop, sends_per_destination_per_day=1)
    shop.open()
    with pytest.raises(SendBudget):
        shop.open()
    assert Delivery.objects.count() == Redemption.objects.count() == 1


def test_exempt_redemption_of_a_remote_ledger_completes(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    policy(shop, two_factor_mode="off")
    assert points(shop.open()) == ("completed", "completed")


class RollingBack(RecordingBackend):
    def reserve(self, redemption: Redemption) -> None:
        super().reserve(redemption)
        transaction.set_rollback(True)


def test_remote_ledger_that_answered_is_not_asked_again(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    redemption = shop.open()
    with unchanged():
        reservations.reserve_remote(redemption.pk)


def test_reserve_that_was_parked_is_failed_by_staff_and_released_to_be_sure(settings):
    """Exempt, so that no deadline ends it; the ledger may have heard what it never answered."""
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    shop = factories.Shop(two_factor_mode="off")
    RecordingBackend.failures["reserve"] = iter([TimeoutError()])
    redemption = shop.open()
    assert points(redemption) == ("approved", "none")
    assert Redemption.objects.get(pk=redemption.pk).parked_at is not None
    parked_completions.fail(redemption.pk, actor=STAFF, reason="ledger has no trace of it")
    assert points(redemption) == ("failed", "released")
    assert [name for name, _pk in RecordingBackend.calls] == ["reserve", "release"]
