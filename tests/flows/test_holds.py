from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import Shop, device, login_challenge, token_of
from tests.stories import STAFF, confirm, deliver_due, points, refused, resend, travel
from twofa.channels.memory import outbox
from twofa.exceptions import NotFound, OnboardingIncomplete, PolicyRefused, WrongState
from twofa.flows import destinations, device_logins, devices, facts, holds, onboarding
from twofa.flows.history import Trail
from twofa.flows.next_actions import HELD
from twofa.models import Device, Event, Participant, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PAUSE = timedelta(seconds=31)


@pytest.fixture
def held(shop: Shop) -> Device:
    Device.objects.filter(pk=shop.device.pk).update(held_at=now(), confirmed=False)
    return Device.objects.get(pk=shop.device.pk)


def test_held_device_gets_no_token(shop: Shop, held: Device):
    with refused(OnboardingIncomplete) as refusal:
        shop.open()

    assert refusal.value.params == {"missing": ["device"], "next_action": HELD}


def test_another_device_may_be_chosen(shop: Shop, held: Device):
    email = device(shop.participant, "email")

    assert shop.open().challenge.device_id == email.pk


def test_token_that_a_held_device_has_is_not_taken(shop: Shop, redemption: Redemption):
    """It was sent before: nothing is compared, and nothing is charged."""
    token = token_of(redemption.challenge)
    Device.objects.update(held_at=now(), confirmed=False)

    with refused(OnboardingIncomplete) as refusal:
        confirm(shop, redemption, token)
    assert refusal.value.params["next_action"] == HELD
    Device.objects.update(held_at=None, confirmed=True)
    assert confirm(shop, redemption, token).status == "completed"


def test_no_new_token_is_sent_there(shop: Shop, redemption: Redemption):
    deliver_due()
    outbox.clear()
    travel(PAUSE)
    Device.objects.update(held_at=now(), confirmed=False)

    with refused(OnboardingIncomplete):
        resend(shop, redemption)
    assert list(outbox) == []


def test_held_device_opens_no_session(shop: Shop):
    login = login_challenge(shop)
    token = token_of(login)
    Device.objects.update(held_at=now(), confirmed=False)

    assert not device_logins.answer_login(shop.device, token)
    login.refresh_from_db()
    assert (login.status, login.attempts) == ("pending", 0)


def test_standing_says_that_it_is_held(shop: Shop, redemption: Redemption):
    assert facts.standing(redemption.challenge).device_usable
    Device.objects.update(held_at=now(), confirmed=False)

    standing = facts.standing(redemption.challenge)
    assert (standing.device_held, standing.device_usable) == (True, False)


def test_failover_leaves_it_out(shop: Shop, held: Device):
    email = device(shop.participant, "email")
    found, at = destinations.devices_of(shop.participant)

    assert [row.pk for row in found] == [held.pk, email.pk]
    contacts = destinations.next_contacts(
        found, campaign=shop.campaign, at=at, allowed_channels=["sms", "email"], tried=set(), event="redemption.token"
    )
    assert contacts == [email]


@pytest.mark.parametrize("verb", ["make_default", "revoke"])
def test_no_device_is_changed_while_one_is_held(shop: Shop, held: Device, verb: str):
    email = device(shop.participant, "email")

    for row in (held, email):
        if verb == "make_default" and row.is_default:
            continue
        with refused(OnboardingIncomplete):
            getattr(devices, verb)(row, storefront=shop.storefront, actor=shop.actor)


def test_notices_still_go_there(shop: Shop, held: Device):
    email = device(shop.participant, "email")
    devices.reset(email, actor=STAFF, reason="Lost.")
    deliver_due()

    assert len(outbox.to(held.address)) == 1


def test_onboarding_waits_for_staff_and_is_not_taken_back(shop: Shop, held: Device):
    Participant.objects.update(onboarded_at=now())
    participant = Participant.objects.select_related("campaign").get()
    read = onboarding.read(participant)

    assert (read.status, read.missing, read.next_action) == ("incomplete", ["device"], HELD)
    assert not read.steps[0].may_retry
    onboarding.note(participant, Trail(STAFF, now()))
    assert Participant.objects.get().onboarded_at is not None


def test_cooling_device_that_is_held_is_not_said_to_be_ready_soon(shop: Shop, held: Device):
    Device.objects.update(usable_from=now() + timedelta(hours=1))

    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert refusal.value.params["next_action"] == HELD


def test_release_lets_tokens_go_there_again(shop: Shop, held: Device):
    holds.release(held, by=factories.staff(), actor=STAFF, reason="She was asked by phone.")

    assert not Device.objects.get().is_held
    event = Event.objects.get(type="device.released")
    assert (event.actor_kind, event.actor, event.data["reason"]) == ("staff", "maria", "She was asked by phone.")
    assert points(shop.open()) == ("pending_2fa_approval", "reserved")


def test_nobody_releases_their_own_device(shop: Shop, held: Device):
    with refused(PolicyRefused):
        holds.release(held, by=shop.participant.user, actor=STAFF, reason="It was me.")
    assert Device.objects.get().is_held


def test_what_is_not_held_is_not_released(shop: Shop):
    revoked = device(shop.participant, "email", status="revoked", confirmed=False, is_default=False, held_at=now())

    for row in (shop.device, revoked):
        with refused(WrongState):
            holds.release(row, by=factories.staff(), actor=STAFF, reason="By mistake.")


def test_device_of_an_erased_participant_is_not_released(shop: Shop, held: Device):
    factories.Participant.objects.update(erased_at=now())

    with refused(NotFound):
        holds.release(held, by=factories.staff(), actor=STAFF, reason="Too late.")
    assert Device.objects.get().is_held
