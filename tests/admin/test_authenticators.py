"""Authenticator apps in the admin, and the one view of all that a participant proves themselves with."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice

from tests import factories
from tests.admin.conftest import World, page
from twofa.flows import recovery_codes
from twofa.flows.history import WORKER, Trail
from twofa.models import EVENT_LABELS, Authenticator, Event
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


@pytest.mark.parametrize("model", ["authenticator", "device"])
def test_page_of_a_reset_says_what_ends_with_it(world: World, boss: Client, model: str):
    shown = boss.get(page(model, "reset", world.rows[model].pk)).content.decode()

    assert "access tokens are revoked" in html.unescape(shown)


@pytest.mark.django_db(transaction=True)
def test_held_app_is_released_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    Authenticator.objects.update(held_at=now(), confirmed=False, failures=100)

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
    Authenticator.objects.update(held_at=now(), confirmed=False)

    client.post(page("authenticator", "release", world.authenticator.pk), REASON)

    assert Authenticator.objects.get().held_at is not None
    assert not Event.objects.filter(type="authenticator.released").exists()


@pytest.mark.parametrize("action", ["reset", "release"])
def test_without_the_permission_nothing_is_done(world: World, staff: Callable[..., Client], action: str):
    Authenticator.objects.update(held_at=now(), confirmed=False)
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


@pytest.mark.parametrize("model", ["device", "authenticator"])
def test_list_is_filtered_by_what_waits_for_staff(world: World, boss: Client, model: str):
    row = world.rows[model]
    address = page(model, "changelist") + "?held=yes"
    assert list(boss.get(address).context["cl"].queryset) == []

    type(row).objects.filter(pk=row.pk).update(held_at=now(), confirmed=False)

    assert [found.pk for found in boss.get(address).context["cl"].queryset] == [row.pk]
    everything = boss.get(page(model, "changelist") + "?held=nothing").context["cl"].queryset
    assert everything.count() == type(row).objects.count()


def test_revoked_app_waits_for_nobody(world: World, boss: Client):
    Authenticator.objects.update(
        status="revoked", confirmed=False, secret=None, revoked_at=now(), held_at=now(), failures=100
    )

    found = boss.get(page("authenticator", "changelist") + "?held=yes")
    shown = boss.get(page("authenticator", "change", world.authenticator.pk)).content.decode()

    assert list(found.context["cl"].queryset) == []
    assert "held: waits for staff" not in shown
    assert page("authenticator", "release", world.authenticator.pk) not in shown
    assert page("authenticator", "reset", world.authenticator.pk) not in shown


def test_page_tells_what_happened_to_the_participants_apps_and_to_nobody_elses(world: World, boss: Client):
    app, other = world.authenticator, factories.participant(world.shop.campaign)
    for participant, reason in ((world.shop.participant, "Phone lost in a taxi"), (other, "Of somebody else")):
        trail = Trail(WORKER, now())
        trail.add("authenticator.released", participant, reason=reason)
        trail.add("recovery_codes.issued", participant)
        trail.write()

    shown = boss.get(page("authenticator", "change", app.pk)).content.decode()

    assert "Phone lost in a taxi" in shown
    assert "Of somebody else" not in shown
    assert str(EVENT_LABELS["recovery_codes.issued"]) not in shown


def test_recovery_codes_are_counted_and_never_shown(world: World, boss: Client):
    member = world.shop.participant
    codes = recovery_codes.first(member, Trail(WORKER, now()))
    spent = member.recovery_codes.first()
    member.recovery_codes.filter(pk=spent.pk).update(used_at=now())

    shown = boss.get(page("participant", "change", member.pk)).content.decode()

    assert "9 are left" in shown
    assert [code for code in codes if code in shown or code.replace("-", "") in shown] == []
    assert bytes(spent.hash).hex() not in shown
