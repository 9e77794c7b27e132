from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, cancel, confirm, deliver_due, points, refused, reject, resend, travel
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    NotActive,
    NotFound,
    OnboardingIncomplete,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TransactionChanged,
    WrongState,
)
from twofa.flows import redemptions
from twofa.models import Challenge, Event, Redemption

pytestmark = pytest.mark.django_db


def attempts(redemption: Redemption) -> int:
    return Challenge.objects.values_list("attempts", flat=True).get(redemption=redemption)


# --- confirm ----------------------------------------------------------------------------------------------------------


def test_right_token_completes_and_is_recognised_again(shop, redemption):
    token = token_of(redemption.challenge)
    done = confirm(shop, redemption, token)
    assert (done.status, done.points) == ("completed", "completed") == points(redemption)
    assert done.completed_at is not None
    with_spaces = confirm(shop, redemption, f" {token[:3].lower()}-{token[3:]} ")
    assert with_spaces.status == "completed"
    assert RecordingBackend.count("complete") == 1
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.status, challenge.attempts, challenge.seed) == ("approved", 1, None)


def test_another_token_after_the_right_one_finds_the_challenge_closed(shop, redemption):
    wrong = wrong_token(redemption.challenge)
    confirm(shop, redemption, token_of(redemption.challenge))
    with refused(ChallengeClosed):
        confirm(shop, redemption, wrong)


def test_five_wrong_tokens_reject_and_release(shop, redemption):
    right, wrong = token_of(redemption.challenge), wrong_token(redemption.challenge)
    for remaining in (4, 3, 2, 1):
        with pytest.raises(TokenInvalid) as refusal:
            confirm(shop, redemption, wrong)
        assert refusal.value.params["attempts_remaining"] == remaining
        assert points(redemption) == ("pending_2fa_approval", "reserved")
    with pytest.raises(AttemptsExhausted) as last:
        confirm(shop, redemption, wrong)
    assert last.value.params["attempts_remaining"] == 0
    assert last.value.params["redemption"].status == "rejected"
    assert points(redemption) == ("rejected", "released")
    assert RecordingBackend.count("release") == 1
    for token in (right, wrong):
        with refused(ChallengeClosed):
            confirm(shop, redemption, token)


def test_right_token_on_the_last_attempt_completes(shop, redemption):
    reject(shop, redemption, 4)
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"
    assert attempts(redemption) == 5


@pytest.mark.parametrize(
    "token", [None, "", 123456, ["7K2M9Q"], "7K2M9", "７Ｋ２Ｍ９Ｑ", "7K2M9\x00", "x" * 10_000], ids=ascii
)
def test_malformed_token_costs_nothing(shop, redemption, token):
    with refused(TokenMalformed):
        confirm(shop, redemption, token)
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"


def test_malformed_token_of_a_closed_challenge_is_malformed_too(shop, redemption):
    cancel(shop, redemption)
    with refused(TokenMalformed):
        confirm(shop, redemption, "7K")


def test_given_amount_must_be_the_one_of_the_message(shop, redemption):
    token = token_of(redemption.challenge)
    with refused(TransactionChanged):
        confirm(shop, redemption, token, Decimal("150.01"))
    assert confirm(shop, redemption, token, Decimal("150.0")).status == "completed"
    with refused(TransactionChanged):
        confirm(shop, redemption, token, Decimal(1))


def test_expired_token_costs_nothing_and_is_told_what_to_do(shop, redemption):
    deliver_due()
    token = token_of(redemption.challenge)
    travel(timedelta(minutes=5))
    for guess in (token, wrong_token(redemption.challenge)):
        with refused(TokenExpired) as refusal:
            confirm(shop, redemption, guess)
    assert refusal.value.params["attempts_remaining"] == 5
    assert refusal.value.params["next_action"].type == "resend_token"


def test_token_lives_from_its_hand_off(shop, redemption):
    travel(timedelta(minutes=4))
    deliver_due()
    token = token_of(redemption.challenge)
    travel(timedelta(minutes=4, seconds=50))
    assert confirm(shop, redemption, token).status == "completed"


def test_token_that_was_never_handed_off_dies_ten_minutes_after_its_issue(shop, redemption):
    token = token_of(redemption.challenge)
    travel(timedelta(minutes=10))
    with refused(TokenExpired):
        confirm(shop, redemption, token)


def test_token_after_the_deadline_ends_the_redemption(shop, redemption):
    token = token_of(redemption.challenge)
    travel(timedelta(minutes=30))
    with pytest.raises(ChallengeClosed) as refusal:
        confirm(shop, redemption, token)
    assert refusal.value.params["redemption"].status == "expired"
    assert points(redemption) == ("expired", "released")
    with refused(ChallengeClosed):
        confirm(shop, redemption, token)


def test_unknown_key_fails_closed(shop, redemption, settings):
    """The key was revoked, or this database is a copy: nothing is compared, nothing charged, and a renewal helps."""
    token = token_of(redemption.challenge)
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32))}
    with refused(TokenExpired):
        confirm(shop, redemption, token)
    travel(timedelta(seconds=30))
    resend(shop, redemption)
    assert Challenge.objects.get(redemption=redemption).kid == "new"
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"


def test_old_key_of_the_ring_still_verifies(shop, redemption, settings):
    token = token_of(redemption.challenge)
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32)), **settings.TWOFA_TOKEN_KEYS}
    assert confirm(shop, redemption, token).status == "completed"
    assert shop.open().challenge.kid == "new"


def test_repeated_token_is_forgotten_with_its_key(shop, redemption, settings):
    token = token_of(redemption.challenge)
    confirm(shop, redemption, token)
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32))}
    with refused(ChallengeClosed):
        confirm(shop, redemption, token)


def test_token_of_one_redemption_confirms_no_other(shop, redemption):
    other = shop.open()
    with pytest.raises(TokenInvalid):
        confirm(shop, redemption, token_of(other.challenge))
    assert points(redemption) == points(other) == ("pending_2fa_approval", "reserved")


@pytest.mark.parametrize("switched_off", ["participant", "campaign", "device"])
def test_who_may_take_part_is_looked_at_again(shop, redemption, switched_off):
    token = token_of(redemption.challenge)
    row = getattr(shop, switched_off)
    if switched_off == "device":
        type(row).objects.filter(pk=row.pk).update(status="revoked", confirmed=False, is_default=False)
    else:
        type(row).objects.filter(pk=row.pk).update(is_active=False)
    for guess in (token, wrong_token(redemption.challenge)):
        with refused(NotActive, OnboardingIncomplete):
            confirm(shop, redemption, guess)


def test_device_that_cools_off_approves_nothing(shop, redemption):
    token = token_of(redemption.challenge)
    type(shop.device).objects.filter(pk=shop.device.pk).update(usable_from=redemption.read_at + timedelta(hours=1))
    with refused(OnboardingIncomplete):
        confirm(shop, redemption, token)


def test_user_who_may_not_sign_in_approves_nothing(shop, redemption):
    token = token_of(redemption.challenge)
    user = shop.participant.user
    user.is_active = False
    user.save()
    with refused(NotActive):
        confirm(shop, redemption, token)


def test_foreign_storefront_sees_and_does_nothing(shop, redemption):
    token = token_of(redemption.challenge)
    other = factories.storefront(shop.campaign)
    for act in (
        lambda: redemptions.confirm(redemption.pk, storefront=other, token=token, amount=None, actor=shop.actor),
        lambda: redemptions.resend(redemption.pk, storefront=other, actor=shop.actor),
        lambda: redemptions.cancel(redemption.pk, storefront=other, actor=shop.actor),
        lambda: redemptions.get(redemption.pk, storefront=other),
        lambda: redemptions.confirm(uuid4(), storefront=shop.storefront, token=token, amount=None, actor=shop.actor),
        lambda: redemptions.get(uuid4(), storefront=shop.storefront),
        lambda: redemptions.cancel(uuid4(), storefront=None, actor=STAFF),
    ):
        with refused(NotFound):
            act()


# --- without a second factor ------------------------------------------------------------------------------------------


def test_exempt_redemption_has_nothing_to_confirm_resend_or_cancel():
    shop = factories.Shop(two_factor_mode="off")
    redemption = shop.open()
    assert redemption.status == "completed"
    for act in (
        lambda: confirm(shop, redemption, "7K2M9Q"),
        lambda: cancel(shop, redemption),
    ):
        with refused(WrongState):
            act()
    with refused(WrongState, ChallengeClosed):
        resend(shop, redemption)


# --- cancel, expire, read ---------------------------------------------------------------------------------------------


def test_cancelled_redemption_gives_its_points_back_once(shop, redemption):
    token = token_of(redemption.challenge)
    assert cancel(shop, redemption).status == "cancelled"
    assert points(redemption) == ("cancelled", "released")
    assert cancel(shop, redemption).status == "cancelled"
    assert RecordingBackend.count("release") == 1
    with refused(ChallengeClosed):
        confirm(shop, redemption, token)
    deliver_due()
    assert len(outbox) == 0


def test_completed_redemption_is_not_cancelled(shop, redemption):
    confirm(shop, redemption, token_of(redemption.challenge))
    with refused(WrongState):
        cancel(shop, redemption)
    redemptions.cancel_open(redemption.pk, actor=STAFF, reason="device_revoked")
    assert points(redemption) == ("completed", "completed")


def test_reason_of_staff_is_kept(shop, redemption):
    redemptions.cancel(redemption.pk, storefront=None, actor=STAFF, reason="asked by phone")
    event = Event.objects.get(type="redemption.cancelled")
    assert (event.actor_kind, event.actor, event.data) == ("staff", "maria", {"reason": "asked by phone"})


def test_reading_expires_what_is_overdue_without_any_sweep(shop, redemption):
    assert redemptions.get(redemption.pk, storefront=shop.storefront).status == "pending_2fa_approval"
    travel(timedelta(days=1))
    assert redemptions.get(redemption.pk, storefront=shop.storefront).status == "expired"
    assert points(redemption) == ("expired", "released")


def test_redemption_is_not_expired_before_its_deadline(shop, redemption):
    travel(timedelta(minutes=29, seconds=50))
    redemptions.expire(redemption.pk)
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    travel(timedelta(seconds=10))
    redemptions.expire(redemption.pk)
    redemptions.expire(redemption.pk)
    assert points(redemption) == ("expired", "released")
    assert RecordingBackend.count("release") == 1


def test_several_are_read_as_they_are_now(shop, redemption):
    travel(timedelta(minutes=30))
    fresh = shop.open()
    rows = redemptions.current(redemptions.readable(Redemption.objects.order_by("created_at")))
    assert [row.status for row in rows] == ["expired", "pending_2fa_approval"]
    assert [row.pk for row in rows] == [redemption.pk, fresh.pk]
    assert rows[1].challenge.delivery_status == "queued"
