from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django_otp import devices_for_user, user_has_device
from django_otp.models import Device as OTPDevice

from tests import factories
from tests.models.violations import copy, tamper, violates
from twofa.models import Device
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def test_address_is_a_living_devices_own(shop):
    with violates("twofa_device_address"):
        copy(shop.device, is_default=False, uuid=Device().uuid)
    copy(shop.device, uuid=Device().uuid, is_default=False, status="revoked", confirmed=False)
    copy(shop.device, uuid=Device().uuid, is_default=False, channel="whatsapp")


def test_participant_has_one_default_device(shop):
    other = factories.device(shop.participant, "email")
    with violates("twofa_device_one_default"):
        tamper(other, is_default=True)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"status": "revoked"}, "twofa_device_"),
        ({"status": "pending", "is_default": False}, "twofa_device_confirmed"),
        ({"status": "pending", "confirmed": False}, "twofa_device_default_active"),
        ({"usable_from": None}, "twofa_device_usable_from"),
        ({"activated_at": None}, "twofa_device_usable_from"),
    ],
    ids=str,
)
def test_impossible_device_is_refused_by_the_database(shop, columns, constraint):
    with violates(constraint):
        tamper(shop.device, **columns)


def test_device_is_usable_from_the_end_of_its_cooling_off(shop):
    device, at = shop.device, now()
    device.usable_from = at
    assert device.is_usable(at)
    assert not device.is_usable(at - timedelta(milliseconds=1))
    for status in ("pending", "revoked"):
        assert not Device(status=status, usable_from=at).is_usable(at)


def test_django_otp_sees_active_devices_alone(shop):
    pending = factories.device(
        shop.participant, "email", status="pending", confirmed=False, activated_at=None, usable_from=None
    )
    user = shop.participant.user
    assert list(devices_for_user(user)) == [shop.device]
    assert set(devices_for_user(user, confirmed=None)) == {shop.device, pending}
    assert OTPDevice.from_persistent_id(shop.device.persistent_id) == shop.device
    assert not hasattr(shop.device, "token"), "nothing of SideChannelDevice, which keeps tokens in clear"


def test_held_device_is_there_for_django_otp_and_verifies_no_session(shop):
    """There: ``otp_required(if_configured=True)`` lets in whoever has no device."""
    shop.device.hold(now())
    device = OTPDevice.from_persistent_id(shop.device.persistent_id)
    assert (device.confirmed, device.is_held) == (False, True)
    assert user_has_device(shop.participant.user)
    assert list(devices_for_user(shop.participant.user, confirmed=False)) == []
    device.release()
    assert (device.confirmed, device.is_held) == (True, False)


def test_device_without_an_open_login_verifies_nothing(shop):
    challenge = shop.open().challenge
    tokens: list[Any] = [challenge.derive_token(), "", None, "7K2M9Q", [], b"x"]
    for token in tokens:
        assert shop.device.verify_token(token) is False


def test_address_is_not_in_its_texts(shop):
    for text in (str(shop.device), repr(shop.device)):
        assert shop.device.address not in text


def test_filters_of_devices(shop):
    revoked = factories.device(shop.participant, "email", status="revoked", confirmed=False, is_default=False)
    assert revoked not in Device.objects.living()
    assert list(Device.objects.active()) == [shop.device]
