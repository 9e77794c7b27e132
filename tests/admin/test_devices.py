from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from twofa.models import Device, Event

REASON = {"reason": "Phone stolen; identity checked by voice."}


@pytest.mark.django_db(transaction=True)
def test_reset_revokes_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    device = world.shop.device

    response = staff("view_device", "reset_device").post(page("device", "reset", device.pk), REASON)

    assert response.status_code == 302
    device.refresh_from_db()
    assert (device.status, device.is_default) == ("revoked", False)
    event = Event.objects.get(device=device, type="device.revoked")
    assert (event.actor, event.data["reason"]) == ("maria", REASON["reason"])


def test_without_the_permission_a_device_is_not_reset(world: World, staff: Callable[..., Client]):
    client = staff("view_device", "change_device")

    assert client.post(page("device", "reset", world.shop.device.pk), REASON).status_code == 403
    assert Device.objects.get(pk=world.shop.device.pk).status == "active"


def test_revoked_device_offers_no_reset(world: World, boss: Client):
    device = world.shop.device
    revoked = factories.device(
        world.shop.participant, status="revoked", confirmed=False, is_default=False, usable_from=None, activated_at=None
    )

    assert page("device", "reset", device.pk) in boss.get(page("device", "change", device.pk)).content.decode()
    assert page("device", "reset", revoked.pk) not in boss.get(page("device", "change", revoked.pk)).content.decode()


def test_address_is_masked_everywhere(world: World, boss: Client):
    device = world.shop.device
    for address in (page("device", "changelist"), page("device", "change", device.pk)):
        shown = boss.get(address).content.decode()
        assert device.destination in shown
        assert device.address not in shown


def test_document_number_is_masked(world: World, boss: Client):
    participant = world.shop.participant
    participant.document_number = "39053344705"
    participant.save()

    shown = boss.get(page("participant", "change", participant.pk)).content.decode()

    assert "39053344705" not in shown
    assert "•••••••••05" in shown
