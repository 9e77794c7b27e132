from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from django.db import transaction
from django_otp import devices_for_user
from django_otp.models import Device as OTPDevice

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App, agreed, enrol
from tests.papers import decide, submitted
from tests.stories import refused, tamper
from twofa import contents, totp
from twofa.exceptions import (
    Invalid,
    NotActive,
    OnboardingIncomplete,
    PolicyRefused,
    Throttled,
    TokenInvalid,
    TokenMalformed,
    Unavailable,
    WrongState,
)
from twofa.flows import authenticators
from twofa.flows.access_tokens import OpaqueIssuer
from twofa.models import AccessToken, Authenticator, Delivery, Event, RecoveryCode

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(monkeypatch) -> App:
    return App(monkeypatch)


@pytest.fixture
def active(shop, app) -> Authenticator:
    return apps.active(shop, app)


def verify(shop, row, token):
    return authenticators.verify(row, token=token, actor=shop.actor)


def types() -> list[str]:
    rows = Event.objects.filter(type__startswith="authenticator.").order_by("pk")
    return list(rows.values_list("type", flat=True))


# --- enrolling --------------------------------------------------------------------------------------------------------


def test_secret_is_random_and_stored_sealed(shop, app):
    shop.device.delete()
    enrolment = enrol(shop, name="Phone")
    app.read(enrolment.uri)
    row = Authenticator.objects.get()
    assert (row.status, row.confirmed, len(app.secret)) == ("pending", False, 20)
    assert app.secret not in bytes(row.secret)
    assert enrolment.uri not in repr(enrolment)
    assert types() == ["authenticator.enrolled"]


def test_pending_app_satisfies_nothing(shop, app):
    shop.device.delete()
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    with refused(WrongState):
        verify(shop, enrolment.authenticator, app.code())
    assert not enrolment.authenticator.verify_token(app.code())
    assert list(devices_for_user(shop.participant.user)) == []


def test_first_code_activates_it_and_brings_recovery_codes(shop, app):
    shop.device.delete()
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    confirmed = authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    assert confirmed.authenticator.status == "active"
    assert (len(set(confirmed.codes)), RecoveryCode.objects.count()) == (10, 10)
    assert list(devices_for_user(shop.participant.user)) == [confirmed.authenticator]
    with refused(WrongState):
        authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)


def test_wrong_first_code_activates_nothing_and_is_charged(shop, app):
    shop.device.delete()
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    with pytest.raises(TokenInvalid):
        authenticators.confirm(enrolment.authenticator, token=app.wrong_code(), actor=shop.actor)
    row = Authenticator.objects.get()
    assert (row.status, row.failures, RecoveryCode.objects.count()) == ("pending", 1, 0)


def test_where_a_factor_stands_it_has_to_agree_first(shop, app):
    app.forward(minutes=1)
    for authorization in (None, factories.step_up(shop, "step_up:authenticator_add").pk, agreed(shop, "login").pk):
        with refused(Invalid):
            enrol(shop, authorization=authorization)
    assert not Authenticator.objects.exists()


def test_one_agreement_lets_one_app_be_enrolled(shop, app):
    challenge = agreed(shop, "step_up:authenticator_add")
    app.forward(minutes=1)
    first = enrol(shop, authorization=challenge.pk)
    with refused(Invalid):
        enrol(shop, authorization=challenge.pk)
    assert Authenticator.objects.get() == first.authenticator


def test_agreement_is_worth_nothing_later_nor_at_another_storefront(shop, app):
    challenge, other = agreed(shop, "step_up:authenticator_add"), factories.storefront(shop.campaign)
    with refused(Invalid):
        authenticators.enrol(shop.participant, storefront=other, actor=shop.actor, authorization=challenge.pk)
    app.forward(minutes=1, seconds=shop.campaign.redemption_ttl.total_seconds())
    with refused(Invalid):
        enrol(shop, authorization=challenge.pk)


def test_owner_is_told_of_it_by_every_contact(shop, app):
    challenge = agreed(shop, "step_up:authenticator_add")
    app.forward(minutes=1)
    enrolment = enrol(shop, authorization=challenge.pk)
    app.read(enrolment.uri)
    authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    told = Delivery.objects.filter(challenge=None).values_list("event", flat=True)
    assert set(told) == {"authenticator.activated", "recovery_codes.issued"}


def test_new_app_takes_the_place_of_the_old_one_when_it_is_proved(shop, app):
    challenge = agreed(shop, "step_up:authenticator_add")
    app.forward(minutes=1)
    old = enrol(shop, authorization=challenge.pk)
    app.read(old.uri)
    authenticators.confirm(old.authenticator, token=app.code(), actor=shop.actor)
    Authenticator.objects.update(created_at=app.at - timedelta(hours=1))
    again = enrol(shop, authorization=challenge.pk)
    assert Authenticator.objects.active().get() == old.authenticator
    app.read(again.uri)
    assert authenticators.confirm(again.authenticator, token=app.code(), actor=shop.actor).codes == []
    assert Authenticator.objects.active().get() == again.authenticator


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["{0}{1}", " {0}{1}", "{0}{1} ", "{0} {1}", "{0}-{1}"])
def test_code_is_taken_once_however_it_is_spelt(shop, app, active, spelling):
    code = app.code()
    verify(shop, active, code)
    with pytest.raises(TokenInvalid):
        verify(shop, active, spelling.format(code[:3], code[3:]))
    active.refresh_from_db()
    assert (active.last_step, active.failures) == (totp.step_at(app.at), 1)


def test_code_of_before_one_that_was_taken_is_refused(shop, app, active):
    verify(shop, active, app.code())
    with pytest.raises(TokenInvalid):
        verify(shop, active, app.code(-1))
    app.forward(seconds=2)
    assert verify(shop, active, app.code(+1)).failures == 0


def test_code_that_activated_it_is_not_taken_again(shop, app):
    shop.device.delete()
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    with pytest.raises(TokenInvalid):
        verify(shop, enrolment.authenticator, app.code())


@pytest.mark.parametrize("token", [None, 123456, "", "12345", "1234567", "12345a", "１２３４５６", "1" * 65])
def test_what_is_no_code_is_not_charged(shop, active, token):
    with refused(TokenMalformed):
        verify(shop, active, token)


def test_pause_doubles_after_each_wrong_code_up_to_a_ceiling(shop, app, active):
    with pytest.raises(TokenInvalid):
        verify(shop, active, app.wrong_code())
    with refused(Throttled) as told:
        verify(shop, active, app.code())
    assert told.value.retry_after == 1
    app.forward(seconds=1)
    with pytest.raises(TokenInvalid):
        verify(shop, active, app.wrong_code())
    active.refresh_from_db()
    assert active.pause(app.at) == timedelta(seconds=2)
    active.failures = 99
    assert active.pause(app.at) == timedelta(minutes=15)
    app.forward(seconds=2)
    assert verify(shop, active, app.code()).pause(app.at) == timedelta(0)


def test_hundredth_wrong_code_in_a_row_holds_it(shop, app, active):
    contact = factories.device(shop.participant, "email")
    tamper(active, failures=99)
    with pytest.raises(TokenInvalid) as told:
        verify(shop, active, app.wrong_code())
    assert told.value.params["attempts_remaining"] == 0
    app.forward(days=1)
    with refused(OnboardingIncomplete):
        verify(shop, active, app.code())
    assert Delivery.objects.get(event="authenticator.held").address == contact.address


def test_whoever_may_not_take_part_is_refused(shop, app, active):
    for row, column in ((shop.campaign, "is_active"), (shop.participant, "is_active"), (active.user, "is_active")):
        tamper(row, **{column: False})
        with refused(NotActive):
            verify(shop, active, app.code())
        assert not active.verify_token(app.code())
        tamper(row, **{column: True})
    verify(shop, active, app.code())


# --- the secret -------------------------------------------------------------------------------------------------------


def test_secret_is_sealed_anew_under_the_first_key(shop, app, active, settings):
    old = dict(settings.TWOFA_TOKEN_KEYS)
    settings.TWOFA_TOKEN_KEYS = {"new": secrets.token_bytes(32), **old}
    verify(shop, active, app.code())
    settings.TWOFA_TOKEN_KEYS = {"new": settings.TWOFA_TOKEN_KEYS["new"]}
    app.forward(minutes=1)
    assert verify(shop, active, app.code()).kid == "new"


def test_without_its_key_it_cannot_be_judged_and_nothing_is_charged(shop, app, active, settings):
    settings.TWOFA_TOKEN_KEYS = {"new": secrets.token_bytes(32)}
    with refused(Unavailable):
        verify(shop, active, app.code())
    assert not active.verify_token(app.code())


def test_secret_laid_under_another_name_does_not_open(shop, app, active):
    other = factories.participant(shop.campaign)
    Authenticator.objects.update(participant=other, user=other.user)
    with refused(Unavailable):
        verify(shop, active, app.code())


# --- django-otp -------------------------------------------------------------------------------------------------------


def test_django_otp_takes_a_code_once(shop, app, active):
    for expected in (True, False):
        with transaction.atomic():
            device = OTPDevice.from_persistent_id(active.persistent_id, for_verify=True)
            assert device.verify_token(app.code()) is expected
    assert types()[-2:] == ["authenticator.verified", "authenticator.attempt_failed"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_active_app_is_revoked_by_agreement_alone(shop, app, active):
    shop.device = factories.device(shop.participant)
    with refused(Invalid):
        authenticators.revoke(active, storefront=shop.storefront, actor=shop.actor)
    challenge = agreed(shop, "step_up:authenticator_remove")
    row = authenticators.revoke(active, storefront=shop.storefront, actor=shop.actor, authorization=challenge.pk)
    assert (row.status, row.confirmed, row.secret) == ("revoked", False, None)
    assert Delivery.objects.filter(event="authenticator.revoked").count() == 1
    with refused(WrongState):
        verify(shop, active, app.code())


def test_pending_app_is_revoked_at_once(shop, app):
    shop.device.delete()
    row = enrol(shop).authenticator
    assert authenticators.revoke(row, storefront=shop.storefront, actor=shop.actor).status == "revoked"
    assert not Delivery.objects.exists()


def test_staff_reset_it_with_a_reason(shop, active):
    authenticators.reset(active, actor=shop.actor, reason="Lost phone")
    assert Event.objects.get(type="authenticator.revoked").data == {"reason": "Lost phone"}
    with refused(WrongState):
        authenticators.reset(active, actor=shop.actor, reason="Lost phone")


def test_reset_logs_the_lost_phone_out_and_nobody_else(shop, active):
    other = factories.participant(shop.campaign)
    for person in (shop.participant, other):
        OpaqueIssuer().issue(participant=person, storefront=shop.storefront)
    authenticators.reset(active, actor=shop.actor, reason="Lost phone")
    assert [token.participant for token in AccessToken.objects.filter(revoked_at=None)] == [other]
    assert Event.objects.get(type="participant.tokens_revoked").data == {"count": 1, "reason": "device_reset"}


@pytest.mark.usefixtures("documents_folder")
@pytest.mark.parametrize("left", [0, 1])
def test_reset_of_the_last_factor_asks_for_the_identity_again(shop, active, left):
    """Whoever talks support into it registers their own app next, and what was proved before is not theirs."""
    if left:
        factories.device(shop.participant, "email")
    document = decide(submitted(shop.participant, "cnh", "front"), approve=True)
    authenticators.reset(active, actor=shop.actor, reason="Lost phone")
    document.refresh_from_db()
    assert document.decision == ("approved" if left else "expired")


@pytest.mark.usefixtures("documents_folder")
def test_reset_of_one_that_was_never_proved_takes_no_proof_away(shop, app):
    shop.device.delete()
    document = decide(submitted(shop.participant, "cnh", "front"), approve=True)
    authenticators.reset(enrol(shop).authenticator, actor=shop.actor, reason="Begun by mistake")
    document.refresh_from_db()
    assert document.decision == "approved"


def test_release_is_told_to_every_contact_and_lets_codes_be_taken(shop, app, active, django_user_model):
    contacts = {factories.device(shop.participant, channel).address for channel in ("email", "whatsapp")}
    tamper(active, failures=100, held_at=app.at, confirmed=False)
    staff = django_user_model.objects.create(username="maria")
    authenticators.release(active, by=staff, actor=shop.actor, reason="She mistyped it")
    told = Delivery.objects.filter(event="authenticator.released")
    assert {delivery.address for delivery in told} == contacts
    assert verify(shop, active, app.code()).failures == 0


def test_own_one_is_not_released_and_nobody_is_told(shop, app, active):
    factories.device(shop.participant, "email")
    tamper(active, failures=100, held_at=app.at, confirmed=False)
    with refused(PolicyRefused):
        authenticators.release(active, by=active.user, actor=shop.actor, reason="It was me")
    with refused(OnboardingIncomplete):
        verify(shop, active, app.code())


def test_name_of_an_app_says_nothing_for_us_in_a_notice(shop, app):
    """A campaign's own text may show it, to every contact of whom the app was added to."""
    name = "https://evil.example, call 0800 555 1234: your code is 482913"
    enrolment = enrol(shop, name=name, authorization=agreed(shop, "step_up:authenticator_add").pk)
    app.read(enrolment.uri)
    authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    notice = Delivery.objects.select_related("campaign", "participant").get(event="authenticator.activated")
    shown = contents.of(notice, "en")["destination"]
    assert [part for part in ("evil", "0800", "482913") if part in shown] == []
