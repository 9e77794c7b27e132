"""A picture of each page, for people to look at: `make screenshots` fills build/screenshots.

No test, so its name is one that a run passes over. `SCREENSHOTS_LANGUAGE=pt-br` takes them in Portuguese.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World
from tests.admin.test_pages import MODELS
from tests.browser.admin_pages import made_by_us, pages_of
from tests.browser.customer import Customer, walk
from tests.browser.visitor import SCHEMES, WIDTHS, Visitor
from tests.example.serving import Served
from twofa.models import Redemption

LANGUAGE = os.environ.get("SCREENSHOTS_LANGUAGE", "en")
FOLDER = Path(__file__).parents[2] / "build" / "screenshots" / LANGUAGE


def take(visitor: Visitor, name: str) -> None:
    """Write the page as it stands at each width and in each scheme, to its end."""
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            visitor.page.emulate_media(color_scheme=scheme)
            visitor.page.evaluate("document.getAnimations().forEach((one) => one.finish())")
            visitor.page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png", full_page=True)


def name_of(address: str) -> str:
    """Return a file's name for a page: its address, without the numbers of rows."""
    return re.sub(r"/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27})/", "/", address).strip("/").replace("/", "-") or "home"


@pytest.mark.parametrize("model", MODELS)
def test_pages_of_staff(
    model: str, settings: Any, lived: World, boss: Client, signed_in: Callable[..., Visitor]
) -> None:
    settings.LANGUAGE_CODE = LANGUAGE
    visitor = signed_in(boss, locale=LANGUAGE)
    for address in pages_of(boss, model):
        visitor.go(address)
        take(visitor, name_of(address))


def test_redemptions_in_each_state(
    settings: Any, lived: World, boss: Client, signed_in: Callable[..., Visitor]
) -> None:
    settings.LANGUAGE_CODE = LANGUAGE
    visitor = signed_in(boss, locale=LANGUAGE)
    tools = "(all) => all.map((one) => one.pathname)"
    for status in Redemption.Status.values:
        if (row := Redemption.objects.filter(status=status).first()) is not None:
            visitor.go(f"/admin/twofa/redemption/{row.pk}/change/")
            take(visitor, f"admin-twofa-redemption-{status}")
            for address in made_by_us(visitor.page.locator(".object-tools a").evaluate_all(tools)):
                visitor.go(address)
                take(visitor, f"{name_of(address)}-{status}")


def test_pages_of_the_shop(served: Served, visit: Callable[..., Visitor]) -> None:
    customer = Customer(visit(served.base, locale=LANGUAGE), served.var / "messages")
    for name in walk(customer, "+55 11 99999-0034"):
        take(customer.visitor, f"shop-{name}")


def test_door_of_staff(served: Served, visit: Callable[..., Visitor]) -> None:
    visitor = visit(served.base, locale=LANGUAGE)
    visitor.go("/admin/")
    take(visitor, "staff-login")
