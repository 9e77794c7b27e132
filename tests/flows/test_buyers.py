from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.statements import record_statements
from tests.stories import confirm, travel
from twofa.exceptions import NotActive, NotFound
from twofa.flows import buyers
from twofa.models import Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def locked(shop) -> buyers.Buyer:
    return buyers.locked(shop.participant.external_id, storefront=shop.storefront, slug=shop.campaign.slug)


def test_buyer_comes_with_their_devices_the_default_one_first(shop):
    second = factories.device(shop.participant, "email")
    factories.device(shop.participant, "whatsapp", status="revoked", confirmed=False)
    factories.device(factories.participant(shop.campaign))
    buyer = locked(shop)
    assert (buyer.participant, buyer.campaign, buyer.user_active) == (shop.participant, shop.campaign, True)
    assert buyer.devices == [shop.device, second]
    assert abs(buyer.at - now()) < timedelta(seconds=5)


def test_buyer_without_devices_has_spent_all_the_same(shop):
    shop.open()
    shop.device.delete()
    buyer = locked(shop)
    assert (buyer.devices, buyer.spent) == ([], Decimal("150.00"))


def test_points_that_came_back_are_not_spent(shop):
    for status, counts in (("completed", True), ("failed", False), ("rejected", False), ("expired", False)):
        redemption = shop.open()
        if counts:
            confirm(shop, redemption, factories.token_of(redemption.challenge))
        else:
            Redemption.objects.filter(pk=redemption.pk).update(status=status, points="released")
    assert locked(shop).spent == Decimal("150.00")


def test_spent_is_the_participants_own_of_the_last_24_hours(shop):
    other = factories.participant(shop.campaign)
    factories.device(other)
    shop.open(participant=other.external_id)
    shop.open()
    assert locked(shop).spent == Decimal("150.00")
    travel(timedelta(hours=23, minutes=59, seconds=50))
    assert locked(shop).spent == Decimal("150.00")
    travel(timedelta(seconds=10))
    assert locked(shop).spent == 0


def test_sum_of_the_day_is_exact(shop):
    for amount in ("0.10", "0.20", "999999999999.69"):
        redemption = shop.open(amount=Decimal(amount))
        Redemption.objects.filter(pk=redemption.pk).update(created_at=now())
    assert locked(shop).spent == Decimal("999999999999.99")


@pytest.mark.postgres
def test_buyer_is_read_in_one_round_trip(shop):
    with record_statements() as statements:
        locked(shop)
    assert (len(statements.executed), len(statements)) == (1, 2)


def test_unknown_buyer_is_not_found(shop):
    with pytest.raises(NotFound) as of_participant:
        buyers.locked("u-nobody", storefront=shop.storefront, slug=shop.campaign.slug)
    with pytest.raises(NotFound) as of_campaign:
        buyers.locked(shop.participant.external_id, storefront=factories.storefront(), slug=shop.campaign.slug)
    assert (of_participant.value.params, of_campaign.value.params) == ({"resource": "participant"}, {})


@pytest.mark.parametrize("who", ["campaign", "participant", "user"])
def test_buyer_is_active_with_campaign_participant_and_user(shop, who):
    locked(shop).ensure_active()
    row = shop.participant.user if who == "user" else getattr(shop, who)
    row.is_active = False
    row.save()
    with pytest.raises(NotActive):
        locked(shop).ensure_active()
