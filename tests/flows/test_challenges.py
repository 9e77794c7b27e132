from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests import factories
from tests.factories import step_up, token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import deliver_due, points, refused, tamper, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    ChannelUnavailable,
    NotActive,
    NotFound,
    OnboardingIncomplete,
    PurposeMismatch,
    ResendCooldown,
    TokenInvalid,
    TokenMalformed,
    TokenSuperseded,
    TooManyOpenChallenges,
    TransactionChanged,
)
from twofa.flows import challenges, devices
from twofa.models import Challenge, Delivery, Event

pytestmark = pytest.mark.django_db


def verify(shop, challenge, token):
    return challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def resend(shop, challenge, channel=None):
    return challenges.resend(challenge.pk, storefront=shop.storefront, actor=shop.actor, channel=channel)


def cancel(shop, challenge):
    return challenges.cancel(challenge.pk, storefront=shop.storefront, actor=shop.actor)


@pytest.fixture
def of_device(shop) -> Challenge:
    shop.device.delete()
    return devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    ).challenge


def test_challenge_is_read_with_its_delivery_and_the_time(shop):
    redemption = shop.open()
    read = challenges.get(redemption.challenge.pk, storefront=shop.storefront)
    assert (read.pk, read.delivery_status, read.status) == (redemption.challenge.pk, "queued", "pending")
    assert read.read_at > read.created_at


def test_challenge_of_another_storefront_is_not_there(shop):
    redemption = shop.open()
    for pk, storefront in ((redemption.challenge.pk, factories.storefront(shop.campaign)), (uuid4(), shop.storefront)):
        with refused(NotFound):
            challenges.get(pk, storefront=storefront)


def test_reading_an_overdue_challenge_ends_it_and_what_waits_for_it(shop):
    redemption = shop.open()
    travel(timedelta(minutes=30))
    assert challenges.get(redemption.challenge.pk, storefront=shop.storefront).status == "expired"
    assert points(redemption) == ("expired", "released")


def test_reading_an_overdue_challenge_of_a_device_ends_it(shop, of_device):
    travel(timedelta(minutes=30))
    read = challenges.get(of_device.pk, storefront=shop.storefront)
    assert (read.status, read.seed) == ("expired", None)
    with unchanged():
        challenges.expire(read)


def test_challenge_is_not_ended_before_its_deadline(of_device):
    travel(timedelta(minutes=29, seconds=50))
    with unchanged():
        challenges.expire(of_device)


# --- opened for a participant -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["login", "step_up:transfer"])
def test_opened_challenge_is_stored_sent_and_told(shop, purpose):
    challenge = step_up(shop, purpose)
    deliver_due()
    stored = Challenge.objects.get()
    assert (stored.purpose, stored.status, stored.participant, stored.device) == (
        purpose, "pending", shop.participant, shop.device,
    )  # fmt: skip
    assert bytes(stored.transaction_digest) == stored.digest() == challenge.digest()
    (message,) = outbox
    assert message.token == token_of(stored)
    assert message.recipient == shop.device.address
    assert list(Event.objects.order_by("pk").values_list("type", flat=True))[-2:] == [
        "challenge.issued",
        "delivery.sent",
    ]
    assert RecordingBackend.calls == []


def test_challenge_is_opened_whatever_the_campaign_asks_of_redemptions():
    shop = factories.Shop(two_factor_mode="off", threshold=1000, default_method="none")
    assert step_up(shop).status == "pending"


@pytest.mark.parametrize("purpose", ["login", "step_up:transfer"])
def test_right_token_approves_once_and_is_known_again(shop, purpose):
    challenge = step_up(shop, purpose)
    right, wrong = token_of(challenge), wrong_token(challenge)
    assert verify(shop, challenge, right).status == "approved"
    with unchanged():
        assert verify(shop, challenge, right.lower()).status == "approved"
    with refused(ChallengeClosed):
        verify(shop, challenge, wrong)
    assert Challenge.objects.get().attempts == 1


def test_wrong_tokens_are_charged_until_the_challenge_is_rejected(shop):
    challenge = step_up(shop)
    right, wrong = token_of(challenge), wrong_token(challenge)
    with refused(TokenMalformed):
        verify(shop, challenge, "7K")
    for remaining in (4, 3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            verify(shop, challenge, wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with pytest.raises(AttemptsExhausted):
        verify(shop, challenge, wrong)
    with refused(ChallengeClosed):
        verify(shop, challenge, right)
    stored = Challenge.objects.get()
    assert (stored.status, stored.attempts, stored.seed) == ("rejected", 5, None)


def test_renewed_token_takes_the_place_of_the_last_one(shop):
    challenge = step_up(shop)
    first = token_of(challenge)
    with refused(ResendCooldown):
        resend(shop, challenge)
    travel(timedelta(seconds=31))
    assert resend(shop, challenge).generation == 2
    with pytest.raises(TokenSuperseded):
        verify(shop, challenge, first)
    assert verify(shop, challenge, token_of(challenge)).status == "approved"
    with refused(ChallengeClosed):
        resend(shop, challenge)


def test_token_is_renewed_on_another_channel(shop):
    mail = factories.device(shop.participant, "email")
    challenge = step_up(shop)
    travel(timedelta(seconds=31))
    renewed = resend(shop, challenge, "email")
    assert (renewed.device, renewed.channel, renewed.channel_chosen) == (mail, "email", True)


@pytest.mark.parametrize(("chosen", "channel"), [(None, "email"), ("sms", "sms")])
def test_token_that_cannot_be_delivered_goes_to_the_next_contact_unless_one_was_chosen(shop, chosen, channel):
    factories.device(shop.participant, "email")
    challenge = step_up(shop, channel=chosen)
    Delivery.objects.update(tries=9)
    deliver_due()
    challenge.refresh_from_db()
    assert (challenge.channel, challenge.generation) == (channel, 1 if chosen else 2)


def test_cancelled_challenge_stays_cancelled_and_an_approved_one_is_not(shop):
    challenge, other = step_up(shop), step_up(shop)
    token = token_of(challenge)
    assert cancel(shop, challenge).status == "cancelled"
    with unchanged():
        assert cancel(shop, challenge).status == "cancelled"
    with refused(ChallengeClosed):
        verify(shop, challenge, token)
    verify(shop, other, token_of(other))
    with refused(ChallengeClosed):
        cancel(shop, other)


@pytest.mark.parametrize("act", [cancel, resend, lambda shop, challenge: verify(shop, challenge, "7K2M9Q")])
def test_overdue_challenge_is_over_whatever_is_asked_of_it(shop, act):
    challenge = step_up(shop)
    travel(timedelta(minutes=30))
    with pytest.raises(ChallengeClosed):
        act(shop, challenge)
    stored = Challenge.objects.get()
    assert (stored.status, stored.attempts, stored.generation) == ("expired", 0, 1)


def test_description_that_was_changed_behind_our_back_is_neither_sent_nor_approved(shop):
    unsent, sent = step_up(shop, description="Change of address"), step_up(shop, description="Change of address")
    token = token_of(sent)
    for challenge in (unsent, sent):
        tamper(challenge, description="Delete my account")
    deliver_due()
    assert len(outbox) == 0
    assert set(Delivery.objects.values_list("status", "reason")) == {("failed", "transaction_changed")}
    with pytest.raises(TransactionChanged):
        verify(shop, sent, token)
    sent.refresh_from_db()
    assert (sent.status, sent.attempts) == ("cancelled", 0)


# --- who, and by which way --------------------------------------------------------------------------------------------


def test_unknown_participant_and_unknown_method_are_told_apart(shop):
    factories.participant(shop.campaign, external_id="bare")
    for asked, resource in (
        ({"participant": "nobody"}, "participant"),
        ({"participant": " "}, "participant"),
        ({"device": uuid4()}, "device"),
        ({"channel": "email"}, "device"),
    ):
        with refused(NotFound) as error:
            step_up(shop, **asked)
        assert error.value.params == {"resource": resource}
    with refused(OnboardingIncomplete) as error:
        step_up(shop, participant="bare", channel="email")
    assert error.value.params["missing"] == ["device"]


def test_device_of_somebody_else_is_not_there(shop):
    stranger = factories.device(factories.participant(shop.campaign))
    with refused(NotFound) as error:
        step_up(shop, device=stranger.uuid)
    assert error.value.params == {"resource": "device"}


def test_channel_that_the_campaign_does_not_allow_is_refused():
    shop = factories.Shop(allowed_channels=["sms"])
    factories.device(shop.participant, "email")
    for asked in ({"channel": "email"}, {"channel": "whatsapp"}):
        with refused(ChannelUnavailable):
            step_up(shop, **asked)


def test_campaign_of_another_storefront_is_not_there(shop):
    other = factories.Shop()
    ask = challenges.Ask(other.participant.external_id, "login")
    with refused(NotFound) as error:
        challenges.open_challenge(ask, storefront=shop.storefront, campaign=other.campaign.slug, actor=shop.actor)
    assert error.value.params == {}


def test_nobody_is_asked_where_staff_switched_something_off(shop):
    challenge = step_up(shop)
    token = token_of(challenge)
    for row in (shop.campaign, shop.participant):
        type(row).objects.filter(pk=row.pk).update(is_active=False)
        for act in (lambda: step_up(shop), lambda: verify(shop, challenge, token), lambda: resend(shop, challenge)):
            with refused(NotActive):
                act()
        type(row).objects.filter(pk=row.pk).update(is_active=True)


def test_device_that_was_revoked_or_held_meanwhile_answers_nothing(shop):
    challenge = step_up(shop)
    token = token_of(challenge)
    for columns in ({"held_at": challenge.created_at}, {"status": "revoked", "is_default": False}):
        type(shop.device).objects.filter(pk=shop.device.pk).update(**columns, confirmed=False)
        with refused(OnboardingIncomplete):
            verify(shop, challenge, token)


def test_no_more_are_open_than_the_campaign_allows(shop):
    for _number in range(3):
        step_up(shop)
    with refused(TooManyOpenChallenges):
        step_up(shop, "step_up:another")


# --- the paths of others ----------------------------------------------------------------------------------------------


def test_challenge_of_a_row_is_not_answered_by_its_own_id(shop):
    row = shop.open_batch()
    of_redemption = shop.open().challenge
    of_device_change = devices.make_default(
        factories.device(shop.participant, "email"), storefront=shop.storefront, actor=shop.actor
    ).authorization
    for challenge in (of_redemption, row.challenge, of_device_change):
        token = token_of(challenge)
        with refused(PurposeMismatch):
            verify(shop, challenge, token)
        for act in (resend, cancel):
            with refused(PurposeMismatch):
                act(shop, challenge)
        assert challenges.get(challenge.pk, storefront=shop.storefront).status == "pending"


def test_challenge_is_answered_by_the_storefront_that_opened_it_alone(shop):
    challenge = step_up(shop)
    token = token_of(challenge)
    partner = factories.storefront(shop.campaign)
    for act in (challenges.resend, challenges.cancel):
        with refused(NotFound):
            act(challenge.pk, storefront=partner, actor=shop.actor)
    with refused(NotFound):
        challenges.verify(challenge.pk, storefront=partner, token=token, actor=shop.actor)
