"""Signing up, an authenticator app and its recovery codes, signing in again: each page readable, each picture there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.phones import Phone
from tests.browser.customer import Customer
from tests.browser.visitor import Visitor
from tests.example.serving import Served

PASSWORD = "correct horse battery"


class Newcomer(Customer):
    """Who has no account yet."""

    def fill(self, **typed: str) -> None:
        """Fill in fields by their ids, and send the form that they stand in."""
        for name, text in typed.items():
            self.page.locator(f"#{name}").fill(text)
        self.press("form:has(#password) button.primary" if "password" in typed else "form:has(#address) button.primary")

    def join(self, number: str, username: str) -> list[str]:
        """Sign up; return what is wrong with the pages on the way."""
        found = []
        self.visitor.go("/sign-up/")
        found += self.visitor.inspect()
        self.fill(address="12345")
        found += self.visitor.inspect()
        self.fill(address=number)
        token = self.token()
        found += self.visitor.inspect()
        self.fill(token=token, name="Bia Lima", username=username, password="12345678")
        assert self.page.evaluate("document.activeElement.id") == "password", "and not the token, which was right"
        assert self.page.locator("[aria-invalid]").count() == 1
        found += self.visitor.inspect()
        self.fill(token=token, password=PASSWORD)
        assert self.visitor.where == "/safety/"
        return found + self.visitor.inspect()

    def come_back(self, username: str) -> None:
        self.press("form[action='/sign-out/'] button")
        self.visitor.go("/sign-in/")
        self.fill(username=username, password=PASSWORD)
        assert self.visitor.where == "/sign-in/token/"


@pytest.fixture
def newcomer(served: Served, visit: Callable[..., Visitor]) -> Newcomer:
    return Newcomer(visit(served.base, locale="en"), served.var / "messages")


def test_way_in_is_readable_and_says_at_its_field_what_is_wrong(newcomer: Newcomer):
    found = newcomer.join("+55 11 99999-0151", "bia151")

    newcomer.come_back("bia151")
    found += newcomer.visitor.inspect()
    token = newcomer.token()
    newcomer.fill(token=token, password="wrong horse")
    assert newcomer.page.evaluate("document.activeElement.id") == "password"
    assert newcomer.page.locator("[aria-invalid]").count() == 1
    found += newcomer.visitor.inspect()
    newcomer.fill(token=token, password=PASSWORD)

    assert newcomer.visitor.where == "/"
    assert found == []
    assert newcomer.visitor.troubles == []


def test_app_is_shown_as_a_picture_and_its_recovery_codes_let_in(newcomer: Newcomer):
    page, found = newcomer.page, newcomer.join("+55 11 99999-0152", "bia152")
    assert [button.inner_text() for button in page.locator(".sessions button").all()] == ["Sign out"]

    newcomer.press("form[action*='authenticator_add'] button")
    token = newcomer.token()
    found += newcomer.visitor.inspect()
    newcomer.type(token)
    assert page.locator(".qr img").evaluate("(image) => image.complete && image.naturalWidth") > 0
    found += newcomer.visitor.inspect()
    phone = Phone("otpauth://totp/x?secret=" + page.locator(".secret").inner_text().replace(" ", ""))
    newcomer.type(phone.wrong_code())
    assert "newest message" not in page.locator("main").inner_text()
    found += newcomer.visitor.inspect()
    newcomer.type(phone.code())
    codes = page.locator("#codes code").all_inner_texts()
    found += newcomer.visitor.inspect()
    newcomer.press("a.button")
    page.locator("[name=method][value=totp]").check()
    newcomer.press("form[action='/safety/'] button.primary")
    found += newcomer.visitor.inspect()

    newcomer.come_back("bia152")
    assert newcomer.field.get_attribute("inputmode") == "text", "a recovery code has letters"
    found += newcomer.visitor.inspect()
    newcomer.fill(token=codes[0], password=PASSWORD)
    newcomer.visitor.go("/safety/")
    newcomer.press("form[action*='recovery_codes'] button")
    assert newcomer.field.get_attribute("inputmode") == "text"
    found += newcomer.visitor.inspect()
    newcomer.type(codes[1])

    assert page.locator("#codes code").count() == 10
    assert found == []
    assert newcomer.visitor.troubles == []
