"""The pages as a person meets them: on a small phone, in the dark, by keyboard, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import browser, visit
from tests.browser.visitor import Visitor
from tests.factories import token_of
from tests.login.people import INSIDE, LOGIN, PASSWORD, TOKEN
from twofa.models import Challenge

__all__ = ["browser", "visit"]
pytestmark = pytest.mark.django_db(transaction=True)


def type_password(visitor: Visitor, person: Any, password: str = PASSWORD) -> None:
    visitor.go(LOGIN)
    visitor.page.fill("#id_username", person.get_username())
    visitor.page.fill("#id_password", password)
    visitor.follow()


def test_pages_are_readable_at_each_width_and_in_each_scheme(
    person: Any, live_server: Any, visit: Callable[..., Visitor]
):
    visitor = visit(live_server.url)
    type_password(visitor, person, "wrong")
    found = visitor.inspect()
    type_password(visitor, person)
    found += visitor.inspect()
    visitor.page.fill("#id_token", "ZZZZZZZZ")
    visitor.follow()
    found += visitor.inspect()
    person.set_password("another one")
    person.save()
    visitor.page.fill("#id_token", "ZZZZZZZZ")
    visitor.follow()
    found += visitor.inspect()

    assert "This sign-in has ended" in visitor.page.locator("h1").inner_text()
    assert found == []


def test_person_signs_in_by_keyboard_alone(person: Any, live_server: Any, visit: Callable[..., Visitor]):
    visitor = visit(live_server.url, java_script_enabled=False)
    visitor.go(INSIDE)
    visitor.page.keyboard.type(person.get_username())
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(PASSWORD)
    visitor.follow()
    assert visitor.page.url.startswith(f"{live_server.url}{TOKEN}")
    visitor.page.keyboard.type(token_of(Challenge.objects.get()))
    visitor.follow()

    assert visitor.page.url == f"{live_server.url}{INSIDE}"
