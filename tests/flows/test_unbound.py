from __future__ import annotations

from datetime import timedelta

import pytest

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.fulfillment import RemoteBackend
from tests.stories import refused
from twofa.exceptions import NotFound, OnboardingIncomplete
from twofa.flows import authenticators, redemptions, unbound
from twofa.flows.next_actions import NextAction
from twofa.models import Authenticator, Campaign, Challenge, Delivery, Device, Participant, Purpose, RecoveryCode
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

CODE = "7K2M-9QXR-0B4T-HV6N"


@pytest.fixture
def app(shop, monkeypatch) -> App:
    found = App(monkeypatch)
    apps.active(shop, found)
    found.at = now()
    Authenticator.objects.update(last_step=0)
    return found


def wanted(shop, contacts=(), channel=None, device=None):
    participant = Participant.objects.select_related("campaign").get(pk=shop.participant.pk)
    return unbound.wanted(participant, contacts, channel=channel, device=device)


def choose(method: str) -> None:
    Participant.objects.update(two_factor_method=method)


def test_app_is_asked_where_it_is_the_way_or_all_there_is(shop, app):
    assert wanted(shop) == unbound.APP
    contact = factories.device(shop.participant)
    assert wanted(shop, [contact]) is None
    choose("totp")
    assert wanted(shop, [contact]) == unbound.APP
    assert wanted(shop, [contact], channel="sms") is None
    assert wanted(shop, [contact], device=contact.uuid) is None


def test_pending_app_is_none(shop):
    shop.device.delete()
    choose("totp")
    apps.enrol(shop)
    assert wanted(shop) is None
    with refused(NotFound):
        wanted(shop, channel="totp")


def test_held_app_is_named_in_vain(shop, app):
    Authenticator.objects.update(held_at=now(), confirmed=False)
    contact = factories.device(shop.participant)
    choose("totp")
    assert wanted(shop, [contact]) is None
    with refused(OnboardingIncomplete):
        wanted(shop, [contact], channel="totp")


@pytest.mark.parametrize(
    ("purpose", "taken"),
    [
        (Purpose.LOGIN, True),
        ("step_up:transfer", True),
        (Purpose.REDEMPTION, False),
        (Purpose.BATCH, False),
        (Purpose.DEVICE, False),
        (Purpose.CONTACT, False),
    ],
)
def test_recovery_code_is_known_by_its_form_and_answers_for_a_person_alone(purpose, taken):
    challenge = Challenge(purpose=purpose)
    assert unbound.as_recovery_code(challenge, CODE.lower()) == (CODE.replace("-", "") if taken else "")
    for other in ("7K2M9Q", "123456", CODE[:-1], f"{CODE}0", None, 7):
        assert unbound.as_recovery_code(challenge, other) == ""


def test_order_takes_a_code_only_where_person_and_campaign_chose_that(shop, app):
    for method, approves, source in (
        ("totp", True, unbound.APP),
        ("totp", False, None),
        ("sms", True, None),
        ("none", True, None),
    ):
        choose(method)
        Campaign.objects.update(unbound_devices_approve=approves)
        participant = Participant.objects.select_related("campaign").get(pk=shop.participant.pk)
        assert unbound.for_order(participant, [], now()) == source
    choose("totp")
    Campaign.objects.update(unbound_devices_approve=True)
    Authenticator.objects.update(held_at=now(), confirmed=False)
    participant = Participant.objects.select_related("campaign").get(pk=shop.participant.pk)
    assert unbound.for_order(participant, [], now()) is None


@pytest.fixture
def cooling(shop, app) -> App:
    """A second app of a participant whose campaign lets apps approve, and new ones wait."""
    Campaign.objects.update(unbound_devices_approve=True, device_cooling_off=timedelta(days=1))
    shop.campaign.refresh_from_db()
    choose("totp")
    authenticators.reset(Authenticator.objects.get(), actor=shop.actor, reason="Lost.")
    apps.active(shop, app)
    app.at = now()
    Authenticator.objects.active().update(last_step=0)
    choose("totp")
    return app


def test_new_app_signs_in_at_once_and_approves_orders_later(shop, cooling):
    """Whoever talks staff into a reset, and adds an app of their own, would spend the points before anybody looks."""
    challenge = factories.step_up(shop)
    apps.challenges.verify(challenge.pk, storefront=shop.storefront, token=cooling.code(), actor=shop.actor)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    at = Authenticator.objects.active().get().approves_from
    assert refusal.value.params == {"missing": ["device"], "next_action": NextAction("wait", available_at=at)}
    assert at > now() + timedelta(hours=23)
    factories.device(shop.participant)
    assert shop.open().challenge.channel == "sms"


def test_new_app_approves_no_order_that_was_opened_before_it(shop, app):
    Campaign.objects.update(unbound_devices_approve=True, device_cooling_off=timedelta(days=1))
    choose("totp")
    redemption = shop.open()
    assert redemption.challenge.channel == "totp"
    authenticators.reset(Authenticator.objects.get(), actor=shop.actor, reason="Lost.")
    apps.active(shop, app)
    app.at = now()
    Authenticator.objects.active().update(last_step=0)
    asked = {"storefront": shop.storefront, "amount": None, "actor": shop.actor}
    with refused(OnboardingIncomplete) as refusal:
        redemptions.confirm(redemption.pk, token=app.code(), **asked)
    assert refusal.value.params["next_action"].type == "wait"
    Authenticator.objects.active().update(approves_from=now())
    assert redemptions.confirm(redemption.pk, token=app.code(), **asked).status == "completed"


def test_app_that_was_revoked_meanwhile_answers_nothing(shop, app):
    challenge = factories.step_up(shop)
    authenticators.reset(Authenticator.objects.get(), actor=shop.actor, reason="Lost.")
    with refused(OnboardingIncomplete):
        apps.challenges.verify(challenge.pk, storefront=shop.storefront, token=app.code(), actor=shop.actor)
    assert Challenge.objects.get().attempts == 0
    assert not Device.objects.exists()


def test_remote_ledger_has_no_message_to_let_go(shop, app, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    choose("totp")
    Campaign.objects.update(unbound_devices_approve=True)
    redemption = shop.open()
    assert (redemption.points, redemption.challenge.channel) == ("reserved", "totp")
    done = redemptions.confirm(
        redemption.pk, storefront=shop.storefront, token=app.code(), amount=None, actor=shop.actor
    )
    assert done.status == "completed"
    assert not Delivery.objects.exists()
    assert RecoveryCode.objects.filter(used_at__isnull=False).count() == 0
