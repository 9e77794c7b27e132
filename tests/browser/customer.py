"""A customer of the demo's shop, with a phone beside the browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page

from example_project.phone import PhoneMessage, read_messages
from tests.browser.visitor import Visitor
from tests.servers.process import wait_until

PHONE = "+55 11 99999-0034"
MEMBER = "summer:ana"


@dataclass
class Customer:
    """Presses what a person would press; ``directory`` is where the development channels leave their messages."""

    visitor: Visitor
    directory: Path
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seen = {message.key for message in self._messages()}

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def press(self, selector: str) -> None:
        """Press a button or a link, and wait for the page that it leads to."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.locator(selector).first.click()

    def sign_in(self, member: str = MEMBER) -> None:
        self.visitor.go("/sign-in/")
        self.press(f"button[value='{member}']")

    def order(self, slug: str) -> None:
        """Begin to redeem a product; members without a phone are asked for one first."""
        self.visitor.go(f"/products/{slug}/")
        self.press("form[action$='/order/'] button")
        if self.page.url.endswith("/contacts/"):
            self.page.locator("#phone").fill(PHONE)
            self.press("form:has(#phone) button")
            self.type(self.token())
            self.press("form[action$='/order/'] button")

    def type(self, token: str) -> None:
        """Type a token where one is asked for, and send it."""
        self.field.fill(token)
        self.press(".token-form button")

    @property
    def field(self) -> Locator:
        return self.page.locator("#token")

    def token(self) -> str:
        """Return the token of the message that has just arrived, once the page knows of it as well."""
        fresh: list[PhoneMessage] = []

        def arrived() -> bool:
            fresh[:] = [message for message in self._messages() if message.key not in self.seen and message.token]
            return bool(fresh)

        wait_until(arrived, seconds=60, what="a message")
        self.seen |= {message.key for message in fresh}
        return fresh[0].token

    def wrong(self, token: str) -> str:
        return ("0" if token[0] != "0" else "1") + token[1:]

    def _messages(self) -> list[PhoneMessage]:
        return read_messages(self.directory)


def walk(customer: Customer, number: str) -> Iterator[str]:
    """Stop at each of the shop's pages, and say its name; ``number`` is a phone that the member has not given yet."""
    visitor = customer.visitor
    for path, name in (("/", "front"), ("/sign-in/", "sign-in")):
        visitor.go(path)
        yield name
    customer.sign_in()
    for path, name in (("/", "front-signed-in"), ("/products/lamp/", "product"), ("/contacts/", "contacts")):
        visitor.go(path)
        yield name
    customer.page.locator("#phone").fill("12345")
    customer.press("form:has(#phone) button")
    yield "contacts-refused"
    yield from _give_phone(customer, number)
    yield from _redeem(customer)
    for path, name in (("/orders/", "orders"), ("/contacts/", "contacts-known"), ("/phone/", "phone")):
        visitor.go(path)
        yield name


def _give_phone(customer: Customer, number: str) -> Iterator[str]:
    customer.page.locator("#phone").fill(number)
    customer.press("form:has(#phone) button")
    token = customer.token()
    customer.page.reload()
    if customer.page.locator("form[action$='/authorize/']").count():
        yield "contact-authorize"
        customer.type(token)
        token = customer.token()
        customer.page.reload()
    yield "contact-verify"
    customer.type(token)
    customer.press(".devices a")
    yield "contact"


def _redeem(customer: Customer) -> Iterator[str]:
    customer.order("lamp")
    token = customer.token()
    customer.page.reload()
    yield "order-token"
    customer.type(customer.wrong(token))
    yield "order-refused"
    customer.type(token)
    yield "order-completed"
    customer.order("lamp")
    customer.token()
    customer.press("form[action$='/cancel/'] button")
    yield "order-cancelled"
