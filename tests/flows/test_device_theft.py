"""A thief has the participant's session, or the phone that was reported stolen: none of it lets another device in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_otp import match_token
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests import factories
from tests.factories import token_of
from tests.stories import STAFF, refused, travel
from twofa import delivery
from twofa.exceptions import ChallengeClosed, DeliveryError, NotActive, OnboardingIncomplete, TokenInvalid
from twofa.flows import completions, devices, participants
from twofa.models import Campaign, Challenge, Delivery, Device, Redemption

pytestmark = pytest.mark.django_db

PAUSE = timedelta(seconds=30)


@pytest.fixture
def shop():
    return factories.Shop()


def of(shop):
    return {"storefront": shop.storefront, "actor": shop.actor}


def register(shop, address, channel="sms"):
    return devices.register(shop.participant, channel=channel, address=address, **of(shop))


def test_method_chosen_without_a_token_does_not_decide_who_is_asked(shop):
    """The thief reads the member's mail, and makes it the method: the phone is asked all the same."""
    mail = factories.device(shop.participant, "email")
    participants.update(shop.participant, two_factor_method="email", **of(shop))

    for ask in (
        lambda: devices.revoke(shop.device, **of(shop)),
        lambda: devices.make_default(mail, **of(shop)),
        lambda: register(shop, "+5511988887777"),
    ):
        assert ask().authorization.device == shop.device
        travel(PAUSE)
    assert Device.objects.get(pk=shop.device.pk).status == "active"


def test_verification_asked_for_before_the_first_device_ends_with_it(shop):
    Device.objects.all().delete()
    thief, member = register(shop, "+5511988887777"), register(shop, "+5511977776666")
    stolen = token_of(thief.challenge)
    devices.verify(member.device, token=token_of(member.challenge), **of(shop))

    with pytest.raises(ChallengeClosed):
        devices.verify(thief.device, token=stolen, **of(shop))

    assert Device.objects.get(pk=thief.device.pk).status == "pending"
    again = devices.resend(thief.device, **of(shop))
    assert again.challenge is None
    assert again.authorization.device == member.device


def test_agreement_of_a_device_ends_with_the_device(shop):
    """The stolen phone agreed to another one before staff revoked it."""
    asked = register(shop, "+5511988887777")
    agreed = devices.authorize(asked.device, token=token_of(asked.authorization), **of(shop))
    stolen = token_of(agreed.challenge)
    devices.reset(shop.device, actor=STAFF, reason="stolen")
    with pytest.raises(ChallengeClosed):
        devices.verify(asked.device, token=stolen, **of(shop))
    fresh = factories.device(shop.participant)

    again = devices.resend(asked.device, **of(shop))

    assert again.challenge is None
    assert again.authorization.device == fresh
    assert Device.objects.get(pk=asked.device.pk).status == "pending"


def test_token_of_a_phone_proves_it_for_its_own_participant_alone(shop):
    """Bound to participant and contact (CVE-2025-69614): mine, for the phone that we share, opens nothing of yours."""
    mine, yours = factories.participant(shop.campaign), factories.participant(shop.campaign)
    given = {"channel": "sms", "address": "+5511988887777", **of(shop)}
    first, second = devices.register(mine, **given), devices.register(yours, **given)

    with pytest.raises(TokenInvalid):
        devices.verify(second.device, token=token_of(first.challenge), **of(shop))

    assert set(Device.objects.filter(address="+5511988887777").values_list("status", flat=True)) == {"pending"}


def test_agreement_is_good_for_one_checkout_s_time(shop):
    """Agreed to today, the new device is not let in tomorrow, when somebody else may have the session."""
    asked = register(shop, "+5511988887777")
    agreed = devices.authorize(asked.device, token=token_of(asked.authorization), **of(shop))
    assert agreed.challenge is not None
    travel(shop.campaign.redemption_ttl + PAUSE)

    again = devices.resend(asked.device, **of(shop))

    assert again.challenge is None
    assert again.authorization.device == shop.device


def test_device_that_cools_off_agrees_to_nothing(shop):
    """Reset by staff who were talked into it, and registered anew: the thief's phone lets no other one in meanwhile."""
    Campaign.objects.update(device_cooling_off=timedelta(days=1))
    devices.reset(shop.device, actor=STAFF, reason="lost, they say")
    fresh = register(shop, "+5511988887777")
    devices.verify(fresh.device, token=token_of(fresh.challenge), **of(shop))
    with refused(OnboardingIncomplete) as refusal:
        register(shop, "+5511977776666")
    assert refusal.value.params["next_action"].type == "wait"
    with refused(OnboardingIncomplete):
        devices.revoke(fresh.device, **of(shop))
    with refused(OnboardingIncomplete):
        shop.open()
    travel(timedelta(days=1))
    assert register(shop, "+5511977776666").authorization.device == fresh.device


def test_match_token_of_django_otp_keeps_its_own_count(shop):
    """It asks every device inside a transaction of its own, which an error of ours would undo."""
    totp = TOTPDevice.objects.create(user=shop.participant.user, confirmed=True)
    assert match_token(shop.participant.user, "000001") is None
    totp.refresh_from_db()
    assert totp.throttling_failure_count == 1


@pytest.mark.parametrize("model", ["campaign", "participant"])
def test_nothing_is_sent_for_whom_staff_switched_off(shop, model):
    row = getattr(shop, model)
    type(row).objects.filter(pk=row.pk).update(is_active=False)
    with pytest.raises(NotActive):
        register(shop, "+5511988887777")
    with pytest.raises(NotActive):
        devices.revoke(shop.device, **of(shop))
    assert not Delivery.objects.exists()
    assert not Challenge.objects.exists()


def test_message_of_a_row_that_was_written_to_is_not_sent(shop):
    """Written to before the message and back after it, the row would have a person approve what they never read."""
    redemption = shop.open()
    row = Delivery.objects.for_sending().get(challenge=redemption.challenge)
    Redemption.objects.filter(pk=redemption.pk).update(amount="1.00")
    row = Delivery.objects.for_sending().get(pk=row.pk)
    with pytest.raises(DeliveryError) as refusal:
        delivery.send(row)
    assert (refusal.value.reason, refusal.value.retryable) == ("transaction_changed", False)


def test_exempt_redemption_that_was_written_to_is_not_completed(shop):
    Campaign.objects.filter(pk=shop.campaign.pk).update(two_factor_mode="off", completion_mode="async")
    redemption = shop.open()
    Redemption.objects.filter(pk=redemption.pk).update(amount="99999.00")
    done = completions.complete(redemption.pk)
    assert (done.status, done.points, done.failure_code) == ("failed", "released", "transaction_changed")
