from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.flows.pumping import pump
from tests.statements import record_statements
from tests.stories import deliver_due
from twofa.flows import costs
from twofa.flows.costs import Spent
from twofa.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
MEMORY = {"BACKEND": "twofa.channels.memory.MemoryChannel"}


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The database's clock, as the costs read it: noon of 3 May."""
    monkeypatch.setattr(costs, "now", lambda: NOON)
    return NOON


def sent(shop: factories.Shop, number: int, at: datetime = NOON, **columns: Any) -> None:
    """Messages of `at`, of which the first was confirmed."""
    rows = pump(shop, number, confirmed=1, **columns)
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(created_at=at)


def test_campaign_without_a_message_has_its_days_and_nothing_else(shop: factories.Shop, noon: datetime):
    found = costs.of_campaign(shop.campaign, days=7)

    assert list(found.days) == [date(2026, 4, 27) + timedelta(days=day) for day in range(7)]
    assert set(map(str, found.days.values())) == {str(Spent())}
    assert (found.channels, found.prefixes, found.total, found.total.conversion) == ({}, [], Spent(), None)


def test_costs_are_summed_by_day_channel_and_prefix(shop: factories.Shop, noon: datetime):
    sent(shop, 3, cost=Decimal("0.05"))
    sent(shop, 2, NOON - timedelta(days=1), cost=Decimal("0.1"), prefix="+35191234", channel="whatsapp")
    sent(shop, 4, prefix="", channel="email")

    found = costs.of_campaign(shop.campaign, days=7)

    assert found.days[date(2026, 5, 3)] == Spent(sent=7, tokens=7, confirmed=2, priced=3, cost=Decimal("0.15"))
    assert found.days[date(2026, 5, 2)] == Spent(2, 2, 1, 2, Decimal("0.2"))
    assert found.channels == {
        "sms": Spent(3, 3, 1, 3, Decimal("0.15")),
        "whatsapp": Spent(2, 2, 1, 2, Decimal("0.2")),
        "email": Spent(4, 4, 1, 0, Decimal(0)),
    }
    assert found.total == Spent(9, 9, 3, 5, Decimal("0.35"))
    assert [(row.prefix, row.country, row.spent.sent) for row in found.prefixes] == [
        ("+35191234", "PT", 2),
        ("+551198765", "BR", 3),
    ]
    assert found.channels["sms"].conversion == pytest.approx(1 / 3)


def test_what_never_left_or_is_of_another_campaign_or_time_does_not_count(shop: factories.Shop, noon: datetime):
    sent(shop, 2, sent_at=None, status="failed")
    sent(factories.Shop(), 2)
    sent(shop, 2, NOON - timedelta(days=7))
    sent(shop, 2, NOON + timedelta(days=1))

    assert costs.of_campaign(shop.campaign, days=7).total == Spent()


def test_notice_is_no_token(shop: factories.Shop, noon: datetime):
    sent(shop, 2, challenge=None, generation=0)

    assert costs.of_campaign(shop.campaign, days=7).total == Spent(sent=2)


def test_token_that_was_confirmed_at_another_contact_is_not_confirmed_here(shop: factories.Shop, noon: datetime):
    sent(shop, 2)
    Delivery.objects.update(address="+5511900000000")

    assert costs.of_campaign(shop.campaign, days=7).total.confirmed == 0


def test_ten_prefixes_are_told_and_without_prices_those_with_the_most_messages(shop: factories.Shop, noon: datetime):
    for number in range(12):
        sent(shop, number + 1, prefix=f"+5511987{number:02}")

    found = costs.of_campaign(shop.campaign, days=7).prefixes

    assert [row.spent.sent for row in found] == list(range(12, 2, -1))


def test_costs_are_three_statements_however_many_there_are(shop: factories.Shop):
    for number in range(3):
        pump(shop, 4, prefix=f"+5511987{number:02}")

    with record_statements() as statements:
        costs.of_campaign(shop.campaign, days=90)

    assert len(statements) == 3


def test_cost_is_recorded_with_the_hand_off_by_the_same_statement(shop: factories.Shop, settings: Any):
    settings.TWOFA_CHANNELS = {"sms": {**MEMORY, "COST": "0.045"}}
    shop.open()
    with record_statements() as statements:
        deliver_due()

    assert Delivery.objects.get().cost == Decimal("0.045")
    assert sum('UPDATE "twofa_delivery"' in text for text in statements.counted) == 2, "the claim, and the hand-off"


def test_cost_is_unknown_where_no_price_is_set(shop: factories.Shop):
    shop.open()
    deliver_due()

    assert Delivery.objects.get().cost is None
