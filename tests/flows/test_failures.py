from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import step_up, token_of, wrong_token
from tests.stories import STAFF, confirm, deliver_due, refused, travel
from twofa import alerts
from twofa.channels.memory import outbox
from twofa.exceptions import OnboardingIncomplete, TokenInvalid
from twofa.flows import challenges, destinations, devices, holds
from twofa.models import Delivery, Device, Event, Redemption

pytestmark = pytest.mark.django_db


def verify(shop, challenge, token):
    return challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def failures(shop) -> int:
    return Device.objects.get(pk=shop.device.pk).failures


def fail(shop, challenge) -> None:
    with pytest.raises(TokenInvalid):
        verify(shop, challenge, wrong_token(challenge))


def worn(shop, number: int = 99) -> None:
    Device.objects.filter(pk=shop.device.pk).update(failures=number)


def test_wrong_tokens_are_counted_over_all_challenges_of_a_device(shop):
    login, transfer, redemption = factories.login_challenge(shop), step_up(shop), shop.open()
    fail(shop, login)
    fail(shop, transfer)
    with pytest.raises(TokenInvalid):
        confirm(shop, redemption, wrong_token(redemption.challenge))
    assert failures(shop) == 3
    travel(timedelta(days=2))
    assert failures(shop) == 3, "no time undoes it"


def test_right_token_begins_the_count_anew(shop):
    worn(shop, 41)
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert failures(shop) == 0


def test_what_costs_no_attempt_counts_for_none(shop):
    challenge = step_up(shop)
    token = token_of(challenge)
    travel(timedelta(minutes=11))
    for given in (token, "7K", ""):
        with pytest.raises(Exception, match="token_expired|token_malformed"):
            verify(shop, challenge, given)
    assert failures(shop) == 0


@pytest.mark.django_db(transaction=True)
def test_device_is_held_at_the_hundredth_and_not_before(shop, caplog):
    alerts.forget()
    worn(shop, 98)
    challenge = step_up(shop)
    fail(shop, challenge)
    assert not Device.objects.get(pk=shop.device.pk).is_held
    fail(shop, challenge)
    device = Device.objects.get(pk=shop.device.pk)
    assert (device.is_held, device.failures, device.status) == (True, 100, "active")
    event = Event.objects.get(type="device.held")
    assert [r.levelname for r in caplog.records if r.name == alerts.LOGGER and r.alert == "too_many_failures"] == [
        "ERROR"
    ]
    assert (event.device_id, event.data["reason"], event.actor_kind) == (device.pk, "too_many_failures", "storefront")


def test_held_device_answers_nothing_more_whatever_it_is_for(shop):
    worn(shop)
    challenge, redemption = step_up(shop), shop.open()
    right = token_of(challenge)
    fail(shop, challenge)
    with refused(OnboardingIncomplete) as error:
        verify(shop, challenge, right)
    assert error.value.params["next_action"].type == "wait"
    with refused(OnboardingIncomplete):
        confirm(shop, redemption, token_of(redemption.challenge))
    with refused(OnboardingIncomplete):
        step_up(shop)
    assert Redemption.objects.get().status == "pending_2fa_approval"


def test_owner_is_told_by_every_other_contact(shop):
    mail, spare = factories.device(shop.participant, "email"), factories.device(shop.participant, "whatsapp")
    worn(shop)
    fail(shop, step_up(shop))
    Delivery.objects.filter(event="step_up.token").delete()
    deliver_due()
    assert sorted(message.recipient for message in outbox) == sorted([mail.address, spare.address])
    assert {(message.event, message.token) for message in outbox} == {("device.held", "")}
    assert all(shop.device.destination[-2:] in message.text for message in outbox)


def test_other_contact_goes_on(shop):
    mail = factories.device(shop.participant, "email")
    worn(shop)
    challenge = step_up(shop)
    fail(shop, challenge)
    travel(timedelta(seconds=31))
    renewed = challenges.resend(challenge.pk, storefront=shop.storefront, actor=shop.actor)
    assert renewed.device == mail
    assert verify(shop, renewed, token_of(renewed)).status == "approved"
    assert failures(shop) == 100


def test_staff_release_it_and_the_count_begins_anew(shop):
    worn(shop)
    fail(shop, step_up(shop))
    device = Device.objects.get(pk=shop.device.pk)
    holds.release(device, by=factories.staff(), actor=STAFF, reason="rang, and has the phone")
    assert failures(shop) == 0
    assert destinations.devices_of(shop.participant)[0][0].is_usable(device.usable_from)


def test_device_that_waits_for_its_own_token_is_held_as_well(shop):
    shop.device.delete()
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    )
    shop.device = registration.device
    worn(shop)
    right, wrong = token_of(registration.challenge), wrong_token(registration.challenge)
    asked = {"storefront": shop.storefront, "actor": shop.actor}
    with pytest.raises(TokenInvalid):
        devices.verify(shop.device, token=wrong, **asked)
    with refused(OnboardingIncomplete):
        devices.verify(shop.device, token=right, **asked)


def test_device_that_is_gone_is_not_counted(shop):
    challenge = factories.contact_challenge(shop)
    fail(shop, challenge)
    assert failures(shop) == 0
