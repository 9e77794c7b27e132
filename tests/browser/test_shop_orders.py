"""Approvals, several at once, and later, in a real browser: readable, in one language, by keyboard, without scripts.

Each test has a shop, members and phones of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
import urllib3
from django.utils import timezone

from example_project.breakdowns import ENDING
from example_project.phone import read_messages
from example_project.shop.catalogue import PRODUCTS
from tests import factories
from tests.browser.buyers import BUYER, DIRECTOR, Colleague, open_company_shop, tomorrow, walk
from tests.browser.languages import leftovers
from tests.browser.visitor import WIDTHS, Visitor
from tests.example.serving import Served
from tests.example.shopping import World, latest_token
from tests.stories import deliver_due, travel
from twofa.channels.memory import outbox
from twofa.models import Delivery, Device, Redemption

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(live_server: Any, settings: Any) -> World:
    """A shop with a company's campaign, at the live server."""
    return open_company_shop(settings, live_server.url)


@pytest.fixture
def colleague(shop: World, live_server: Any, visit: Callable[..., Visitor]) -> Callable[..., Colleague]:
    """`colleague(member, **options of the browser)`: somebody at the shop's door."""

    def come(member: str, **options: Any) -> Colleague:
        return Colleague(visit(live_server.url, **{"locale": "en", **options}), member)

    return come


def test_pages_of_orders_are_readable_at_each_width_and_in_each_scheme(colleague: Callable[..., Colleague]):
    found, names, visitors = [], [], []
    for name, visitor in walk(colleague, latest_token):
        names.append(name)
        visitors.append(visitor)
        found += [f"{name}: {line}" for line in visitor.inspect()]
        visitor.page.set_viewport_size({"width": 320, "height": 900})
        found += [f"{name} at 320: {line}" for line in visitor.too_wide()]

    assert len(names) == 16
    assert found == []
    assert [trouble for visitor in visitors for trouble in visitor.troubles] == []


@pytest.mark.parametrize(("code", "language"), [("pt-BR", "pt_BR"), ("es", "es")])
def test_pages_of_orders_are_in_one_language(code: str, language: str, served: Served, visit: Callable[..., Visitor]):
    """Of Lucas and Marta at `make serve`, whom no other test knows; the suite's own server speaks English alone."""

    def come(member: str) -> Colleague:
        return Colleague(visit(served.base, locale=code), member)

    def token() -> str:
        return next(message.token for message in read_messages(served.var / "messages") if message.token)

    names = {str(product.name) for product in PRODUCTS}
    found: dict[str, list[str]] = {}
    # One page after the other: each is read while it is shown.
    webhooks = (("webhooks", told(visit(served.base, locale=code))) for _once in range(1))
    for name, visitor in chain(walk(come, token), webhooks):
        visitor.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        # An order keeps the words in which it was begun.
        texts = [text for text in visitor.texts() if text not in names]
        found[name] = leftovers(texts, language, "example_project", "twofa") + visitor.too_wide()
        assert visitor.page.get_attribute("html", "lang") == code.lower()

    assert len(found) == 17
    assert {name: lines for name, lines in found.items() if lines} == {}


def told(visitor: Visitor) -> Visitor:
    """Open the page that shows what the shop was told."""
    visitor.go("/webhooks/")
    return visitor


def test_page_of_webhooks_is_readable_and_follows_by_itself(served: Served, visit: Callable[..., Visitor]):
    visitor = told(visit(served.base, locale="en"))
    body, headers = b'{"type": "redemption.completed"}', {"webhook-id": f"msg_{time.monotonic_ns()}"}

    assert urllib3.request("POST", f"{served.base}/webhooks/", body=body, headers=headers).status == 401
    customer = Colleague(visit(served.base, locale="en"), "everyday:ana").arrive()
    customer.order("plant")

    for text in ("Refused: not signed by the programme", "redemption.completed"):
        visitor.page.get_by_text(text).first.wait_for()
    assert visitor.inspect() == []
    visitor.page.set_viewport_size({"width": 320, "height": 900})
    assert visitor.too_wide() == []
    assert visitor.troubles == []


def test_order_is_approved_by_keyboard_alone(colleague: Callable[..., Colleague]):
    colleague(BUYER).arrive().order("headphones")
    marta = colleague(DIRECTOR).arrive()
    visitor = marta.visitor

    for selector in ("a[href='/approvals/']", ".orders a"):
        visitor.tab_to(selector)
        assert visitor.shows_focus(), selector
        visitor.follow()
    assert marta.page.evaluate("document.activeElement.id") == "token"
    marta.page.keyboard.type(latest_token().lower())
    visitor.follow()

    assert marta.heading == "You approved it"
    assert visitor.troubles == []


def test_several_are_chosen_by_keyboard_alone(colleague: Callable[..., Colleague]):
    lucas = colleague(BUYER).arrive()
    visitor = lucas.visitor

    visitor.tab_to("main a[href='/several/']")
    visitor.follow()
    visitor.tab_to("#quantity-plant")
    assert visitor.shows_focus()
    lucas.page.keyboard.press("ArrowUp")
    lucas.page.keyboard.press("ArrowUp")
    visitor.tab_to("#quantity-mug")
    lucas.page.keyboard.press("ArrowUp")
    visitor.follow()

    assert "2 × Rubber plant" in lucas.text
    assert "2 lines, 3,049.50" in lucas.text
    lucas.page.keyboard.type(latest_token())
    visitor.follow()
    assert lucas.heading == "All of it is yours"
    assert visitor.troubles == []


def test_time_is_that_of_the_visitors_own_zone(colleague: Callable[..., Colleague]):
    lucas = colleague(BUYER, timezone_id="America/Sao_Paulo").arrive()
    lucas.visitor.go("/products/mug/")
    assert "America/Sao Paulo" in lucas.page.locator("#when-hint").inner_text()
    day = timezone.now() + timedelta(days=2)

    lucas.page.locator("#when").fill(f"{day:%Y-%m-%d}T09:30")
    lucas.press("form[action$='/order/'] button.primary")

    kept = Redemption.objects.get().scheduled_for
    assert kept is not None
    assert f"{kept:%Y-%m-%d %H:%M}" == f"{day:%Y-%m-%d} 12:30"
    assert "9:30" in lucas.page.locator(".sum").first.inner_text(), "shown as it was typed"
    assert lucas.visitor.troubles == []


def test_without_scripts_the_zone_is_said_plainly_and_all_of_it_works(colleague: Callable[..., Colleague]):
    lucas = colleague(BUYER, java_script_enabled=False, timezone_id="America/Sao_Paulo").arrive()
    lucas.visitor.go("/products/mug/")
    assert "The time is that of UTC" in lucas.text
    lucas.order("mug", when=tomorrow())
    lucas.type(latest_token())
    assert lucas.heading == "Confirmed, and scheduled"
    lucas.press("form[action$='/cancel/'] button")
    assert lucas.heading == "The order is cancelled"

    lucas.order_several(mug=1, plant=1)
    lucas.type(latest_token())
    assert lucas.heading == "All of it is yours"


def test_page_of_the_order_says_at_each_moment_which_way_the_token_goes(
    shop: World, colleague: Callable[..., Colleague], settings: Any, tmp_path: Any
):
    """Of a number for which the provider of SMS fails, and not for good: by the page that is open all the while."""
    failing = {"BACKEND": "example_project.breakdowns.FailingChannel", "OPTIONS": {"directory": tmp_path}}
    settings.TWOFA_CHANNELS = {**settings.TWOFA_CHANNELS, "sms": failing}
    settings.TWOFA_DELIVERY_MAX_TRIES = 2
    for channel in ("sms", "whatsapp"):
        factories.device(shop.ana, channel, f"+5511999991{ENDING}")
    ana = colleague("summer:ana").arrive()
    ana.order("mug")
    assert "By SMS" in ana.text

    deliver_due()
    ana.page.get_by_text("could not be handed over yet").wait_for()
    assert Device.objects.get(participant=shop.ana, channel="sms").destination in ana.text

    travel(timedelta(seconds=10))
    deliver_due()
    deliver_due()
    ana.page.get_by_text("SMS did not take it").wait_for()
    ana.page.locator(".clock .ticking").wait_for()
    assert "a new token goes by WhatsApp" in ana.text
    assert ana.visitor.barriers() == []
    assert [row.status for row in Delivery.objects.order_by("pk")] == ["failed", "sent"]

    ana.type(outbox[-1].token)
    assert ana.heading == "It is yours"
    assert "a token by WhatsApp" in ana.text
    assert ana.visitor.troubles == []
