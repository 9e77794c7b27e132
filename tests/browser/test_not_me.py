"""The page behind the link, as a person meets it: on a small phone, in the dark, by keyboard, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.admin.conftest import World
from tests.browser.visitor import Visitor
from tests.factories import link_of
from twofa.models import Case, Redemption

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def denied(world: World) -> str:
    """The address of the link in the world's message."""
    Case.objects.all().delete()
    pk, seal = link_of(world.challenge)
    return f"/api/v1/not-me/{pk}/{seal}/"


def test_page_is_readable_at_each_width_and_in_each_scheme(
    denied: str, live_server: Any, visit: Callable[..., Visitor]
):
    visitor = visit(live_server.url)
    found = []
    for address in (denied, f"{denied[:-5]}AAAA/"):
        visitor.go(address)
        found += [f"{address}: {line}" for line in visitor.inspect()]

    assert found == []


def test_it_is_stopped_by_keyboard_alone(denied: str, world: World, live_server: Any, visit: Callable[..., Visitor]):
    visitor = visit(live_server.url, java_script_enabled=False)
    visitor.go(denied)
    visitor.page.keyboard.press("Tab")
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")

    assert visitor.page.url == f"{live_server.url}{denied}"
    assert "It is stopped" in visitor.page.locator("[role=status]").inner_text()
    assert Redemption.objects.get(pk=world.redemption.pk).status == "rejected"
    assert Case.objects.count() == 1
    assert visitor.troubles == []
