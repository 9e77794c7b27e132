from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests import factories
from tests.factories import contact_challenge, token_of, wrong_token
from tests.stories import confirm, deliver_due, refused, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    FailedAttemptsBudget,
    Invalid,
    NotActive,
    NotFound,
    PurposeMismatch,
    TokenInvalid,
    TokenMalformed,
    Unavailable,
)
from twofa.flows import challenges, participants
from twofa.flows.registrations import Proof
from twofa.models import Challenge, Device, Event, Participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def contact(shop) -> Challenge:
    return contact_challenge(shop, "sms", "+5511999990034")


def register(shop, challenge, token=None, external_id="ana", **given):
    pk = challenge if not isinstance(challenge, Challenge) else challenge.pk
    asked = {"storefront": shop.storefront, "campaign": shop.campaign, "name": "Ana Souza", **given}
    proof = Proof(pk, token_of(challenge) if token is None else token)
    return participants.register(external_id=external_id, actor=shop.actor, proof=proof, **asked)


def verified(shop, challenge) -> str:
    token = token_of(challenge)
    challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)
    return token


def nobody_new(shop) -> bool:
    return list(Participant.objects.all()) == [shop.participant] and list(Device.objects.all()) == [shop.device]


def test_new_participant_begins_with_the_contact_that_was_proved(shop, contact):
    participant, created = register(shop, contact)
    device = Device.objects.get(participant=participant)
    contact.refresh_from_db()
    assert created
    assert (device.status, device.is_default, device.confirmed, device.address) == (
        "active", True, True, "+5511999990034",
    )  # fmt: skip
    assert device.user_id == participant.user_id
    assert device.usable_from == device.activated_at
    assert (contact.status, contact.participant, contact.device) == ("approved", participant, device)
    assert set(Event.objects.filter(participant=participant).values_list("type", flat=True)) >= {
        "participant.enrolled", "device.registered", "device.activated",
    }  # fmt: skip


def test_device_of_a_registration_approves_at_once():
    shop = factories.Shop(device_cooling_off=timedelta(days=1))
    participant, _created = register(shop, contact_challenge(shop, "sms", "+5511999990034"))
    shop.participant = participant
    deliver_due()
    outbox.clear()
    redemption = shop.open()
    deliver_due()
    assert outbox[0].recipient == "+5511999990034"
    assert confirm(shop, redemption, outbox[0].token).status == "completed"


@pytest.mark.parametrize("method", ["none", "sms", "email"])
def test_method_of_a_new_participant_is_the_campaigns_default(method):
    shop = factories.Shop(default_method=method)
    assert register(shop, contact_challenge(shop, "sms"))[0].two_factor_method == method


def test_wrong_token_is_charged_and_creates_nobody(shop, contact):
    right, wrong = token_of(contact), wrong_token(contact)
    with refused(TokenMalformed):
        register(shop, contact, "7K")
    for remaining in (4, 3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            register(shop, contact, wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with pytest.raises(AttemptsExhausted):
        register(shop, contact, wrong)
    assert nobody_new(shop)
    with refused(ChallengeClosed):
        register(shop, contact, right)


def test_verification_serves_one_participant(shop, contact):
    token = token_of(contact)
    register(shop, contact)
    with refused(ChallengeClosed):
        register(shop, contact, token, external_id="eve")


def test_repeated_registration_finds_the_participant_and_creates_nothing(shop, contact):
    token = token_of(contact)
    first, _created = register(shop, contact, token)
    with unchanged():
        assert register(shop, contact, token) == (first, False)


def test_participant_who_exists_is_given_no_contact_by_it(shop, contact):
    """Their own device agrees to another one: a token of the new one alone would hand the account over."""
    with refused(Invalid) as error:
        register(shop, contact, external_id=shop.participant.external_id)
    assert error.value.params["errors"][0]["code"] == "only_on_creation"


def test_what_is_missing_or_taken_is_told_before_the_token_is_looked_at(shop, contact):
    participants.enroll(
        campaign=shop.campaign, external_id="bia", name="Bia", document_number="52998224725", actor=shop.actor
    )
    for given in ({"name": None}, {"document_number": "529.982.247-25"}, {"document_number": "11111111111"}):
        with refused(Invalid):
            register(shop, contact, wrong_token(contact), **given)


def test_verification_of_another_storefront_or_campaign_is_not_there(shop, contact):
    other = factories.Shop()
    shop.storefront.campaigns.add(other.campaign)
    partner = factories.storefront(shop.campaign)
    for given in ({"campaign": other.campaign}, {"storefront": partner}):
        with refused(NotFound) as error:
            register(shop, contact, **given)
        assert error.value.params == {"resource": "challenge"}
    with refused(NotFound):
        register(shop, uuid4(), "7K2M9Q")


def test_token_of_another_purpose_registers_nobody(shop):
    for challenge in (shop.open().challenge, factories.login_challenge(shop), shop.open_batch().challenge):
        with refused(PurposeMismatch):
            register(shop, challenge)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=20)], ids=str)
def test_verification_answered_before_serves_until_its_deadline(shop, contact, later):
    token = verified(shop, contact)
    travel(later)
    assert register(shop, contact, token)[1]


def test_verification_answered_before_serves_no_longer_than_its_deadline(shop, contact):
    token = verified(shop, contact)
    travel(timedelta(minutes=30))
    with refused(ChallengeClosed):
        register(shop, contact, token)


def test_guesses_at_a_verification_answered_before_are_charged(shop, contact):
    wrong = wrong_token(contact)
    right = verified(shop, contact)
    with refused(TokenMalformed):
        register(shop, contact, "7K")
    for remaining in (3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            register(shop, contact, wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with pytest.raises(AttemptsExhausted):
        register(shop, contact, wrong)
    assert nobody_new(shop)
    with refused(ChallengeClosed):
        register(shop, contact, right)
    contact.refresh_from_db()
    assert (contact.attempts, contact.accepted, contact.participant) == (5, None, None)


def test_verification_answered_before_is_held_to_the_budget_and_to_the_campaign(shop, contact):
    right, campaigns = verified(shop, contact), type(shop.campaign).objects
    with pytest.raises(TokenInvalid):
        register(shop, contact, "7K2M9Q" if right != "7K2M9Q" else "7K2M9R")
    campaigns.update(failed_attempts_per_day=1)
    with refused(FailedAttemptsBudget):
        register(shop, contact, right)
    campaigns.update(is_active=False)
    with refused(NotActive):
        register(shop, contact, right)


def test_contact_that_others_took_meanwhile_is_refused_after_the_right_token(shop, contact, settings):
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = 1
    factories.device(factories.participant(shop.campaign), "sms", contact.address)
    with pytest.raises(Invalid) as error:
        register(shop, contact)
    assert error.value.params["errors"][0]["code"] == "contact_in_use"
    assert not Participant.objects.filter(external_id="ana").exists()
    assert Challenge.objects.get().status == "approved"
    assert Event.objects.get(type="device.contact_refused").challenge_id == contact.pk


def test_right_token_is_not_spent_where_the_host_has_no_user(shop, contact, settings):
    settings.TWOFA_USER_RESOLVER = "tests.flows.test_registrations.no_user"
    with refused(Unavailable):
        register(shop, contact)
    del settings.TWOFA_USER_RESOLVER
    assert register(shop, contact)[1]


def no_user(**_asked):
    raise RuntimeError("the directory is away")


def test_campaign_that_was_switched_off_registers_nobody(shop, contact):
    token = token_of(contact)
    type(shop.campaign).objects.update(is_active=False)
    with refused(NotActive):
        register(shop, contact, token)
