"""Authenticator apps in the admin, and the one view of all that a participant proves themselves with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice

from tests.admin.conftest import World, page
from twofa.flows import recovery_codes
from twofa.flows.history import WORKER, Trail
from twofa.models import Authenticator, Event
from twofa.models.clock import now

REASON = {"reason": "She called from the number that we have."}
RIGHTS = ("view_authenticator", "release_device", "reset_device")


@pytest.mark.django_db(transaction=True)
def test_reset_erases_the_secret_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    client = staff(*RIGHTS)

    assert client.post(page("authenticator", "reset", world.authenticator.pk), REASON).status_code == 302

    row = Authenticator.objects.get(pk=world.authenticator.pk)
    assert (row.status, row.secret) == ("revoked", None)
    event = Event.objects.get(type="authenticator.revoked")
    assert (event.actor, event.data["reason"]) == ("maria", REASON["reason"])


@pytest.mark.django_db(transaction=True)
def test_held_app_is_released_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    Authenticator.objects.update(held_at=now(), failures=100)

    assert staff(*RIGHTS).post(page("authenticator", "release", world.authenticator.pk), REASON).status_code == 302

    row = Authenticator.objects.get(pk=world.authenticator.pk)
    assert (row.held_at, row.failures) == (None, 0)
    assert Event.objects.get(type="authenticator.released").actor == "maria"


@pytest.mark.django_db(transaction=True)
def test_nobody_releases_their_own(world: World, staff: Callable[..., Client], django_user_model: type):
    client = staff(*RIGHTS)
    member = world.shop.participant
    member.user = django_user_model.objects.get(username="maria")
    member.save()
    Authenticator.objects.update(held_at=now())

    client.post(page("authenticator", "release", world.authenticator.pk), REASON)

    assert Authenticator.objects.get().held_at is not None
    assert not Event.objects.filter(type="authenticator.released").exists()


@pytest.mark.parametrize("action", ["reset", "release"])
def test_without_the_permission_nothing_is_done(world: World, staff: Callable[..., Client], action: str):
    Authenticator.objects.update(held_at=now())
    client = staff("view_authenticator")

    assert client.post(page("authenticator", action, world.authenticator.pk), REASON).status_code == 403

    row = Authenticator.objects.get()
    assert (row.status, row.held_at is None) == ("active", False)


def test_participants_page_shows_devices_of_every_kind(world: World, boss: Client):
    member = world.shop.participant
    StaticDevice.objects.create(user=member.user, name="on paper", confirmed=True)
    recovery_codes.first(member, Trail(WORKER, now()))

    shown = boss.get(page("participant", "change", member.pk)).content.decode()

    for text in (world.shop.device.destination, "Pixel", "recovery codes", "10 are left", "on paper"):
        assert text in shown, text
    assert page("authenticator", "change", world.authenticator.pk) in shown


def test_app_has_no_link_for_who_may_not_see_its_page(world: World, staff: Callable[..., Client]):
    client = staff("view_participant", "view_device")

    shown = client.get(page("participant", "change", world.shop.participant.pk)).content.decode()

    assert "Pixel" in shown
    assert page("authenticator", "change", world.authenticator.pk) not in shown
