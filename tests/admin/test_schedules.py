from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.statements import record_statements
from tests.stories import points
from twofa.models import Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def shop() -> factories.Shop:
    return factories.Shop(two_factor_mode="off", name="Summer")


def noon(days: int) -> datetime:
    return (now() + days * DAY).replace(hour=12, minute=0, second=0, microsecond=0)


def scheduled(shop: factories.Shop, days: int, amount: str = "150.00") -> Redemption:
    return shop.open(scheduled_for=noon(days), amount=Decimal(amount))


def tables(response: Any) -> list[list[list[str]]]:
    """The words of each row of each table."""
    return [[[str(cell.text) for cell in row] for row in section.rows] for section in response.context["sections"]]


def test_days_are_summed_for_each_campaign(shop: factories.Shop, boss: Client):
    other = factories.Shop(two_factor_mode="off", name="Winter", unit="miles")
    for row in (scheduled(shop, 2, "100.00"), scheduled(shop, 2, "0.50"), scheduled(shop, 3), scheduled(other, 2)):
        assert row.status == "scheduled"
    shop.open()

    (days,) = tables(boss.get(page("redemption", "schedules")))

    assert [row[1:] for row in days] == [
        ["Summer", "2", "100.50 points"],
        ["Winter", "1", "150.00 miles"],
        ["Summer", "1", "150.00 points"],
    ]


def test_day_lists_what_is_due_and_leads_to_its_cancellation(
    shop: factories.Shop, boss: Client, staff: Callable[..., Client]
):
    row, _later = scheduled(shop, 2), scheduled(shop, 3)
    chosen = {"day": noon(2).date().isoformat()}
    _days, due = tables(boss.get(page("redemption", "schedules"), chosen))
    shown = boss.get(page("redemption", "schedules"), chosen).content.decode()
    only_looks = staff("view_redemption").get(page("redemption", "schedules"), chosen).content.decode()

    assert [line[1] for line in due] == [row.order_id]
    assert page("redemption", "cancel", row.pk) in shown
    assert page("redemption", "cancel", row.pk) not in only_looks

    boss.post(page("redemption", "cancel", row.pk), {"reason": "Called off"})

    assert points(row) == ("cancelled", "released")
    assert tables(boss.get(page("redemption", "schedules"), chosen))[1] == []


def test_campaign_is_chosen_by_its_slug(shop: factories.Shop, boss: Client):
    other = factories.Shop(two_factor_mode="off", name="Winter")
    scheduled(shop, 2)
    row = scheduled(other, 2)

    days, due = tables(
        boss.get(page("redemption", "schedules"), {"campaign": other.campaign.slug, "day": noon(2).date().isoformat()})
    )

    assert [line[1] for line in days] == ["Winter"]
    assert [line[1] for line in due] == [row.order_id]


def test_days_are_those_of_the_time_zone_of_the_page(shop: factories.Shop, boss: Client, settings: Any):
    settings.TIME_ZONE = "America/Sao_Paulo"
    midnight = noon(2).astimezone(ZoneInfo("America/Sao_Paulo")).replace(hour=0)
    row = shop.open(scheduled_for=midnight - timedelta(seconds=1))
    eve = (midnight - DAY).date().isoformat()

    response = boss.get(page("redemption", "schedules"), {"day": eve})

    assert [line[1] for line in tables(response)[1]] == [row.order_id]
    assert "America/Sao_Paulo" in response.content.decode()


@pytest.mark.parametrize("query", [{"day": "yesterday"}, {"day": "\0"}, {"campaign": "<script>"}, {"campaign": "none"}])
def test_what_cannot_be_chosen_is_not_chosen(shop: factories.Shop, boss: Client, query: dict[str, str]):
    scheduled(shop, 2)

    assert boss.get(page("redemption", "schedules"), query).status_code == 200


def test_page_is_for_those_who_may_see_redemptions(staff: Callable[..., Client]):
    assert staff("view_campaign").get(page("redemption", "schedules")).status_code == 403


def test_page_costs_the_same_for_any_number(shop: factories.Shop, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            boss.get(page("redemption", "schedules"), {"day": noon(2).date().isoformat()})
        return len(statements)

    scheduled(shop, 2)
    cost()
    few = cost()
    for _number in range(12):
        scheduled(shop, 2)

    assert cost() == few <= 8


def test_redemptions_page_says_when(shop: factories.Shop, boss: Client):
    row = scheduled(shop, 2)
    shown = boss.get(page("redemption", "change", row.pk)).content.decode()

    assert "and scheduled: its points are spent on" in shown
    assert f"{noon(2):%Y-%m-%d} 12:00:00" in shown
