from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.stories import STAFF, confirm, deliver_due, points, refused, tamper, travel, unchanged
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
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TransactionChanged,
    WrongState,
)
from twofa.flows import devices
from twofa.models import Campaign, Challenge, Device, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

PHONE = "+5511999990034"
PAUSE = timedelta(seconds=30)


@pytest.fixture
def bare(shop) -> factories.Shop:
    """A shop whose participant has no device yet."""
    shop.device.delete()
    return shop


def register(shop, address: str = PHONE, channel: str = "sms") -> devices.Registration:
    return devices.register(
        shop.participant, storefront=shop.storefront, channel=channel, address=address, actor=shop.actor
    )


def act(shop, verb: str, device: Device, **more):
    return getattr(devices, verb)(device, storefront=shop.storefront, actor=shop.actor, **more)


def policy(shop, **columns) -> None:
    Campaign.objects.filter(pk=shop.campaign.pk).update(**columns)


def sent_to(address: str) -> list[str]:
    deliver_due()
    return [message.token for message in outbox.to(address)]


# --- the first device -------------------------------------------------------------------------------------------------


def test_first_device_proves_itself_and_becomes_the_default(bare):
    registration = register(bare, "+55 (11) 99999-0034")
    device = registration.device
    assert (device.status, device.address, registration.created) == ("pending", PHONE, True)
    assert registration.authorization is None
    (token,) = sent_to(PHONE)
    verified = act(bare, "verify", device, token=token)
    assert (verified.status, verified.confirmed, verified.is_default) == ("active", True, True)
    assert verified.usable_from <= now()
    assert act(bare, "verify", device, token=token).status == "active", "the same token again"
    assert bare.open().challenge.device_id == device.pk
    types = list(Event.objects.filter(device=device).order_by("id").values_list("type", flat=True))
    assert types == ["device.registered", "device.activated"]


def test_pending_device_receives_no_other_token_and_approves_nothing(bare):
    device = register(bare).device
    assert not device.is_usable(now())
    with pytest.raises(Exception, match="onboarding_incomplete"):
        bare.open()


def test_same_address_again_is_the_same_device_and_sends_nothing(bare):
    first = register(bare)
    with unchanged():
        again = register(bare, "+55 11 99999 0034")
        assert (again.device.pk, again.created, again.challenge.pk) == (first.device.pk, False, first.challenge.pk)


@pytest.mark.parametrize("token", [None, "", [], "x", "７Ｋ２Ｍ９Ｑ"], ids=ascii)
def test_malformed_token_costs_nothing(bare, token):
    device = register(bare).device
    with refused(TokenMalformed):
        act(bare, "verify", device, token=token)


def test_five_wrong_tokens_end_the_verification(bare):
    registration = register(bare)
    (right,) = sent_to(PHONE)
    for _ in range(4):
        with pytest.raises(TokenInvalid):
            act(bare, "verify", registration.device, token=wrong_token(registration.challenge))
    with pytest.raises(AttemptsExhausted):
        act(bare, "verify", registration.device, token=wrong_token(registration.challenge))
    with refused(ChallengeClosed):
        act(bare, "verify", registration.device, token=right)
    assert Device.objects.get().status == "pending"


def test_address_that_was_written_to_after_the_message_is_not_verified(bare):
    """The token proves the address that it travelled to, and no other."""
    registration = register(bare)
    (token,) = sent_to(PHONE)
    tamper(registration.device, address="+5511999990000")
    with pytest.raises(TransactionChanged):
        act(bare, "verify", registration.device, token=token)
    assert Device.objects.get().status == "pending"


def test_token_of_one_device_verifies_no_other(bare):
    one, other = register(bare).device, register(bare, "ana@example.com", "email").device
    (token,) = sent_to(PHONE)
    with pytest.raises(TokenInvalid):
        act(bare, "verify", other, token=token)
    assert act(bare, "verify", one, token=token).status == "active"


def test_token_of_a_device_confirms_no_redemption_and_the_other_way_round(bare):
    device = register(bare).device
    (token,) = sent_to(PHONE)
    act(bare, "verify", device, token=token)
    redemption = bare.open()
    other = register(bare, "ana@example.com", "email")
    with pytest.raises(TokenInvalid):
        confirm(bare, redemption, token_of(other.authorization))
    with pytest.raises(TokenInvalid):
        act(bare, "authorize", other.device, token=token_of(redemption.challenge))


@pytest.mark.parametrize("switched_off", ["participant", "campaign"])
def test_verification_of_somebody_who_may_not_is_refused(bare, switched_off):
    device = register(bare).device
    (token,) = sent_to(PHONE)
    row = getattr(bare, switched_off)
    type(row).objects.filter(pk=row.pk).update(is_active=False)
    with refused(NotActive):
        act(bare, "verify", device, token=token)


def test_expired_token_does_not_verify(bare):
    device = register(bare).device
    (token,) = sent_to(PHONE)
    travel(timedelta(minutes=5))
    with refused(TokenExpired):
        act(bare, "verify", device, token=token)


# --- where and how often ----------------------------------------------------------------------------------------------


def test_addresses_that_the_campaign_does_not_send_to_are_refused(bare):
    policy(bare, allowed_countries=["PT"], allowed_channels=["sms"])
    with refused(DestinationNotAllowed):
        register(bare)
    with refused(ChannelUnavailable):
        register(bare, "ana@example.com", "email")
    with refused(Invalid):
        register(bare, "nonsense")


def test_devices_of_a_participant_are_limited(bare, settings):
    settings.TWOFA_DEVICES_PER_PARTICIPANT = 2
    register(bare)
    register(bare, "ana@example.com", "email")
    with refused(Invalid) as refusal:
        register(bare, "bea@example.com", "email")
    assert refusal.value.params["errors"][0]["code"] == "too_many_devices"


def test_registration_stays_inside_the_budgets(bare):
    policy(bare, sends_per_destination_per_day=0)
    with refused(SendBudget):
        register(bare)
    policy(bare, sends_per_destination_per_day=50, failed_attempts_per_day=0)
    with refused(FailedAttemptsBudget):
        register(bare)


def test_verification_is_sent_again_within_its_limits(bare):
    device = register(bare).device
    with refused(ResendCooldown):
        act(bare, "resend", device)
    for _ in range(3):
        travel(timedelta(seconds=31))
        act(bare, "resend", device)
    travel(timedelta(seconds=31))
    with refused(ResendsExhausted):
        act(bare, "resend", device)
    assert Challenge.objects.get().generation == 4
    assert act(bare, "verify", device, token=sent_to(PHONE)[-1]).status == "active"


@pytest.mark.parametrize("ending", ["exhausted", "overdue"])
def test_pending_device_whose_challenge_ended_gets_a_new_one(bare, ending):
    registration = register(bare)
    if ending == "exhausted":
        for _ in range(5):
            with pytest.raises(Exception, match="token_invalid|attempts_exhausted"):
                act(bare, "verify", registration.device, token=wrong_token(registration.challenge))
        travel(PAUSE)
    else:
        travel(timedelta(hours=1))
    renewed = act(bare, "resend", registration.device)
    assert renewed.challenge.pk != registration.challenge.pk
    assert sorted(Challenge.objects.values_list("status", flat=True)) == sorted(
        ["pending", "rejected" if ending == "exhausted" else "expired"]
    )
    assert act(bare, "verify", registration.device, token=sent_to(PHONE)[-1]).status == "active"


def test_wrong_tokens_for_devices_count_for_the_day(bare):
    policy(bare, failed_attempts_per_day=5)
    registration = register(bare)
    for _ in range(5):
        with pytest.raises(Exception, match="token_invalid|attempts_exhausted"):
            act(bare, "verify", registration.device, token=wrong_token(registration.challenge))
    with refused(FailedAttemptsBudget):
        act(bare, "resend", registration.device)


def test_active_device_has_nothing_to_verify_or_resend(shop):
    for verb, more in (("verify", {"token": "7K2M9Q"}), ("resend", {}), ("authorize", {"token": "7K2M9Q"})):
        with refused(WrongState):
            act(shop, verb, shop.device, **more)


# --- a change needs the present device --------------------------------------------------------------------------------


def test_another_device_needs_the_present_one_first(shop):
    registration = register(shop, "ana@example.com", "email")
    assert registration.challenge is None
    authorization = registration.authorization
    assert (authorization.device_id, authorization.action) == (shop.device.pk, "add")
    assert sent_to("ana@example.com") == []
    with refused(WrongState):
        act(shop, "verify", registration.device, token="7K2M9Q")
    (token,) = sent_to(shop.device.address)
    authorized = act(shop, "authorize", registration.device, token=token)
    assert authorized.challenge.action == "verify"
    (own,) = sent_to("ana@example.com")
    assert own != token
    verified = act(shop, "verify", registration.device, token=own)
    assert (verified.status, verified.is_default) == ("active", False)
    assert Event.objects.filter(type="device.activated", device=verified).exists()
    deliver_due()
    notices = [message for message in outbox if message.event == "device.activated"]
    assert [message.recipient for message in notices] == [shop.device.address]
    assert notices[0].token == ""


def test_authorization_told_twice_sends_the_new_device_one_message(shop):
    registration = register(shop, "ana@example.com", "email")
    (token,) = sent_to(shop.device.address)
    first = act(shop, "authorize", registration.device, token=token)
    with unchanged():
        again = act(shop, "authorize", registration.device, token=token)
        assert again.challenge.pk == first.challenge.pk
    assert len(sent_to("ana@example.com")) == 1


def test_authorization_whose_first_message_was_refused_is_not_lost(shop):
    registration = register(shop, "ana@example.com", "email")
    (token,) = sent_to(shop.device.address)
    policy(shop, sends_per_participant_per_day=1)
    with pytest.raises(SendBudget):
        act(shop, "authorize", registration.device, token=token)
    policy(shop, sends_per_participant_per_day=50)
    assert act(shop, "authorize", registration.device, token=token).challenge is not None
    assert len(sent_to("ana@example.com")) == 1


def test_wrong_authorization_adds_nothing(shop):
    registration = register(shop, "ana@example.com", "email")
    with pytest.raises(TokenInvalid):
        act(shop, "authorize", registration.device, token=wrong_token(registration.authorization))
    assert sent_to("ana@example.com") == []


def test_new_device_cools_off_and_the_first_one_does_not(bare):
    policy(bare, device_cooling_off=timedelta(days=1))
    first = register(bare).device
    assert act(bare, "verify", first, token=sent_to(PHONE)[0]).usable_from <= now()
    second = register(bare, "ana@example.com", "email").device
    act(bare, "authorize", second, token=sent_to(PHONE)[-1])
    assert act(bare, "verify", second, token=sent_to("ana@example.com")[0]).usable_from > now()


def test_revoking_everything_first_is_no_way_around_the_cooling_off(bare):
    policy(bare, device_cooling_off=timedelta(days=1))
    first = register(bare).device
    act(bare, "verify", first, token=sent_to(PHONE)[0])
    devices.reset(first, actor=STAFF, reason="lost")
    second = register(bare, "ana@example.com", "email").device
    assert act(bare, "verify", second, token=sent_to("ana@example.com")[0]).usable_from > now()


def test_default_moves_after_a_token_of_the_present_one(shop):
    email = factories.device(shop.participant, "email")
    registration = act(shop, "make_default", email)
    assert registration.authorization.device_id == shop.device.pk
    assert not Device.objects.get(pk=email.pk).is_default
    again = act(shop, "make_default", email)
    assert again.authorization.pk == registration.authorization.pk
    (token,) = sent_to(shop.device.address)
    assert act(shop, "authorize", email, token=token).device.is_default
    assert not Device.objects.get(pk=shop.device.pk).is_default
    assert act(shop, "make_default", email).authorization is None
    deliver_due()
    assert {message.recipient for message in outbox if message.token == ""} == {email.address, shop.device.address}


def test_pending_device_is_not_made_the_default(bare):
    device = register(bare).device
    with refused(WrongState):
        act(bare, "make_default", device)


def test_another_change_of_the_same_device_ends_the_first(shop):
    email = factories.device(shop.participant, "email")
    first = act(shop, "make_default", email).authorization
    travel(PAUSE)
    second = act(shop, "revoke", email).authorization
    assert Challenge.objects.get(pk=first.pk).status == "cancelled"
    assert Challenge.objects.get(pk=second.pk).status == "pending"


# --- revocation -------------------------------------------------------------------------------------------------------


def test_active_device_is_revoked_by_a_token_and_its_heir_becomes_the_default(shop):
    email = factories.device(shop.participant, "email")
    redemption = shop.open(channel="sms")
    elsewhere = shop.open(channel="email")
    act(shop, "revoke", shop.device)
    act(shop, "authorize", shop.device, token=sent_to(shop.device.address)[-1])
    rows = {device.pk: device for device in Device.objects.all()}
    assert (rows[shop.device.pk].status, rows[shop.device.pk].is_default) == ("revoked", False)
    assert rows[email.pk].is_default
    assert points(redemption) == ("cancelled", "released")
    assert points(elsewhere) == ("pending_2fa_approval", "reserved")
    deliver_due()
    told = {message.recipient for message in outbox if message.event == "device.revoked"}
    assert told == {shop.device.address, email.address}


def test_pending_device_is_revoked_at_once(bare):
    registration = register(bare)
    (token,) = sent_to(PHONE)
    assert act(bare, "revoke", registration.device).device.status == "revoked"
    assert Challenge.objects.get().status == "cancelled"
    with refused(ChallengeClosed):
        act(bare, "verify", registration.device, token=token)
    travel(PAUSE)
    assert register(bare).created, "the address is free again"


def test_revoked_device_stays_revoked(shop):
    devices.reset(shop.device, actor=STAFF, reason="lost")
    before = Event.objects.count()
    with refused(WrongState):
        devices.reset(shop.device, actor=STAFF, reason="lost")
    act(shop, "revoke", shop.device)
    assert Event.objects.count() == before
    for verb in ("make_default", "resend"):
        with refused(WrongState):
            act(shop, verb, shop.device)


def test_staff_reset_is_explained_told_and_ends_what_waited(shop):
    redemption = shop.open()
    devices.reset(shop.device, actor=STAFF, reason="number was stolen")
    assert points(redemption) == ("cancelled", "released")
    event = Event.objects.get(type="device.revoked")
    assert (event.actor, event.data["reason"]) == ("maria", "number was stolen")
    deliver_due()
    assert [message.event for message in outbox] == ["device.revoked"]
