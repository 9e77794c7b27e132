"""An address that nobody ever proved is not kept for ever: it may be a stranger's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.authenticators import enrol
from tests.stories import STAFF, deliver_due, travel, unchanged
from twofa.channels.memory import outbox
from twofa.flows import abandoned_devices, devices, purges, sweeps
from twofa.models import Authenticator, Challenge, Device, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
ADDRESS = "stranger@example.com"


def register(shop) -> Device:
    return devices.register(
        factories.participant(shop.campaign), storefront=shop.storefront, channel="email", address=ADDRESS,
        name="mail of Ana", actor=shop.actor,
    ).device  # fmt: skip


@pytest.fixture
def pending(shop) -> Device:
    """A device whose only challenge is over."""
    device = register(shop)
    travel(timedelta(hours=1))
    sweeps.sweep()
    assert not Challenge.objects.filter(status="pending").exists()
    return device


def purge() -> int:
    return sum(abandoned_devices.purge(now()))


def test_device_that_was_never_proved_is_revoked_and_emptied(pending):
    travel(91 * DAY)
    outbox.clear()
    assert purges.purge().counts["devices"] == 1
    pending.refresh_from_db()
    assert (pending.status, pending.name, pending.address, pending.destination) == ("revoked", "", "", "")
    assert pending.revoked_at is not None
    event = Event.objects.get(type="device.revoked")
    assert (event.device_id, event.actor_kind, event.data) == (pending.pk, "worker", {"reason": "abandoned"})
    deliver_due()
    assert not outbox
    with unchanged():
        assert purge() == 0


def test_device_stays_before_its_time_and_once_it_was_proved(shop, pending):
    travel(89 * DAY)
    with unchanged():
        assert purge() == 0
    travel(400 * DAY)
    assert purge() == 1
    shop.device.refresh_from_db()
    assert (shop.device.status, shop.device.address != "") == ("active", True)


def test_device_about_which_a_token_is_out_is_not_abandoned(shop, pending, settings):
    settings.TWOFA_RETENTION = {"onboarding": timedelta(0)}
    devices.resend(pending, storefront=shop.storefront, actor=shop.actor)
    with unchanged():
        assert purge() == 0


def test_device_for_which_a_token_was_asked_meanwhile_stays(shop, pending, monkeypatch):
    travel(91 * DAY)
    forget = abandoned_devices._forget

    def meanwhile(*args):
        devices.resend(pending, storefront=shop.storefront, actor=shop.actor)
        return forget(*args)

    monkeypatch.setattr(abandoned_devices, "_forget", meanwhile)
    assert purge() == 0
    pending.refresh_from_db()
    assert (pending.status, pending.address) == ("pending", ADDRESS)


def test_purge_takes_chunks_and_the_address_may_come_again(shop, pending, monkeypatch):
    monkeypatch.setattr(abandoned_devices, "BATCH", 1)
    register(shop)
    travel(91 * DAY)
    sweeps.sweep()
    assert list(abandoned_devices.purge(now())) == [1, 1]
    again = devices.register(
        pending.participant, storefront=shop.storefront, channel="email", address=ADDRESS, actor=STAFF
    )
    assert again.created


@pytest.fixture
def app(shop) -> Authenticator:
    """An app whose picture was shown, and whose code nobody ever typed."""
    shop.device.delete()
    return enrol(shop, name="Pixel").authenticator


def test_app_that_was_never_proved_is_revoked_and_its_secret_erased(app):
    travel(91 * DAY)
    assert purges.purge().counts["authenticators"] == 1
    app.refresh_from_db()
    assert (app.status, app.secret, app.name) == ("revoked", None, "")
    event = Event.objects.get(type="authenticator.revoked")
    assert (event.actor_kind, event.data) == ("worker", {"reason": "abandoned"})
    with unchanged():
        assert purges.purge().counts["authenticators"] == 0


def test_app_stays_before_its_time_and_once_it_was_proved_meanwhile(app, monkeypatch):
    travel(89 * DAY)
    with unchanged():
        assert list(abandoned_devices.purge_apps(now())) == []
    travel(2 * DAY)
    forget = abandoned_devices._forget_app

    def meanwhile(*args):
        at = now()
        app.change(status="active", confirmed=True, activated_at=at, approves_from=at, last_step=1)
        return forget(*args)

    monkeypatch.setattr(abandoned_devices, "_forget_app", meanwhile)
    assert list(abandoned_devices.purge_apps(now())) == [0]
    app.refresh_from_db()
    assert (app.status, app.name) == ("active", "Pixel")
