"""Devices, participants and keys changed at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.races.guards import blind_changes, meet_after, outcomes, unlocked, without_constraint
from tests.stories import STAFF, confirm, points
from twofa.flows import devices, facts, participants, shared_contacts, storefronts
from twofa.models import Challenge, Delivery, Device, Event, Participant, StorefrontKey
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

PHONE = "+5511999990034"


@pytest.fixture
def bare(shop) -> factories.Shop:
    shop.device.delete()
    return shop


def register(shop, address: str = PHONE):
    return devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address=address, actor=shop.actor
    )


def verifying(shop, device: Device, token: str):
    return lambda: devices.verify(device, storefront=shop.storefront, token=token, actor=shop.actor)


def test_device_is_verified_once(bare, threads):
    registration = register(bare)
    token = token_of(registration.challenge)
    results = threads([verifying(bare, registration.device, token)] * 10)
    assert {result.status for result in results} == {"active"}
    assert Event.objects.filter(type="device.activated").count() == 1
    assert Challenge.objects.get().attempts == 1


def test_without_the_guards_it_is_verified_more_than_once(bare, threads, monkeypatch):
    registration = register(bare)
    blind_changes(monkeypatch)
    meet_after(monkeypatch, facts, "standing", 4)
    threads([unlocked(verifying(bare, registration.device, token_of(registration.challenge)))] * 4)
    assert Event.objects.filter(type="device.activated").count() > 1


def test_wrong_tokens_for_a_device_are_compared_five_times(bare, threads):
    registration = register(bare)
    told = outcomes(threads([verifying(bare, registration.device, wrong_token(registration.challenge))] * 20))
    assert told == {"token_invalid": 4, "attempts_exhausted": 1, "challenge_closed": 15}


def test_same_address_is_registered_once(bare, threads):
    results = threads([lambda: register(bare)] * 8)
    assert sum(result.created for result in results) == 1
    assert Device.objects.count() == Delivery.objects.count() == 1


def test_devices_are_limited_exactly(bare, threads, settings):
    settings.TWOFA_DEVICES_PER_PARTICIPANT = 3
    calls = [partial(register, bare, f"+551199999{number:04d}") for number in range(10)]
    assert outcomes(threads(calls)) == {"done": 3, "invalid": 7}


def test_without_the_guards_more_are_registered(bare, threads, settings, monkeypatch):
    settings.TWOFA_DEVICES_PER_PARTICIPANT = 1
    meet_after(monkeypatch, devices.destinations, "ensure_allowed", 4)
    meet_after(monkeypatch, devices.contacts, "mask", 4)
    calls = [unlocked(partial(register, bare, f"+551199999{number:04d}")) for number in range(4)]
    threads(calls)
    assert Device.objects.count() > 1


def crowd(shop, number: int) -> list[Participant]:
    return [factories.participant(shop.campaign) for _ in range(number)]


def registering(shop, participant: Participant):
    return lambda: devices.register(
        participant, storefront=shop.storefront, channel="sms", address=PHONE, actor=shop.actor
    )


def test_contact_is_registered_for_three_participants_however_many_come(bare, threads):
    told = outcomes(threads([registering(bare, participant) for participant in crowd(bare, 8)]))
    assert told == {"done": 3, "invalid": 5}
    assert Device.objects.count() == Challenge.objects.count() == Delivery.objects.count() == 3


def test_without_the_turn_it_is_registered_for_more(bare, threads, monkeypatch):
    meet_after(monkeypatch, shared_contacts, "_is_full", 4)
    threads([unlocked(registering(bare, participant)) for participant in crowd(bare, 4)])
    assert Device.objects.count() > 3


def proving(bare, number: int) -> list[Callable[[], Device]]:
    """As many participants with the same contact, registered on as many days, each about to prove it."""
    calls = []
    for participant in crowd(bare, number):
        device = registering(bare, participant)().device
        calls.append(verifying(bare, device, token_of(Challenge.objects.get(subject=device))))
        Device.objects.update(created_at=now() - timedelta(days=2))
    return calls


def test_contact_is_proved_for_three_participants_however_many_come(bare, threads):
    assert outcomes(threads(proving(bare, 8))) == {"done": 3, "invalid": 5}
    assert Device.objects.filter(status="active").count() == 3
    assert Event.objects.filter(type="device.activated").count() == 3
    assert Event.objects.filter(type="device.contact_refused").count() == 5


def test_without_the_turn_it_is_proved_for_more(bare, threads, monkeypatch):
    calls = proving(bare, 4)
    meet_after(monkeypatch, shared_contacts, "_is_full", 4)
    threads([unlocked(call) for call in calls])
    assert Device.objects.filter(status="active").count() > 3


def test_device_that_is_revoked_at_once_approves_nothing_afterwards(shop, threads):
    """Whoever comes second is told: the redemption is cancelled, or it was completed before."""
    redemption = shop.open()
    token = token_of(redemption.challenge)
    threads(
        [
            lambda: confirm(shop, redemption, token),
            lambda: devices.reset(shop.device, actor=STAFF, reason="stolen"),
            lambda: confirm(shop, redemption, token),
        ]
    )
    assert points(redemption) in {("completed", "completed"), ("cancelled", "released")}
    assert RecordingBackend.count("complete") + RecordingBackend.count("release") == 1
    assert Device.objects.get().status == "revoked"


def test_participant_is_enrolled_once(shop, threads):
    def enroll():
        return participants.enroll(campaign=shop.campaign, external_id="u-new", name="Bea", actor=shop.actor)

    results = threads([enroll] * 8)
    assert sum(created for _participant, created in results) == 1
    assert Participant.objects.filter(external_id="u-new").count() == 1


def test_document_number_is_given_to_one(shop, threads):
    def enrolling(number: int):
        return lambda: participants.enroll(
            campaign=shop.campaign,
            external_id=f"new-{number}",
            name="Bea",
            document_number="52998224725",
            actor=shop.actor,
        )

    assert outcomes(threads([enrolling(number) for number in range(8)])) == {"done": 1, "invalid": 7}


def test_without_the_constraint_it_is_given_to_more(shop, threads, monkeypatch):
    def enrolling(number: int):
        return unlocked(
            lambda: participants.enroll(
                campaign=shop.campaign,
                external_id=f"new-{number}",
                name="Bea",
                document_number="52998224725",
                actor=shop.actor,
            )
        )

    meet_after(monkeypatch, participants, "_ensure_free_document", 4)
    with without_constraint(Participant, "twofa_participant_document"):
        threads([enrolling(number) for number in range(4)])
        assert Participant.objects.filter(document_number="52998224725").count() > 1


def test_two_keys_live_however_many_are_issued(shop, threads):
    told = outcomes(threads([lambda: storefronts.issue_key(shop.storefront, actor=STAFF)] * 8))
    assert told == {"done": 2, "policy_refused": 6}


def test_without_the_guards_more_keys_live(shop, threads, monkeypatch):
    meet_after(monkeypatch, storefronts, "now", 4)
    threads([unlocked(lambda: storefronts.issue_key(shop.storefront, actor=STAFF))] * 4)
    assert StorefrontKey.objects.count() > 2
