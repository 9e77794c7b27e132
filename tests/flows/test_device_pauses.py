"""Messages about devices keep their pause whatever is asked anew: no session pumps them up to the day's budget."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.stories import deliver_due, refused, tamper, travel
from twofa.exceptions import ResendCooldown, SendBudget
from twofa.flows import challenges, devices, participants
from twofa.models import Campaign, Challenge, Delivery, Device

pytestmark = pytest.mark.django_db

PHONE = "+5511988887777"
PAUSE = timedelta(seconds=30)


def of(shop, storefront=None):
    return {"storefront": storefront or shop.storefront, "actor": shop.actor}


def register(shop, address=PHONE, channel="sms", storefront=None):
    return devices.register(shop.participant, channel=channel, address=address, **of(shop, storefront))


def keeps_its_pause(ask: Callable[[], Any]) -> Any:
    """``ask`` is refused and does nothing until the pause is over, to the second; return its answer then."""
    with refused(ResendCooldown) as refusal:
        ask()
    assert 28 <= refusal.value.retry_after <= 30
    travel(timedelta(seconds=refusal.value.retry_after - 2))
    with refused(ResendCooldown) as later:
        ask()
    assert 1 <= later.value.retry_after <= 2
    travel(timedelta(seconds=2))
    return ask()


@pytest.fixture
def bare(shop):
    shop.device.delete()
    return shop


@pytest.fixture
def partner(shop):
    return factories.storefront(shop.campaign)


def test_pending_device_revoked_and_registered_again(bare):
    devices.revoke(register(bare).device, **of(bare))

    again = keeps_its_pause(lambda: register(bare))

    assert again.created
    assert Delivery.objects.filter(address=PHONE).count() == 2


def test_verification_rejected_and_asked_for_again(bare):
    first = register(bare)
    for _ in range(5):
        with pytest.raises(Exception, match="token_invalid|attempts_exhausted"):
            devices.verify(first.device, token=wrong_token(first.challenge), **of(bare))

    assert keeps_its_pause(lambda: devices.resend(first.device, **of(bare))).challenge.pk != first.challenge.pk


def test_one_change_asked_for_and_then_another(shop):
    mail = factories.device(shop.participant, "email")
    devices.make_default(mail, **of(shop))

    assert keeps_its_pause(lambda: devices.revoke(mail, **of(shop))).authorization.action == "revoke"


@pytest.mark.parametrize(
    "ask",
    [
        lambda shop: register(shop, "+5511988880000"),
        lambda shop: devices.revoke(shop.device, **of(shop)),
        lambda shop: participants.update(shop.participant, two_factor_method="none", **of(shop)),
    ],
    ids=["register", "revoke", "switch off"],
)
def test_change_of_another_device_asks_the_same_one(shop, ask):
    """Each device has a challenge of its own, but they all go to the default one."""
    shop.participant.two_factor_method = "sms"
    shop.participant.save()
    register(shop, "ana@example.com", "email")

    keeps_its_pause(lambda: ask(shop))

    assert Delivery.objects.filter(address=shop.device.address).count() == 2


def test_two_storefronts_take_turns(shop, partner):
    mail = factories.device(shop.participant, "email")
    first = devices.make_default(mail, **of(shop)).authorization
    with refused(ResendCooldown):
        devices.make_default(mail, **of(shop, partner))
    assert Challenge.objects.get(pk=first.pk).status == "pending", "and the first one's stays"

    keeps_its_pause(lambda: devices.make_default(mail, **of(shop, partner)))


def test_resend_counts_as_the_last_message(bare):
    pending = register(bare).device
    travel(PAUSE)
    devices.resend(pending, **of(bare))
    devices.revoke(pending, **of(bare))

    keeps_its_pause(lambda: register(bare))


def test_answered_challenge_holds_nobody_up(shop):
    """Whoever types the right token has the device in hand: a member who sets up devices does not wait."""
    asked = register(shop)
    own = devices.authorize(asked.device, token=token_of(asked.authorization), **of(shop)).challenge
    devices.verify(asked.device, token=token_of(own), **of(shop))
    default = devices.make_default(asked.device, **of(shop)).authorization
    devices.authorize(asked.device, token=token_of(default), **of(shop))

    assert devices.revoke(shop.device, **of(shop)).authorization.device == asked.device


def test_failed_delivery_holds_nobody_up(bare):
    pending = register(bare).device
    for row in Delivery.objects.all():
        tamper(row, status="failed")
    devices.revoke(pending, **of(bare))

    assert register(bare).created


def test_agreement_is_kept_while_the_new_device_waits(shop):
    """Its own token was sent before the default device was: the authorization stands, and is told again later."""
    Device.objects.filter(pk=shop.device.pk).update(status="pending", confirmed=False, is_default=False)
    new = register(shop)
    fresh = factories.device(shop.participant)
    verification = Challenge.objects.filter(pk=new.challenge.pk)
    verification.update(status="cancelled", seed=None, ended_at=new.challenge.issued_at)
    agreed = devices.resend(new.device, **of(shop)).authorization
    assert agreed.device == fresh
    token = token_of(agreed)
    with pytest.raises(ResendCooldown):
        devices.authorize(new.device, token=token, **of(shop))
    assert Challenge.objects.get(pk=agreed.pk).status == "approved"
    assert Delivery.objects.filter(address=PHONE).count() == 1

    assert keeps_its_pause(lambda: devices.authorize(new.device, token=token, **of(shop))).challenge.action == "verify"


def test_another_participant_is_not_held_up(bare):
    """A family has one phone. What a thief could make of it is bounded by the destination's own budget."""
    other = factories.participant(bare.campaign)
    register(bare)

    assert devices.register(other, channel="sms", address=PHONE, **of(bare)).created


def test_campaign_without_a_pause_has_none(bare):
    Campaign.objects.filter(pk=bare.campaign.pk).update(resend_cooldown=timedelta(0))
    for _ in range(3):
        devices.revoke(register(bare).device, **of(bare))
    deliver_due()
    assert Delivery.objects.count() == 3


def test_new_device_of_a_stranger_leaves_half_of_the_messages_to_whose_it_is(shop):
    """An account is made on a page that is open to everybody."""
    Campaign.objects.update(sends_per_destination_per_day=6, resend_cooldown=timedelta(0))
    stranger = factories.participant(shop.campaign)
    device = devices.register(stranger, channel="sms", address=shop.device.address, **of(shop)).device
    for _number in range(2):
        devices.resend(device, **of(shop))

    with refused(SendBudget):
        devices.resend(device, **of(shop))
    devices.revoke(device, **of(shop))
    with refused(SendBudget):
        devices.register(stranger, channel="sms", address=shop.device.address, **of(shop))

    for _number in range(3):
        challenge = factories.login_challenge(shop)
        challenges.cancel(challenge.pk, **of(shop))
