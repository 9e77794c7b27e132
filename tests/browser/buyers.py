"""Two people at a shop of the test's own: who orders and who approves, each at a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from playwright.sync_api import Page

from tests.browser.visitor import Visitor
from tests.example.blocks import ROOT
from tests.example.shopping import World, open_shop

BUYER, DIRECTOR = "company:lucas", "company:marta"


def open_company_shop(settings: Any, address: str) -> World:
    """A shop with a company's campaign."""
    settings.STATICFILES_DIRS = [ROOT / "example_project" / "static"]
    settings.LANGUAGES = [(code, name) for code, name in settings.LANGUAGES if code in ("pt-br", "es", "en")]
    world = open_shop(settings, address)
    world.found_company()
    return world


@dataclass
class Colleague:
    """Presses what a person would press."""

    visitor: Visitor
    member: str

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def arrive(self) -> Colleague:
        self.visitor.go("/sign-in/")
        self.press(f"button[value='{self.member}']")
        return self

    def press(self, selector: str) -> None:
        """Press a button or a link, and wait for the page that it leads to."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.locator(selector).first.click()

    def order(self, slug: str, *, when: str = "") -> None:
        self.visitor.go(f"/products/{slug}/")
        if when:
            self.page.locator("#when").fill(when)
        self.press("form[action$='/order/'] button.primary")

    def order_several(self, **quantities: int) -> None:
        self.visitor.go("/several/")
        for slug, quantity in quantities.items():
            self.page.locator(f"#quantity-{slug}").fill(str(quantity))
        self.press("form[action='/several/'] button.primary")

    def is_told(self, outcome: str) -> None:
        """Wait until the page that is open has moved to an outcome by itself."""
        self.page.locator(f".outcome-{outcome}").wait_for()

    def type(self, token: str) -> None:
        self.page.locator("#token").fill(token)
        self.press(".token-form button")


def tomorrow() -> str:
    return f"{datetime.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"


def walk(colleague: Callable[[str], Colleague], token: Callable[[], str]) -> Iterator[tuple[str, Visitor]]:
    """Stop at each page of orders with two people, of several at once, and of later; say its name, and whose it is.

    Nothing is left waiting. ``token`` returns the newest one.
    """
    lucas, marta = colleague(BUYER), colleague(DIRECTOR)
    lucas.arrive()
    marta.arrive().visitor.go("/approvals/")
    yield "approvals-none", marta.visitor
    yield from _approve(lucas, marta, token)
    yield from _several(lucas, marta, token)
    yield from _later(lucas, marta, token)


def _approve(lucas: Colleague, marta: Colleague, token: Callable[[], str]) -> Iterator[tuple[str, Visitor]]:
    lucas.order("bicycle")
    yield "product-refused", lucas.visitor
    lucas.order("headphones")
    yield "order-of-two", lucas.visitor
    marta.visitor.go("/approvals/")
    yield "approvals", marta.visitor
    marta.press(".orders a")
    yield "approval", marta.visitor
    marta.type(token())
    yield "approved", marta.visitor


def _several(lucas: Colleague, marta: Colleague, token: Callable[[], str]) -> Iterator[tuple[str, Visitor]]:
    lucas.visitor.go("/several/")
    yield "several", lucas.visitor
    lucas.order_several(mug=2, kettle=1)
    yield "batch", lucas.visitor
    marta.visitor.go("/approvals/")
    marta.press(".orders a")
    yield "batch-approval", marta.visitor
    marta.type(token())
    lucas.is_told("completed")
    yield "batch-completed", lucas.visitor
    lucas.press(".lines a")
    yield "line", lucas.visitor


def _later(lucas: Colleague, marta: Colleague, token: Callable[[], str]) -> Iterator[tuple[str, Visitor]]:
    # With what he has ordered before it comes to so much that she is asked.
    lucas.order("mug", when="2020-01-01T10:00")
    yield "product-too-early", lucas.visitor
    lucas.order("mug", when=tomorrow())
    yield "order-of-tomorrow", lucas.visitor
    marta.visitor.go("/approvals/")
    marta.press(".orders a")
    marta.type(token())
    lucas.is_told("scheduled")
    yield "order-scheduled", lucas.visitor
    lucas.press("form[action$='/cancel/'] button")
    yield "order-cancelled", lucas.visitor
    lucas.visitor.go("/orders/")
    yield "orders", lucas.visitor
