"""Somebody who has no account yet: signs up, adds an authenticator app, and comes back with a recovery code."""

from __future__ import annotations

from collections.abc import Iterator

from tests.api.phones import Phone
from tests.browser.customer import Customer

PASSWORD = "correct horse battery"
_PAUSE = 1200
"""Milliseconds after a wrong code, within which django-otp judges no other."""


class Newcomer(Customer):
    """Who has no account yet."""

    def fill(self, **typed: str) -> None:
        """Fill in fields by their ids, and send the form that they stand in."""
        for name, text in typed.items():
            self.page.locator(f"#{name}").fill(text)
        self.press("form:has(#password) button.primary" if "password" in typed else "form:has(#address) button.primary")

    def sign_out(self) -> None:
        self.press("form[action='/sign-out/'] button")


def walk(newcomer: Newcomer, number: str, username: str) -> Iterator[str]:
    """Stop at each page of the ways in and of the member's safety, and say its name; nobody else has this number."""
    yield from _sign_up(newcomer, number, username)
    codes: list[str] = []
    yield from _add_app(newcomer, codes)
    yield from _come_back(newcomer, username, codes)


def _sign_up(newcomer: Newcomer, number: str, username: str) -> Iterator[str]:
    newcomer.visitor.go("/sign-up/")
    yield "sign-up"
    newcomer.fill(address="12345")
    yield "sign-up-refused"
    newcomer.fill(address=number)
    token = newcomer.token()
    yield "sign-up-token"
    newcomer.fill(token=token, name="Bia Lima", username=username, password="12345678")
    yield "sign-up-token-refused"
    newcomer.fill(token=token, password=PASSWORD)
    yield "safety-new"


def _add_app(newcomer: Newcomer, codes: list[str]) -> Iterator[str]:
    page = newcomer.page
    newcomer.press("form[action*='authenticator_add'] button")
    token = newcomer.token()
    yield "agree"
    newcomer.type(newcomer.wrong(token))
    yield "agree-refused"
    newcomer.type(token)
    yield "app"
    phone = Phone("otpauth://totp/x?secret=" + page.locator(".secret").inner_text().replace(" ", ""))
    newcomer.type(phone.wrong_code())
    yield "app-refused"
    page.wait_for_timeout(_PAUSE)
    newcomer.type(phone.code())
    codes += page.locator("#codes code").all_inner_texts()
    yield "recovery-codes"
    newcomer.press("a.button")
    page.locator("[name=method][value=totp]").check()
    newcomer.press("form[action='/safety/'] button.primary")
    yield "safety-with-app"


def _come_back(newcomer: Newcomer, username: str, codes: list[str]) -> Iterator[str]:
    newcomer.sign_out()
    newcomer.visitor.go("/sign-in/")
    newcomer.fill(username=username, password="wrong horse")
    yield "sign-in-refused"
    newcomer.fill(username=username, password=PASSWORD)
    yield "sign-in-app"
    newcomer.fill(token=codes[0], password="wrong horse")
    yield "sign-in-app-refused"
    newcomer.fill(token=codes[0], password=PASSWORD)
    newcomer.visitor.go("/safety/")
    newcomer.press("form[action*='recovery_codes'] button")
    yield "agree-by-app"
    newcomer.type(codes[1])
    yield "recovery-codes-new"
