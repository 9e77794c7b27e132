from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World, page
from tests.flows.pumping import PREFIX, pump
from tests.statements import record_statements
from twofa.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def tables(client: Client, world: World) -> dict[str, Any]:
    response = client.get(page("campaign", "figures", world.shop.campaign.pk), {"days": 7})
    assert response.status_code == 200
    return {section.anchor: section for section in response.context["costs"]}


def texts(section: Any) -> list[list[str]]:
    return [[str(cell.text) for cell in row] for row in section.rows]


def test_page_tells_what_was_spent_where(world: World, boss: Client, settings: Any):
    settings.TWOFA_COST_CURRENCY = "BRL"
    pump(world.shop, 20, confirmed=1, cost=Decimal("0.045"))
    Delivery.objects.filter(pk=world.delivery.pk).update(cost=Decimal("0.1"))

    found = tables(boss, world)

    assert texts(found["costs"])[0] == ["in all", "21", "21", "1", "4.8%", "1.00 BRL"]
    assert texts(found["costs-by-channel"]) == [["SMS", "21", "21", "1", "4.8%", "1.00 BRL"]]
    assert texts(found["costs-by-prefix"])[0] == [f"{PREFIX}…", "BR", "20", "20", "1", "5.0%", "0.90 BRL"]
    assert "By the prices of the settings" in str(found["costs"].note)


def test_page_says_where_no_price_is_known(world: World, boss: Client):
    Delivery.objects.update(cost=Decimal("0.000125"))
    pump(world.shop, 3)

    section = tables(boss, world)["costs"]

    assert "of 3 messages nobody knows the price" in str(section.note)
    assert texts(section)[0][-1] == "0.000125"


def test_campaign_without_a_message_has_no_table(world: World, boss: Client):
    Delivery.objects.update(sent_at=None)

    assert tables(boss, world) == {}


def test_message_without_a_known_price_has_none(world: World, boss: Client):
    section = tables(boss, world)["costs-by-channel"]

    assert texts(section)[0][-1] == "—"
    assert page("delivery", "change", world.delivery.pk)


def test_page_costs_the_same_with_many_prefixes(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            tables(boss, world)
        return len(statements)

    few = cost()
    for number in range(12):
        pump(world.shop, 2, prefix=f"+5511987{number:02}")

    assert cost() == few
