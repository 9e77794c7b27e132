from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone, translation

from tests import factories
from tests.admin.conftest import World, page
from tests.factories import token_of
from tests.statements import record_statements
from tests.stories import confirm, reject
from twofa.admin import figures as pages
from twofa.flows import figures
from twofa.flows.figures import Figures, Messages, Outcomes
from twofa.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert('x')</script>"
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


def shown(client: Client, campaign: Any, **query: Any) -> Any:
    response = client.get(page("campaign", "figures", campaign.pk), query)
    assert response.status_code == 200
    return response


def table(response: Any) -> dict[str, list[str]]:
    lines = [response.context["total"], *response.context["lines"]]
    return {line.name: [value for _label, value in line.cells] for line in lines}


def test_empty_campaign_has_its_days_with_zeros(boss: Client):
    response = shown(boss, factories.campaign())

    text = response.content.decode()
    assert "Nobody was asked for a token in this period." in text
    assert "No message was sent in this period." in text
    assert len(response.context["lines"]) == 30
    assert table(response)["in all"] == ["0"] * 7 + ["—"]
    assert dict(response.context["headline"])["Median time to confirm"] == "—"


def test_numbers_of_a_day_are_in_the_table_and_in_the_pictures(world: World, boss: Client):
    shop = world.shop
    reject(shop, world.redemption, 5)
    for _time in range(3):
        redemption = shop.open()
        confirm(shop, redemption, token_of(redemption.challenge))
    shop.open()

    response = shown(boss, shop.campaign, days=7)

    today = timezone.localdate().isoformat()
    assert table(response)[today] == ["5", "1", "3", "1", "0", "0", "1", "75.0%"]
    assert table(response)["in all"] == table(response)[today]
    charts = {row.id: [bar.count for bar in row.chart.bars] for row in response.context["rows"]}
    assert charts["twofa-issued"] == [0] * 6 + [5]
    assert charts["twofa-confirmed"] == [0] * 6 + [3]
    assert charts["twofa-rejected"] == [0] * 6 + [1]


@pytest.mark.parametrize(("days", "lines"), [("7", 7), ("30", 30), ("90", 90)])
def test_period_is_chosen_and_marked(days: str, lines: int, world: World, boss: Client):
    response = shown(boss, world.shop.campaign, days=days)

    assert len(response.context["lines"]) == lines
    assert re.findall(r'href="\?days=(\d+)" aria-current="page"', response.content.decode()) == [days]


@pytest.mark.parametrize("days", ["", "0", "-7", "31", "100000000", "7.5", "seven", "7\x00", HOSTILE, "٧"])
def test_period_that_is_not_offered_is_the_usual_one(days: str, world: World, boss: Client):
    response = shown(boss, world.shop.campaign, days=days)

    assert len(response.context["lines"]) == pages.DEFAULT
    assert HOSTILE not in response.content.decode()


def test_pictures_are_well_formed_named_and_need_nothing_from_elsewhere(world: World, boss: Client):
    text = shown(boss, world.shop.campaign).content.decode()

    # Those of Django's own page stand outside of the content.
    pictures = SVG.findall(text.partition('class="twofa-figures"')[2].partition("<!-- END Content -->")[0])
    assert len(pictures) == 5 + 1
    ids = []
    for picture in pictures:
        root = ET.fromstring(picture)  # noqa: S314 - our own page
        if root.get("aria-hidden") != "true":
            assert root.get("role") == "img"
            names = str(root.get("aria-labelledby")).split()
            assert [root.find(f"*[@id='{name}']").text for name in names] != [None, None]
            ids += names
    assert len(ids) == len(set(ids)) == 10
    assert not [found for found in ("http", "url(", "style=", "<script", "<image") if found in "".join(pictures)]


@pytest.mark.parametrize("language", ["en", "pt-br", "es", "de", "ar"])
def test_pictures_are_the_same_in_every_language(language: str, world: World, boss: Client):
    """A template writes numbers as people of a language do: `12,5` is no number in a picture."""
    boss.cookies["django_language"] = language
    with translation.override(language):
        context = pages.shown(figures.of_campaign(world.shop.campaign, days=30))

    measures = {bar.height for row in context["rows"] for bar in row.chart.bars} | {
        value for row in context["rows"] for bar in row.chart.bars for value in (bar.x, bar.y, bar.place)
    }
    assert [text for text in measures if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)] == []


def test_huge_numbers_stay_readable():
    days = {
        date(2026, 5, 3): Outcomes(issued=10**12, confirmed=10**12 - 1, open=1),
        date(2026, 5, 4): Outcomes(issued=1),
    }
    total = Outcomes(issued=10**12 + 1, confirmed=10**12 - 1, open=1)
    messages = Messages("sms", accepted=10**12, failed=10**9)
    messages.reasons.update({"timeout": 10**9, "a": 4, "b": 3, "c": 2, "d": 1})

    context = pages.shown(Figures(days, total, timedelta(days=400, seconds=1), [messages]))

    assert dict(context["headline"])["Issued"] == "1,000,000,000,001"
    assert dict(context["headline"])["Median time to confirm"] == "400 days 1 second"
    (line,) = context["messages_by_channel"]
    assert line["reasons"] == ["the provider did not answer in time: 1,000,000,000", "a: 4", "b: 3", "other reasons: 3"]
    assert line["rate"] == "0.1%"


def test_texts_of_others_are_escaped(world: World, boss: Client):
    type(world.shop.campaign).objects.update(name=HOSTILE, unit="<b>")
    Delivery.objects.update(status="failed", reason=HOSTILE, channel="<i>")

    text = shown(boss, world.shop.campaign).content.decode()

    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert "<i>" not in text


def test_failures_are_told_by_channel(world: World, boss: Client):
    Delivery.objects.update(status="failed", reason="recipient_refused")

    text = shown(boss, world.shop.campaign).content.decode()

    assert "the provider refused the recipient: 1" in text
    assert "100.0%" in text


def test_page_is_for_those_who_may_look_at_the_campaign(world: World, staff: Callable[..., Client]):
    address = page("campaign", "figures", world.shop.campaign.pk)

    assert staff("view_campaign", name="a").get(address).status_code == 200
    assert staff("view_redemption", "view_delivery", name="b").get(address).status_code == 403
    assert Client().get(address).status_code == 302


def test_figures_of_no_campaign_are_not_found(boss: Client):
    assert boss.get(page("campaign", "figures", 10**9)).status_code in (302, 404)
    assert boss.get(page("campaign", "figures", "x")).status_code in (302, 404)


def test_page_is_linked_from_the_list_and_from_the_campaign(world: World, staff: Callable[..., Client]):
    client = staff("view_campaign")
    campaign = world.shop.campaign

    for address in (page("campaign", "changelist"), page("campaign", "change", campaign.pk)):
        assert page("campaign", "figures", campaign.pk) in client.get(address).content.decode()


def test_page_costs_the_same_however_much_there_is(world: World, boss: Client):
    redemption = world.shop.open()
    confirm(world.shop, redemption, token_of(redemption.challenge))

    def cost() -> int:
        with record_statements() as statements:
            shown(boss, world.shop.campaign, days=90)
        return len(statements)

    assert cost() == 14, "session, user, campaign, four for the figures, three for costs, four for reviews of documents"
    for _time in range(4):
        redemption = world.shop.open()
        confirm(world.shop, redemption, token_of(redemption.challenge))
    assert cost() == 14


def test_days_are_those_of_the_page(world: World, boss: Client, settings: Any, monkeypatch: pytest.MonkeyPatch):
    """At 02:00 in Greenwich it is still the evening of the day before in Brazil."""
    settings.TIME_ZONE = "America/Sao_Paulo"
    monkeypatch.setattr(figures, "now", lambda: datetime(2026, 5, 4, 2, tzinfo=UTC))
    at = datetime(2026, 5, 4, 1, 59, tzinfo=UTC)
    type(world.challenge).objects.update(created_at=at)

    found = table(shown(boss, world.shop.campaign, days=7))

    assert found["2026-05-03"][0] == "1"
    assert "2026-05-04" not in found
