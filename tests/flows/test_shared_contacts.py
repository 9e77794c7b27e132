from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.factories import token_of, wrong_token
from tests.stories import STAFF, deliver_due, refused, travel, unchanged
from twofa import alerts
from twofa.channels.memory import outbox
from twofa.exceptions import ChallengeClosed, Invalid, TokenInvalid
from twofa.flows import devices, shared_contacts
from twofa.models import Challenge, Delivery, Device, Event

pytestmark = pytest.mark.django_db

PHONE, MAIL = "+5511999990034", "ana@example.com"
PENDING = {"status": "pending", "confirmed": False, "is_default": False, "activated_at": None, "usable_from": None}


@pytest.fixture(autouse=True)
def fresh_alerts():
    alerts.forget()
    yield
    alerts.forget()


@pytest.fixture
def told(caplog):
    """Alerts told so far: code and ids."""
    caplog.set_level(logging.WARNING, alerts.LOGGER)
    return lambda: [(r.alert, r.alert_ids) for r in caplog.records if r.name == alerts.LOGGER]


@pytest.fixture
def bare(shop):
    """A shop whose participant has no device yet."""
    shop.device.delete()
    return shop


def others(shop, number: int, address: str = PHONE, channel: str = "sms", **columns) -> list[Device]:
    """As many other participants of the campaign with a device at this address."""
    return [factories.device(factories.participant(shop.campaign), channel, address, **columns) for _ in range(number)]


def register(shop, address: str = PHONE, channel: str = "sms", participant=None) -> devices.Registration:
    return devices.register(
        participant or shop.participant,
        storefront=shop.storefront,
        channel=channel,
        address=address,
        actor=shop.actor,
    )


def verify(shop, device: Device, token: object) -> Device:
    return devices.verify(device, storefront=shop.storefront, token=token, actor=shop.actor)


def resend(shop, device: Device) -> devices.Registration:
    return devices.resend(device, storefront=shop.storefront, actor=shop.actor)


def code_of(refusal) -> str:
    (error,) = refusal.value.params["errors"]
    assert error["field"] == "address"
    return error["code"]


# --- at registration --------------------------------------------------------------------------------------------------


def test_contact_of_two_others_serves_a_third_and_no_fourth(bare, told):
    others(bare, 2)
    assert register(bare).created
    fourth = factories.participant(bare.campaign)
    with refused(Invalid) as refusal:
        register(bare, participant=fourth)
    assert code_of(refusal) == "contact_in_use"
    assert told() == [("contact_refused", {"campaign": str(bare.campaign.pk), "participant": str(fourth.pk)})]
    deliver_due()
    assert [message.recipient for message in outbox] == [PHONE], "the third one's, and nothing for the fourth"


def test_refusal_tells_neither_the_number_nor_the_others(bare):
    mate = others(bare, 3)[0].participant
    with refused(Invalid) as refusal:
        register(bare)
    text = str(refusal.value.params["errors"])
    assert not any(told in text for told in ("3", "three", PHONE, mate.external_id, "participant", "account"))


def test_one_phone_is_one_contact_by_sms_and_by_whatsapp(bare):
    others(bare, 2)
    others(bare, 1, channel="whatsapp")
    with refused(Invalid):
        register(bare)
    with refused(Invalid):
        register(bare, channel="whatsapp")
    assert register(bare, "+5511999990035").created


def test_capitals_make_no_other_mailbox(bare):
    others(bare, 3, "Ana@example.com", "email")
    with refused(Invalid):
        register(bare, "aNA@Example.com", "email")


def test_participant_counts_once_and_never_against_themselves(bare):
    for device in others(bare, 2):
        factories.device(device.participant, "whatsapp", PHONE)
    assert register(bare).created
    travel(timedelta(minutes=1))
    assert register(bare, channel="whatsapp").created


def test_other_campaigns_do_not_count(bare):
    others(factories.Shop(), 3)
    assert register(bare).created


def test_revoked_devices_free_their_place_and_people_switched_off_do_not(bare):
    first, *_rest = others(bare, 3)
    type(first.participant).objects.update(is_active=False)
    type(first.participant).objects.filter(pk=bare.participant.pk).update(is_active=True)
    with refused(Invalid):
        register(bare)
    devices.reset(first, actor=STAFF, reason="not theirs any more")
    assert register(bare).created


def test_pending_devices_count_for_a_day(bare):
    """They prove nothing: three accounts must not keep a stranger's phone out for good."""
    others(bare, 3, **PENDING)
    travel(timedelta(hours=23, minutes=59))
    with refused(Invalid):
        register(bare)
    travel(timedelta(minutes=2))
    assert register(bare).created


@pytest.mark.parametrize(("limit", "number"), [(1, 1), (5, 5)])
def test_limit_is_the_host_s(bare, settings, limit, number):
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = limit
    others(bare, number - 1)
    assert register(bare).created
    one_more = factories.participant(bare.campaign)
    with refused(Invalid):
        register(bare, participant=one_more)


def test_no_limit_is_a_choice(bare, settings):
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = None
    others(bare, 10)
    device = register(bare).device
    assert verify(bare, device, token_of(Challenge.objects.get(subject=device))).status == "active"


def test_present_device_is_not_asked_for_a_contact_that_is_refused(shop):
    others(shop, 3)
    with refused(Invalid):
        register(shop)
    assert not Delivery.objects.exists()


def test_pending_device_is_sent_nothing_more_once_others_have_the_contact(bare):
    device = register(bare).device
    travel(timedelta(hours=1))
    others(bare, 3)
    with refused(Invalid) as refusal:
        resend(bare, device)
    assert code_of(refusal) == "contact_in_use"


# --- when it was proved -----------------------------------------------------------------------------------------------


@pytest.fixture
def late(bare) -> devices.Registration:
    """A registration whose contact others proved meanwhile."""
    registration = register(bare)
    others(bare, 3)
    return registration


def test_contact_that_is_full_by_now_is_not_activated(bare, late, told, django_capture_on_commit_callbacks):
    token = token_of(late.challenge)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(Invalid) as refusal:
        verify(bare, late.device, token)
    assert code_of(refusal) == "contact_in_use"
    row = Device.objects.get(pk=late.device.pk)
    assert (row.status, row.confirmed, row.activated_at) == ("pending", False, None)
    event = Event.objects.get(type="device.contact_refused")
    assert (event.device_id, event.data) == (row.pk, {"destination": row.destination})
    assert not Event.objects.filter(type="device.activated", device=row).exists()
    (alert,) = told()
    assert (alert[0], alert[1]["device"]) == ("contact_refused", str(row.pk))


def test_right_token_of_a_refused_contact_is_spent(bare, late):
    token = token_of(late.challenge)
    with pytest.raises(Invalid):
        verify(bare, late.device, token)
    challenge = Challenge.objects.get(pk=late.challenge.pk)
    assert (challenge.status, challenge.attempts, challenge.seed) == ("approved", 1, None)
    with refused(Invalid):
        verify(bare, late.device, token)
    with refused(ChallengeClosed):
        verify(bare, late.device, "000000" if token != "000000" else "111111")


def test_whoever_guesses_does_not_learn_that_others_have_the_contact(bare, late):
    with pytest.raises(TokenInvalid):
        verify(bare, late.device, wrong_token(late.challenge))
    assert Challenge.objects.get(pk=late.challenge.pk).attempts == 1
    assert not Event.objects.filter(type="device.contact_refused").exists()


def test_refused_contact_is_proved_anew_once_there_is_room(bare, late):
    with pytest.raises(Invalid):
        verify(bare, late.device, token_of(late.challenge))
    with refused(Invalid):
        resend(bare, late.device)
    leaver = Device.objects.filter(status="active").first()
    devices.reset(leaver, actor=STAFF, reason="moved out")
    again = resend(bare, late.device)
    assert verify(bare, late.device, token_of(again.challenge)).status == "active"


def test_pending_devices_keep_nobody_out_who_proved_the_contact(bare):
    registration = register(bare)
    others(bare, 3, **PENDING)
    assert verify(bare, registration.device, token_of(registration.challenge)).status == "active"


@pytest.mark.postgres
def test_those_who_share_a_contact_are_found_by_an_index(bare):
    (mate, *_rest) = others(bare, 2)
    rows = [Device(participant=mate.participant, user=mate.user, address=f"{PHONE}{n}", **PENDING) for n in range(2000)]
    Device.objects.bulk_create(rows)
    with CaptureQueriesContext(connection) as captured:
        shared_contacts.ensure_room(Device(participant=bare.participant, channel="sms", address=PHONE))
    count = captured.captured_queries[-1]["sql"]
    assert "COUNT" in count
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE twofa_device")
        cursor.execute(f"EXPLAIN {count}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "twofa_device_contact" in plan, plan


def test_known_address_again_is_not_refused(bare, late):
    with unchanged():
        assert register(bare).device == late.device
