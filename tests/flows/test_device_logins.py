from __future__ import annotations

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.stories import deliver_due, refused
from twofa.channels.memory import outbox
from twofa.exceptions import (
    WrongState,
)
from twofa.flows import devices
from twofa.models import Challenge, Device

pytestmark = pytest.mark.django_db

PHONE = "+5511999990034"


@pytest.fixture
def bare(shop) -> factories.Shop:
    """A shop whose participant has no device yet."""
    shop.device.delete()
    return shop


def register(shop, address: str = PHONE, channel: str = "sms") -> devices.Registration:
    return devices.register(
        shop.participant, storefront=shop.storefront, channel=channel, address=address, actor=shop.actor
    )


def act(shop, verb: str, device: Device, **more):
    return getattr(devices, verb)(device, storefront=shop.storefront, actor=shop.actor, **more)


def sent_to(address: str) -> list[str]:
    deliver_due()
    return [message.token for message in outbox.to(address)]


# --- the first device -------------------------------------------------------------------------------------------------


# --- other storefronts, login -----------------------------------------------------------------------------------------


def test_challenge_of_one_storefront_is_answered_by_no_other(bare):
    registration = register(bare)
    (token,) = sent_to(PHONE)
    other = factories.storefront(bare.campaign)
    with refused(WrongState):
        devices.verify(registration.device, storefront=other, token=token, actor=bare.actor)
    assert act(bare, "verify", registration.device, token=token).status == "active"


def test_device_is_read_with_what_it_waits_for_by_those_who_serve_its_campaign(bare):
    registration = register(bare)
    read = devices.get(registration.device.uuid, storefront=bare.storefront)
    assert read.challenge.pk == registration.challenge.pk
    with pytest.raises(Device.DoesNotExist):
        devices.get(registration.device.uuid, storefront=factories.storefront())


@pytest.fixture
def login(shop) -> Challenge:
    return factories.login_challenge(shop)


def test_django_otp_opens_a_session_by_a_login_token_alone(shop, login):
    redemption_token = token_of(shop.open().challenge)
    assert shop.device.verify_token(redemption_token) is False
    assert shop.device.verify_token(token_of(login)) is True
    login.refresh_from_db()
    assert (login.status, login.attempts) == ("approved", 2)
    assert shop.device.verify_token("7K2M9Q") is False


def test_login_is_answered_five_times(shop, login):
    right = token_of(login)
    for _ in range(5):
        assert shop.device.verify_token(wrong_token(login)) is False
    assert shop.device.verify_token(right) is False
    login.refresh_from_db()
    assert (login.status, login.attempts) == ("rejected", 5)
