from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests import factories
from tests.batches import approve, cancel, confirm, lines, reject, resend, status
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, deliver_due, refused, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    NotFound,
    PurposeMismatch,
    ResendCooldown,
    TokenExpired,
    TokenMalformed,
    TokenSuperseded,
    TransactionChanged,
    WrongState,
)
from twofa.flows import batches, challenges, devices, redemptions
from twofa.models import Challenge, Device, Event, Redemption

pytestmark = pytest.mark.django_db
WAITS = ("pending_2fa_approval", "reserved")
DONE = ("completed", "completed")


# --- confirm ----------------------------------------------------------------------------------------------------------


def test_right_token_completes_every_line_and_is_recognised_again(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    done = confirm(shop, batch, token)
    assert done.status == "completed"
    assert lines(batch) == {DONE: 3}
    assert all(line.is_as_approved() for line in Redemption.objects.all())
    with unchanged():
        again = confirm(shop, batch, f" {token[:3].lower()}-{token[3:]} ")
    assert again.status == "completed"
    assert RecordingBackend.count("complete") == 3


def test_every_change_of_state_has_an_event(shop):
    batch = shop.open_batch("1.00", "2.00")
    approve(shop, batch)
    types = list(Event.objects.order_by("pk").values_list("type", flat=True))
    story = types[types.index("challenge.approved") :]
    assert story == [
        "challenge.approved", "batch.approved", *["redemption.approved"] * 2, *["redemption.completed"] * 2,
        "batch.completed",
    ]  # fmt: skip
    about = Event.objects.filter(type__startswith="batch.")
    assert {event.data["batch"] for event in about} == {str(batch.pk)}
    assert {event.participant_id for event in about} == {shop.participant.pk}


def test_five_wrong_tokens_reject_the_batch_and_every_line(shop):
    batch = shop.open_batch()
    right = token_of(batch.challenge)
    reject(shop, batch, 4)
    assert lines(batch) == {WAITS: 3}
    with pytest.raises(AttemptsExhausted) as last:
        confirm(shop, batch, wrong_token(batch.challenge))
    assert last.value.params["batch"].status == "rejected"
    assert (status(batch), lines(batch)) == ("rejected", {("rejected", "released"): 3})
    with refused(ChallengeClosed):
        confirm(shop, batch, right)


@pytest.mark.parametrize("token", [None, 123456, "7K2M9"])
def test_malformed_token_costs_nothing(shop, token):
    batch = shop.open_batch()
    with refused(TokenMalformed):
        confirm(shop, batch, token)


def test_given_amount_is_the_total(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    with refused(TransactionChanged):
        confirm(shop, batch, token, Decimal("449.99"))
    assert confirm(shop, batch, token, Decimal(450)).status == "completed"


def test_expired_token_costs_nothing(shop):
    batch = shop.open_batch()
    deliver_due()
    token = token_of(batch.challenge)
    travel(timedelta(minutes=5))
    with refused(TokenExpired):
        confirm(shop, batch, token)


def test_token_of_another_batch_is_wrong(shop):
    batch, other = shop.open_batch(), shop.open_batch()
    with pytest.raises(Exception, match="token_invalid"):
        confirm(shop, batch, token_of(other.challenge))
    assert lines(batch) == {WAITS: 3}


def test_confirm_after_the_deadline_expires_it(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    travel(timedelta(minutes=31))
    with pytest.raises(ChallengeClosed) as refusal:
        confirm(shop, batch, token)
    assert refusal.value.params["batch"].status == "expired"
    assert lines(batch) == {("expired", "released"): 3}


def test_batch_without_a_second_factor_has_nothing_to_confirm():
    shop = factories.Shop(two_factor_mode="off")
    batch = shop.open_batch()
    for act in (lambda: confirm(shop, batch, "ABCDEF"), lambda: cancel(shop, batch), lambda: resend(shop, batch)):
        with refused(WrongState):
            act()


# --- what a line does not do by itself --------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [False, True])
def test_line_is_answered_only_through_its_batch(shop, ended):
    batch = shop.open_batch()
    line, token = batch.lines[0], token_of(batch.challenge)
    if ended:
        cancel(shop, batch)
    asked = {"storefront": shop.storefront, "actor": shop.actor}
    with refused(PurposeMismatch):
        redemptions.confirm(line.pk, token=token, amount=None, **asked)
    with refused(PurposeMismatch):
        redemptions.resend(line.pk, **asked)
    with refused(PurposeMismatch):
        redemptions.cancel(line.pk, **asked)


def test_line_is_read_with_the_challenge_of_its_batch(shop):
    batch = shop.open_batch()
    line = redemptions.get(batch.lines[1].pk, storefront=shop.storefront)
    assert line.deciding_challenge == batch.challenge
    travel(timedelta(minutes=31))
    assert redemptions.get(line.pk, storefront=shop.storefront).status == "expired"
    assert status(batch) == "expired"


# --- resend, cancel, expire -------------------------------------------------------------------------------------------


def test_resend_replaces_the_token(shop):
    batch = shop.open_batch()
    deliver_due()
    first = token_of(batch.challenge)
    with refused(ResendCooldown):
        resend(shop, batch)
    travel(timedelta(seconds=31))
    assert resend(shop, batch).challenge.generation == 2
    with pytest.raises(TokenSuperseded):
        confirm(shop, batch, first)
    assert approve(shop, batch).status == "completed"


def test_resend_of_an_ended_batch_is_refused(shop):
    batch = shop.open_batch()
    cancel(shop, batch)
    with refused(ChallengeClosed) as refusal:
        resend(shop, batch)
    assert refusal.value.params["batch"].status == "cancelled"


def test_cancel_gives_all_points_back_and_is_safe_to_repeat(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    assert cancel(shop, batch).status == "cancelled"
    assert lines(batch) == {("cancelled", "released"): 3}
    with unchanged():
        assert cancel(shop, batch).status == "cancelled"
    with refused(ChallengeClosed):
        confirm(shop, batch, token)


def test_completed_batch_is_not_cancelled(shop):
    batch = shop.open_batch()
    approve(shop, batch)
    with refused(WrongState) as refusal:
        cancel(shop, batch)
    assert refusal.value.params["batch"].status == "completed"


def test_staff_say_why_they_cancel(shop):
    batch = shop.open_batch()
    batches.cancel(batch.pk, storefront=None, actor=STAFF, reason="She called.")
    events = Event.objects.filter(type__in=["batch.cancelled", "redemption.cancelled"])
    assert {(event.actor, event.data["reason"]) for event in events} == {("maria", "She called.")}
    assert events.count() == 4


def test_read_is_current_without_a_sweep(shop):
    batch = shop.open_batch()
    travel(timedelta(minutes=31))
    assert batches.get(batch.pk, storefront=shop.storefront).status == "expired"
    assert lines(batch) == {("expired", "released"): 3}


def test_expiry_of_the_challenge_ends_the_batch(shop):
    batch = shop.open_batch()
    with unchanged():
        challenges.expire(batch.challenge)
    travel(timedelta(minutes=31))
    challenges.expire(batch.challenge)
    assert (status(batch), lines(batch)) == ("expired", {("expired", "released"): 3})


def test_other_storefront_does_not_find_it(shop):
    batch = shop.open_batch()
    other = factories.storefront(shop.campaign)
    token = token_of(batch.challenge)
    asked = {"storefront": other, "actor": shop.actor}
    for act in (
        lambda: batches.get(batch.pk, storefront=other),
        lambda: batches.confirm(batch.pk, token=token, amount=None, **asked),
        lambda: batches.resend(batch.pk, **asked),
        lambda: batches.cancel(batch.pk, **asked),
        lambda: batches.get(uuid4(), storefront=shop.storefront),
    ):
        with refused(NotFound):
            act()


def test_revoked_device_cancels_the_batch(shop):
    batch = shop.open_batch()
    devices.reset(Device.objects.get(pk=shop.device.pk), actor=STAFF, reason="It was lost.")
    assert (status(batch), lines(batch)) == ("cancelled", {("cancelled", "released"): 3})
    assert Challenge.objects.get(batch=batch).status == "cancelled"


# --- the message ------------------------------------------------------------------------------------------------------


def test_message_says_how_many_how_much_and_which(shop):
    batch = shop.open_batch()
    deliver_due()
    (message,) = outbox
    assert message.event == "batch.token"
    assert "3 redemptions" in message.text
    assert "450 points" in message.text
    assert batch.challenge.short_digest in message.text
    assert token_of(batch.challenge) in message.text
    assert bytes(batch.challenge.transaction_digest).hex().upper().startswith(batch.challenge.short_digest)
