from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import contact_challenge, login_challenge, token_of, wrong_token
from tests.stories import deliver_due, refused, tamper, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    ChannelUnavailable,
    DestinationNotAllowed,
    FailedAttemptsBudget,
    Invalid,
    NotActive,
    ResendCooldown,
    ResendsExhausted,
    SendBudget,
    TokenInvalid,
    TokenSuperseded,
    TooManyOpenChallenges,
    TransactionChanged,
)
from twofa.flows import challenges
from twofa.models import Challenge, Delivery, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

NEW = "new@example.com"


def verify(shop, challenge, token):
    return challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def resend(shop, challenge, channel=None):
    return challenges.resend(challenge.pk, storefront=shop.storefront, actor=shop.actor, channel=channel)


def spend(shop, challenge, wrongs):
    for _number in range(wrongs):
        with pytest.raises((TokenInvalid, AttemptsExhausted)):
            verify(shop, challenge, wrong_token(challenge))


@pytest.mark.parametrize(
    ("channel", "given", "address"),
    [("email", "Ana@EXAMPLE.com", "Ana@example.com"), ("sms", "+55 11 99999-0034", "+5511999990034")],
)
def test_token_goes_to_an_address_of_nobody(shop, channel, given, address):
    before = Participant.objects.count()
    opened = contact_challenge(shop, channel, given)
    deliver_due()
    stored = Challenge.objects.get()
    assert (stored.purpose, stored.participant, stored.device, stored.address) == ("contact", None, None, address)
    assert bytes(stored.transaction_digest) == stored.digest()
    assert (outbox[0].recipient, outbox[0].token) == (address, token_of(opened))
    assert Participant.objects.count() == before


@pytest.mark.parametrize(
    ("locale", "word"), [("pt-br", "Contato"), ("es", "Contacto"), ("en", "Contact"), ("", "Contact")]
)
def test_message_is_in_the_language_that_was_asked_for_also_when_it_is_renewed(shop, locale, word):
    challenge = contact_challenge(shop, locale=locale)
    travel(timedelta(seconds=31))
    resend(shop, challenge)
    deliver_due()
    assert [message.subject.split()[0] for message in outbox] == [word]


def test_right_token_verifies_and_is_known_again(shop):
    challenge = contact_challenge(shop)
    token = token_of(challenge)
    assert verify(shop, challenge, token).status == "approved"
    with unchanged():
        assert verify(shop, challenge, token).status == "approved"


def test_guesses_at_a_verification_that_was_answered_are_charged(shop):
    """It is still worth an account: what tells a right token from a wrong one is asked no more often than any other."""
    challenge = contact_challenge(shop)
    token, wrong = token_of(challenge), wrong_token(challenge)
    verify(shop, challenge, token)
    for remaining in (3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            verify(shop, challenge, wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with unchanged():
        assert verify(shop, challenge, token).status == "approved"
    with pytest.raises(AttemptsExhausted):
        verify(shop, challenge, wrong)
    for given in (token, wrong):
        with refused(ChallengeClosed):
            verify(shop, challenge, given)
    assert (Challenge.objects.get().status, Challenge.objects.get().attempts) == ("approved", 5)


def test_renewed_token_goes_to_the_same_address_alone(shop):
    challenge = contact_challenge(shop, "sms", "+5511999990034")
    first = token_of(challenge)
    with refused(ResendCooldown):
        resend(shop, challenge)
    travel(timedelta(seconds=31))
    for channel in ("whatsapp", "email"):
        with refused(ChannelUnavailable):
            resend(shop, challenge, channel)
    renewed = resend(shop, challenge, "sms")
    assert (renewed.generation, renewed.address, renewed.resends) == (2, challenge.address, 1)
    with pytest.raises(TokenSuperseded):
        verify(shop, challenge, first)
    for _number in range(2):
        travel(timedelta(seconds=31))
        resend(shop, challenge)
    travel(timedelta(seconds=31))
    with refused(ResendsExhausted):
        resend(shop, challenge)


def test_message_that_never_arrived_is_sent_again_at_once_and_not_counted(shop):
    challenge = contact_challenge(shop)
    Delivery.objects.update(status="failed", reason="message_refused")
    assert resend(shop, challenge).resends == 0


def test_token_that_would_come_too_late_is_made_anew(shop):
    challenge = contact_challenge(shop)
    travel(timedelta(minutes=9, seconds=30))
    deliver_due()
    challenge.refresh_from_db()
    assert (challenge.generation, challenge.device, challenge.address[:3]) == (2, None, "new")
    deliver_due()
    assert outbox[0].token == token_of(challenge)


def test_address_that_was_changed_behind_our_back_gets_nothing_and_verifies_nothing(shop):
    unsent, sent = contact_challenge(shop, address="a@example.com"), contact_challenge(shop, address="b@example.com")
    token = token_of(sent)
    for challenge in (unsent, sent):
        tamper(challenge, address="thief@example.com")
        Delivery.objects.filter(challenge=challenge).update(address="thief@example.com")
    deliver_due()
    assert len(outbox) == 0
    with pytest.raises(TransactionChanged):
        verify(shop, sent, token)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "contact", "error"),
    [
        ({"is_active": False}, ("email", NEW), NotActive),
        ({"allowed_channels": ["sms"]}, ("email", NEW), ChannelUnavailable),
        ({"allowed_countries": ["US"]}, ("sms", "+5511999990034"), DestinationNotAllowed),
        ({}, ("sms", "new"), Invalid),
        ({}, ("email", "+5511999990034"), Invalid),
        ({"sends_per_campaign_per_day": 1}, ("email", NEW), SendBudget),
    ],
    ids=str,
)
def test_nothing_is_sent_where_the_campaign_does_not_want_it(policy, contact, error):
    shop = factories.Shop(**policy)
    if "sends_per_campaign_per_day" in policy:
        contact_challenge(shop)
    with refused(error):
        contact_challenge(shop, *contact)


def test_message_that_staff_switched_off_is_told_as_that(shop):
    type(shop.campaign).objects.update(message_switches={"contact.token/sms": False})
    shop.campaign.refresh_from_db()
    with refused(ChannelUnavailable) as error:
        contact_challenge(shop, "sms", "+5511999990077")
    assert "switched this message off" in str(error.value.detail)
    contact_challenge(shop, "email", NEW)


def test_another_verification_is_no_way_around_the_pause(shop):
    partner = factories.storefront(shop.campaign)
    challenge = contact_challenge(shop, address=NEW)
    for storefront in (shop.storefront, partner):
        with refused(ResendCooldown):
            contact_challenge(shop, address=NEW, storefront=storefront)
    contact_challenge(shop, address="another@example.com")
    verify(shop, challenge, token_of(challenge))
    contact_challenge(shop, address=NEW)


@pytest.mark.parametrize(
    ("policy", "spent", "error"),
    [
        ({}, lambda shop, first: None, ResendCooldown),
        ({"max_open_challenges": 1}, lambda shop, first: travel(timedelta(seconds=31)), TooManyOpenChallenges),
        ({"failed_attempts_per_day": 2}, lambda shop, first: spend(shop, first, 2), FailedAttemptsBudget),
        ({"sends_per_destination_per_day": 1}, lambda shop, first: verify(shop, first, token_of(first)), SendBudget),
    ],
    ids=["pause", "open", "failed", "sends"],
)
def test_capitals_are_no_way_around_what_is_counted_by_the_address(shop, policy, spent, error):
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(**policy)
    shop.campaign.refresh_from_db()
    spent(shop, contact_challenge(shop, address=NEW))
    with refused(error):
        contact_challenge(shop, address=NEW.replace("new", "nEW"))
    contact_challenge(shop, address="another@example.com")


def test_strangers_leave_half_of_an_addresss_messages_to_its_owner(shop):
    """A sign-up page is open to everybody: without a password, nobody uses up what a member's login needs."""
    type(shop.campaign).objects.update(sends_per_destination_per_day=6, resend_cooldown=timedelta(0))
    shop.campaign.refresh_from_db()
    for _number in range(2):
        challenge = contact_challenge(shop, "sms", shop.device.address)
    resend(shop, challenge)
    for act in (lambda: contact_challenge(shop, "sms", shop.device.address), lambda: resend(shop, challenge)):
        with refused(SendBudget) as error:
            act()
        assert error.value.retry_after == 24 * 3600
    for _number in range(3):
        challenges.cancel(login_challenge(shop).pk, storefront=shop.storefront, actor=shop.actor)
    with refused(SendBudget):
        login_challenge(shop)


def test_no_more_are_open_to_one_address_than_the_campaign_allows(shop):
    for _number in range(3):
        contact_challenge(shop, address=NEW)
        travel(timedelta(seconds=31))
    with refused(TooManyOpenChallenges):
        contact_challenge(shop, address=NEW)
    contact_challenge(shop, address="another@example.com")


def test_wrong_tokens_are_counted_by_the_address(shop):
    Campaign = type(shop.campaign)
    Campaign.objects.filter(pk=shop.campaign.pk).update(failed_attempts_per_day=6)
    shop.campaign.refresh_from_db()
    first = contact_challenge(shop, address=NEW)
    spend(shop, first, 5)
    travel(timedelta(seconds=31))
    second = contact_challenge(shop, address=NEW)
    token = token_of(second)
    spend(shop, second, 1)
    with refused(FailedAttemptsBudget):
        verify(shop, second, token)
    travel(timedelta(seconds=31))
    with refused(FailedAttemptsBudget):
        resend(shop, second)
    with refused(FailedAttemptsBudget):
        contact_challenge(shop, address=NEW)
    another = contact_challenge(shop, address="another@example.com")
    assert verify(shop, another, token_of(another)).status == "approved"
    travel(timedelta(hours=24))
    contact_challenge(shop, address=NEW)


def test_right_tokens_are_no_wrong_ones(shop):
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(failed_attempts_per_day=1)
    shop.campaign.refresh_from_db()
    for _number in range(3):
        challenge = contact_challenge(shop, address=NEW)
        verify(shop, challenge, token_of(challenge))


def test_contact_that_enough_others_use_is_refused_before_anything_is_sent(shop, settings):
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = 1
    with refused(Invalid) as error:
        contact_challenge(shop, "sms", shop.device.address)
    assert error.value.params["errors"][0]["code"] == "contact_in_use"
    contact_challenge(factories.Shop(), "sms", shop.device.address)


def test_verification_ends_at_its_deadline_without_a_person(shop):
    challenge = contact_challenge(shop)
    travel(timedelta(minutes=30))
    challenges.expire(challenge)
    challenge.refresh_from_db()
    assert (challenge.status, challenge.seed) == ("expired", None)
    assert challenge.deadline <= now()
