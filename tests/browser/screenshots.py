"""A picture of each page, for people to look at: `make screenshots` fills build/screenshots.

No test, so its name is one that a run passes over. `SCREENSHOTS_LANGUAGE=pt-br` takes them in Portuguese.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff.site import StaffAdminSite
from tests import factories
from tests.admin.conftest import World, make_world
from tests.admin.test_pages import MODELS
from tests.browser import applicant
from tests.browser.admin_pages import made_by_us, pages_of
from tests.browser.customer import Customer, walk
from tests.browser.desk import lay
from tests.browser.visitor import SCHEMES, WIDTHS, Visitor
from tests.example.blocks import ROOT
from tests.example.serving import Served
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm
from twofa.exceptions import TemporaryFailure
from twofa.models import Delivery, Redemption

LANGUAGE = os.environ.get("SCREENSHOTS_LANGUAGE", "en")
FOLDER = ROOT / "build" / "screenshots" / LANGUAGE


@pytest.fixture(autouse=True)
def as_in_the_example(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the suite's admin, which has every row to show, the name, the words and the models of the example's."""
    settings.LANGUAGE_CODE = LANGUAGE
    settings.LOCALE_PATHS = [ROOT / "example_project" / "locale"]
    for name in ("site_header", "site_title"):
        monkeypatch.setattr(admin.site, name, getattr(StaffAdminSite, name))
    for model in (StaticDevice, TOTPDevice):
        monkeypatch.delitem(admin.site._registry, model)


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
def test_pages_of_staff(model: str, lived: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    for address in pages_of(boss, model):
        visitor.go(address)
        take(visitor, name_of(address))


def test_review_from_its_queue_to_a_rejection(world: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    address = lay(world)
    visitor = signed_in(boss, locale=LANGUAGE)
    visitor.go("/admin/twofa/identitydocument/")
    take(visitor, "admin-twofa-identitydocument-queue")
    visitor.go(address)
    take(visitor, "review-not-begun")
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.locator("[name=do][value=claim]").click()
    take(visitor, "review-begun")
    for key in ("o", "o", "+", "r"):
        visitor.page.keyboard.press(key)
    take(visitor, "review-rejecting")


def test_redemptions_in_each_state(lived: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    tools = "(all) => all.map((one) => one.pathname)"
    for status in Redemption.Status.values:
        if (row := Redemption.objects.filter(status=status).first()) is not None:
            visitor.go(f"/admin/twofa/redemption/{row.pk}/change/")
            take(visitor, f"admin-twofa-redemption-{status}")
            for address in made_by_us(visitor.page.locator(".object-tools a").evaluate_all(tools)):
                visitor.go(address)
                take(visitor, f"{name_of(address)}-{status}")


def test_pages_that_are_empty_on_good_days(settings: Any, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    for state in ("empty", "filled"):
        if state == "filled":
            make_world(test=True)
            get_stuck(settings)
        for address in ("/admin/twofa/redemption/stuck/", "/admin/twofa/delivery/sandbox/"):
            visitor.go(address)
            take(visitor, f"{name_of(address)}-{state}")


def get_stuck(settings: Any) -> None:
    """Have a message fail, and the points of another redemption not be booked."""
    shop = factories.Shop()
    Delivery.objects.filter(challenge=shop.open().challenge).update(status="failed", reason="timeout")
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
    parked = shop.open()
    confirm(shop, parked, token_of(parked.challenge))


def test_pages_of_the_shop(served: Served, visit: Callable[..., Visitor]) -> None:
    customer = Customer(visit(served.base, locale=LANGUAGE), served.var / "messages")
    for name in walk(customer, "+55 11 99999-0037"):
        take(customer.visitor, f"shop-{name}")


def test_onboarding_of_the_shop(
    live_server: Any, settings: Any, documents_folder: Any, transactional_db: None, visit: Callable[..., Visitor]
) -> None:
    world = applicant.open_identity_shop(settings, live_server.url)
    # As on a phone where it is narrow: with a camera.
    visitor = visit(live_server.url, locale=LANGUAGE, has_touch=True)
    for name in applicant.walk(applicant.Applicant(visitor, world)):
        take(visitor, f"shop-onboarding-{name}")


def test_door_of_staff(served: Served, visit: Callable[..., Visitor]) -> None:
    visitor = visit(served.base, locale=LANGUAGE)
    visitor.go("/admin/")
    take(visitor, "staff-login")
