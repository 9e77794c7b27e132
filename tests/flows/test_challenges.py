from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests import factories
from tests.stories import points, refused, travel, unchanged
from twofa.exceptions import NotFound
from twofa.flows import challenges, devices
from twofa.models import Challenge

pytestmark = pytest.mark.django_db


@pytest.fixture
def of_device(shop) -> Challenge:
    shop.device.delete()
    return devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    ).challenge


def test_challenge_is_read_with_its_delivery_and_the_time(shop):
    redemption = shop.open()
    read = challenges.get(redemption.challenge.pk, storefront=shop.storefront)
    assert (read.pk, read.delivery_status, read.status) == (redemption.challenge.pk, "queued", "pending")
    assert read.read_at > read.created_at


def test_challenge_of_another_storefront_is_not_there(shop):
    redemption = shop.open()
    for pk, storefront in ((redemption.challenge.pk, factories.storefront(shop.campaign)), (uuid4(), shop.storefront)):
        with refused(NotFound):
            challenges.get(pk, storefront=storefront)


def test_reading_an_overdue_challenge_ends_it_and_what_waits_for_it(shop):
    redemption = shop.open()
    travel(timedelta(minutes=30))
    assert challenges.get(redemption.challenge.pk, storefront=shop.storefront).status == "expired"
    assert points(redemption) == ("expired", "released")


def test_reading_an_overdue_challenge_of_a_device_ends_it(shop, of_device):
    travel(timedelta(minutes=30))
    read = challenges.get(of_device.pk, storefront=shop.storefront)
    assert (read.status, read.seed) == ("expired", None)
    with unchanged():
        challenges.expire(read)


def test_challenge_is_not_ended_before_its_deadline(of_device):
    travel(timedelta(minutes=29, seconds=50))
    with unchanged():
        challenges.expire(of_device)
