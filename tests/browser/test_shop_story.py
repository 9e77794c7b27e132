"""The shop's story in a real browser, against `make serve`: by keyboard alone, with patience, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.browser.customer import Customer
from tests.browser.visitor import Visitor
from tests.example.serving import Served


@pytest.fixture
def customer(served: Served, visit: Callable[..., Visitor]) -> Customer:
    """Somebody at the shop's door."""
    return Customer(visit(served.base, locale="en"), served.var / "messages")


def tab(customer: Customer, selector: str, key: str = "Enter") -> None:
    """Go to a control by keyboard, see that it is marked, and press it."""
    customer.visitor.tab_to(selector)
    assert customer.visitor.shows_focus(), f"{customer.visitor.where}: {selector}"
    customer.visitor.follow(key)


def test_points_are_redeemed_by_keyboard_alone(customer: Customer):
    """By Bruno, whom no other test knows: he has no phone yet."""
    visitor, page = customer.visitor, customer.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.go("/")
    visitor.tab_to("a.skip")
    assert page.locator("a.skip").is_visible()
    tab(customer, "a[href='/products/mug/']")
    tab(customer, "main a[href^='/sign-in/']")
    tab(customer, "button[value='summer:bruno']", "Space")
    assert customer.heading == "Stoneware mug"

    tab(customer, "form[action$='/order/'] button")
    visitor.tab_to("#phone")
    page.keyboard.type("+55 11 99999-0099")
    visitor.follow()
    assert page.evaluate("document.activeElement.id") == "token"
    page.keyboard.type(customer.token().lower())
    visitor.follow()
    assert customer.heading == "Stoneware mug"

    tab(customer, "form[action$='/order/'] button")
    token = customer.token()
    page.keyboard.type(customer.wrong(token))
    visitor.follow()
    assert "4 more attempts" in page.locator("#notice").inner_text()
    assert page.evaluate("document.activeElement.id") == "token"
    assert customer.field.get_attribute("aria-invalid") == "true"

    page.evaluate("(text) => navigator.clipboard.writeText(text)", f" {token[:3]} {token[3:]}\n")
    page.keyboard.press("Control+V")
    visitor.follow()
    assert customer.heading == "It is yours"

    tab(customer, "main a[href='/orders/']")
    assert "Completed" in page.locator(".orders").inner_text()
    tab(customer, ".orders a")
    assert "649.50" in page.locator("main").inner_text()
    assert visitor.troubles == []


def test_new_token_is_sent_after_the_pause_and_replaces_the_one_before(customer: Customer):
    customer.sign_in()
    customer.order("lamp")
    first = customer.token()
    button = customer.page.locator(".resend button")

    assert button.get_attribute("aria-disabled") == "true"
    address = customer.page.url
    button.focus()
    customer.page.keyboard.press("Enter")
    customer.page.locator(".resend button:not([aria-disabled])").wait_for(timeout=60_000)
    assert customer.page.url == address
    assert customer.page.locator("#notice").count() == 0

    button.focus()
    customer.visitor.follow()
    second = customer.token()
    assert second != first
    customer.type(first)
    assert "4 attempts left" in customer.page.locator("main").inner_text()
    customer.type(second)
    assert customer.heading == "It is yours"
    assert customer.visitor.troubles == []


def test_time_that_is_left_runs_down(customer: Customer):
    customer.sign_in()
    customer.order("lamp")
    customer.token()
    clock = customer.page.locator(".clock .ticking")

    clock.wait_for()
    before = clock.inner_text()
    assert re.fullmatch(r"[0-4]:\d\d", before)
    customer.page.wait_for_function(
        "(shown) => document.querySelector('.clock .ticking').textContent !== shown", arg=before
    )

    assert re.fullmatch(r"[0-4]:\d\d", clock.inner_text())
    customer.press("form[action$='/cancel/'] button")
    assert customer.heading == "The order is cancelled"


def not_handed_over_yet(route: Route) -> None:
    """Answer with the page as it is while its message travels; what scripts ask for is as it is now."""
    if route.request.resource_type != "document":
        route.fallback()
        return
    answer = route.fetch()
    html = answer.text().replace('class="delivery"', 'class="delivery" data-travelling')
    route.fulfill(response=answer, body=re.sub(r'<p class="clock".*?id="clock-says"></p>', "", html, flags=re.DOTALL))


def test_page_stays_while_its_message_is_handed_over(customer: Customer):
    """Loaded anew, it would lose what somebody types, or a phone fills in, at that moment."""
    customer.sign_in()
    customer.order("lamp")
    customer.token()
    customer.page.route("**/orders/*/", not_handed_over_yet)
    customer.page.reload()
    assert customer.page.locator(".clock").count() == 0
    customer.page.evaluate("window.stayed = true")

    customer.page.locator(".clock .ticking").wait_for()

    assert customer.page.evaluate("window.stayed") is True
    assert re.fullmatch(r"[0-4]:\d\d", customer.page.locator(".clock .ticking").inner_text())
    customer.page.unroute_all()
    customer.press("form[action$='/cancel/'] button")


def test_points_are_redeemed_without_scripts(served: Served, visit: Callable[..., Visitor]):
    visitor = visit(served.base, locale="en", java_script_enabled=False)
    customer = Customer(visitor, served.var / "messages")
    customer.sign_in()
    customer.order("lamp")
    token = customer.token()

    customer.type(customer.wrong(token))
    assert "4 more attempts" in customer.page.locator("#notice").inner_text()
    customer.type(f"{token[:3]}-{token[3:]}")

    assert customer.heading == "It is yours"
    customer.press("main a[href='/orders/']")
    assert "Completed" in customer.page.locator(".orders").inner_text()
    assert visitor.troubles == []


def test_campaign_without_two_factor_asks_for_no_token(customer: Customer):
    customer.sign_in("everyday:ana")
    customer.order("mug")

    assert customer.heading == "It is yours"
    assert "none was needed" in customer.page.locator("main").inner_text()
