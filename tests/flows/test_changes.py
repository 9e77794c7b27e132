from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of
from tests.stories import STAFF, confirm, deliver_due, points, travel, unchanged
from twofa.channels.memory import outbox
from twofa.flows import changes, devices, participants
from twofa.models import Challenge, Delivery, Device, Event, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

PAUSE = timedelta(seconds=31)


@pytest.fixture
def others(shop) -> list[Device]:
    return [factories.device(shop.participant, channel) for channel in ("email", "whatsapp")]


def notices() -> list[tuple[str, str]]:
    deliver_due()
    return sorted((message.event, message.recipient) for message in outbox if not message.token)


def told_of(event: str) -> list[str]:
    return [recipient for type_, recipient in notices() if type_ == event]


def register(shop, address: str) -> devices.Registration:
    given = {"channel": "sms", "address": address, "storefront": shop.storefront, "actor": shop.actor}
    travel(PAUSE)
    return devices.register(shop.participant, **given)


def authorize(shop, registration: devices.Registration) -> devices.Registration:
    token = token_of(registration.authorization)
    return devices.authorize(registration.device, storefront=shop.storefront, token=token, actor=shop.actor)


def test_everybody_is_told_of_a_revocation_the_revoked_one_too(shop, others):
    devices.reset(shop.device, actor=STAFF, reason="lost")
    addresses = [shop.device.address, *(device.address for device in others)]
    assert notices() == sorted(("device.revoked", address) for address in addresses)
    assert not Delivery.objects.exclude(challenge=None).exists()
    assert all("•" in message.text or "*" in message.text for message in outbox), "which device, masked"
    assert not [message for message in outbox if shop.device.address in message.text]


def test_every_verified_contact_is_told_of_each_change_and_nobody_else(shop, others):
    """Those that cool off too; the new one knows, and a contact that nobody proved is told nothing."""
    email, whatsapp = others
    Device.objects.filter(pk=whatsapp.pk).update(usable_from=now() + timedelta(hours=1))
    waiting = register(shop, "+5511977776666")
    everybody = [device.address for device in (shop.device, email, whatsapp)]

    asked = register(shop, "+5511988887777")
    added = authorize(shop, asked)
    devices.verify(added.device, storefront=shop.storefront, token=token_of(added.challenge), actor=shop.actor)
    assert told_of("device.activated") == sorted(everybody)

    everybody.append(added.device.address)
    travel(PAUSE)
    authorize(shop, devices.make_default(email, storefront=shop.storefront, actor=shop.actor))
    assert told_of("device.made_default") == sorted(everybody)

    Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method="sms")
    given = {"storefront": shop.storefront, "actor": shop.actor}
    _same, challenge = participants.update(shop.participant, two_factor_method="none", **given)
    devices.authorize(challenge.subject, token=token_of(challenge), **given)
    assert told_of("participant.switched_off") == sorted(everybody)
    assert waiting.device.address not in [message.recipient for message in outbox]


def test_default_passes_to_the_device_that_is_active_the_longest(shop, others):
    email, whatsapp = others
    Device.objects.filter(pk=whatsapp.pk).update(activated_at=email.activated_at - timedelta(days=1))
    devices.reset(shop.device, actor=STAFF, reason="lost")
    assert Device.objects.get(is_default=True) == whatsapp
    types = list(Event.objects.filter(type__startswith="device.").order_by("id").values_list("type", flat=True))
    assert types == ["device.revoked", "device.made_default"]


def test_revoking_another_device_leaves_the_default(shop, others):
    devices.reset(others[0], actor=STAFF, reason="lost")
    assert Device.objects.get(is_default=True) == shop.device


def test_revoking_the_last_device_leaves_none(shop):
    devices.reset(shop.device, actor=STAFF, reason="lost")
    assert not Device.objects.filter(is_default=True).exists()


def test_revocation_ends_what_waits_for_the_device_or_is_about_it(shop, others):
    email = others[0]
    on_it = shop.open(channel="sms")
    elsewhere = shop.open(channel="email")
    about_it = devices.make_default(email, storefront=shop.storefront, actor=shop.actor).authorization
    devices.reset(shop.device, actor=STAFF, reason="lost")
    assert points(on_it) == ("cancelled", "released")
    assert points(elsewhere) == ("pending_2fa_approval", "reserved")
    assert Challenge.objects.get(pk=about_it.pk).status == "cancelled"
    assert Event.objects.get(type="redemption.cancelled", redemption=on_it).data == {"reason": "device_revoked"}


def test_redemption_that_was_confirmed_before_the_revocation_stands(shop):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    with unchanged():
        changes.finish([redemption.challenge], actor=STAFF)


def test_challenge_that_ended_is_not_ended_again(shop):
    challenge = shop.open().challenge
    travel(timedelta(hours=1))
    changes.end_challenge(challenge, actor=STAFF)
    assert Challenge.objects.get(pk=challenge.pk).status == "expired"
    with unchanged():
        changes.end_challenge(challenge, actor=STAFF)


def test_challenge_that_is_given_up_in_time_is_cancelled(shop):
    challenge = shop.open().challenge
    changes.end_challenge(challenge, actor=STAFF)
    assert Challenge.objects.get(pk=challenge.pk).status == "cancelled"
    assert Event.objects.get(type="challenge.cancelled").actor == "maria"
