"""What a factor agreed to is worth nothing once the factor is gone, nor is what was made where none was asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.authenticators import App, active, agreed, enrol
from tests.factories import token_of
from tests.logins import asked_for, log_in
from tests.stories import STAFF, refused, travel
from twofa.exceptions import Invalid, OnboardingIncomplete, TokenInvalid, WrongState
from twofa.flows import authenticators, challenges, denials, devices, recovery_codes
from twofa.models import Authenticator, Campaign, Device, RecoveryCode

pytestmark = pytest.mark.django_db

ADD, CODES = "step_up:authenticator_add", "step_up:recovery_codes"
STRANGER = "+5511988887777"


@pytest.fixture
def app(monkeypatch) -> App:
    return App(monkeypatch)


def of(shop):
    return {"storefront": shop.storefront, "actor": shop.actor}


def deny(challenge):
    denials.deny(*factories.link_of(challenge))


def test_agreement_of_a_phone_ends_when_staff_take_it_away(shop):
    factories.device(shop.participant, "email")
    agreement = agreed(shop, ADD)
    devices.reset(shop.device, actor=STAFF, reason="stolen")
    with refused(Invalid):
        enrol(shop, authorization=agreement.pk)


def test_agreement_ends_when_its_owner_says_it_was_not_them(shop):
    """The stolen phone answered, and its owner reads the message a minute later."""
    new_app = agreed(shop, ADD)
    travel(timedelta(minutes=1))
    new_codes = agreed(shop, CODES)
    deny(new_app)
    with refused(Invalid):
        enrol(shop, authorization=new_app.pk)
    with refused(Invalid):
        recovery_codes.issue(shop.participant, authorization=new_codes.pk, **of(shop))


def test_recovery_code_agrees_for_a_phone_that_is_held_already(shop, app):
    """Whoever lost the phone, reported it and has the paper, goes on with it."""
    (code, *_others) = recovery_codes.issue(shop.participant, authorization=agreed(shop, CODES).pk, **of(shop))
    travel(timedelta(minutes=1))
    challenge = factories.step_up(shop, ADD)
    Device.objects.filter(pk=shop.device.pk).update(held_at=challenge.issued_at, confirmed=False)
    challenges.verify(challenge.pk, storefront=shop.storefront, token=code, actor=shop.actor)
    assert enrol(shop, authorization=challenge.pk).authenticator.status == "pending"


def test_agreement_of_an_app_ends_with_the_app(shop, app):
    row = active(shop, app)
    Authenticator.objects.update(last_step=1)
    app.forward(minutes=-2)
    challenge = factories.step_up(shop, ADD)
    challenges.verify(challenge.pk, storefront=shop.storefront, token=app.code(), actor=shop.actor)
    factories.device(shop.participant, "email")
    app.forward(minutes=1)
    authenticators.reset(row, actor=STAFF, reason="stolen")
    with refused(Invalid):
        enrol(shop, authorization=challenge.pk)


@pytest.mark.parametrize("loss", ["reset", "denied"])
def test_app_that_a_lost_phone_agreed_to_is_not_proved_any_more(shop, app, loss):
    factories.device(shop.participant, "email")
    agreement = agreed(shop, ADD)
    enrolment = enrol(shop, authorization=agreement.pk)
    app.read(enrolment.uri)
    if loss == "reset":
        devices.reset(shop.device, actor=STAFF, reason="stolen")
    else:
        deny(agreement)
    with refused(WrongState):
        authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)


def test_contact_that_waited_for_another_needs_the_app_once_that_stands_alone(shop, app):
    """The thief has the session, and their phone waits for a token of the member's; who goes on with the app alone."""
    enrolment = enrol(shop, authorization=agreed(shop, ADD).pk)
    app.read(enrolment.uri)
    authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    thief = devices.register(shop.participant, channel="sms", address=STRANGER, **of(shop))
    travel(timedelta(minutes=1))
    revocation = devices.revoke(shop.device, **of(shop)).authorization
    devices.authorize(shop.device, token=token_of(revocation), **of(shop))

    with refused(WrongState):
        devices.resend(thief.device, **of(shop))

    travel(timedelta(minutes=1))
    factories.device(shop.participant, "email")
    assert devices.resend(thief.device, **of(shop)).challenge is None


def test_codes_that_no_factor_agreed_to_end_with_the_first_app(shop, app):
    """Whoever held the session before there was any factor has printed them."""
    shop.device.delete()
    (stolen, *_others) = recovery_codes.issue(shop.participant, **of(shop))
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    confirmation = authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    name = factories.account(shop.participant)
    asked_for(shop, name)
    with pytest.raises(TokenInvalid):
        log_in(shop, name, stolen)
    assert log_in(shop, name, confirmation.codes[0]).participant == shop.participant


def test_codes_that_no_factor_agreed_to_end_with_the_first_contact(shop):
    shop.device.delete()
    (stolen, *_others) = recovery_codes.issue(shop.participant, **of(shop))
    own = devices.register(shop.participant, channel="sms", address=STRANGER, **of(shop))
    devices.verify(own.device, token=token_of(own.challenge), **of(shop))
    assert recovery_codes.left(shop.participant) == 0
    name = factories.account(shop.participant)
    asked_for(shop, name)
    with pytest.raises(TokenInvalid):
        log_in(shop, name, stolen)


def test_codes_that_a_lost_phone_agreed_to_outlive_it(shop):
    """They are for that."""
    codes = recovery_codes.issue(shop.participant, authorization=agreed(shop, CODES).pk, **of(shop))
    devices.reset(shop.device, actor=STAFF, reason="lost")
    travel(timedelta(minutes=1))
    own = devices.register(shop.participant, channel="sms", address=STRANGER, **of(shop))
    devices.verify(own.device, token=token_of(own.challenge), **of(shop))
    assert RecoveryCode.objects.count() == len(codes)


def test_codes_that_the_owner_did_not_ask_for_end_with_their_word(shop):
    """The thief printed them at once, and the owner reads the message a minute later."""
    older = agreed(shop, CODES)
    recovery_codes.issue(shop.participant, authorization=older.pk, **of(shop))
    travel(timedelta(minutes=1))
    stolen = agreed(shop, CODES)
    recovery_codes.issue(shop.participant, authorization=stolen.pk, **of(shop))
    travel(timedelta(minutes=1))
    deny(older)
    assert recovery_codes.left(shop.participant) == 10
    deny(stolen)
    assert recovery_codes.left(shop.participant) == 0


def test_codes_that_another_challenge_let_be_made_stay_whatever_is_denied(shop):
    recovery_codes.issue(shop.participant, authorization=agreed(shop, CODES).pk, **of(shop))
    travel(timedelta(minutes=1))
    for purpose in (CODES, ADD):
        deny(factories.step_up(shop, purpose))
        Device.objects.update(held_at=None, confirmed=True)
    assert recovery_codes.left(shop.participant) == 10


def test_contact_after_an_app_that_staff_reset_cools_off(shop, app):
    """They were talked into it, and whoever did that registers a phone: it is not the first factor."""
    Campaign.objects.update(device_cooling_off=timedelta(days=1))
    authenticators.reset(active(shop, app), actor=STAFF, reason="lost, they say")
    fresh = devices.register(shop.participant, channel="sms", address=STRANGER, **of(shop))
    devices.verify(fresh.device, token=token_of(fresh.challenge), **of(shop))
    with refused(OnboardingIncomplete):
        shop.open()
    travel(timedelta(days=1))
    assert shop.open().challenge.device == fresh.device
