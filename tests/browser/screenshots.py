"""A picture of each page, for people to look at: `make screenshots` fills build/screenshots.

No test, so its name is one that a run passes over. `SCREENSHOTS_LANGUAGE=pt-br` takes them in Portuguese.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.phone import read_messages
from example_project.staff.site import StaffAdminSite
from tests import factories
from tests.admin.conftest import World, make_world, page
from tests.admin.test_pages import MODELS
from tests.browser import applicant, buyers
from tests.browser.admin_pages import made_by_us, pages_of
from tests.browser.customer import Customer, walk
from tests.browser.desk import lay
from tests.browser.newcomer import Newcomer
from tests.browser.newcomer import walk as arrive
from tests.browser.visitor import SCHEMES, WIDTHS, Visitor
from tests.endpoints import make_endpoint, queue
from tests.example.blocks import ROOT
from tests.example.serving import Served
from tests.factories import token_of
from tests.flows.pumping import pump
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, confirm
from twofa.exceptions import TemporaryFailure
from twofa.flows import denials, holds
from twofa.models import Case, Delivery, Redemption
from twofa.models.clock import now

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


def press(visitor: Visitor, selector: str) -> None:
    """Press a button, and wait for the page that it leads to."""
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.locator(selector).first.click()


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


def test_ways_into_the_shop_and_the_page_of_safety(served: Served, visit: Callable[..., Visitor]) -> None:
    newcomer = Newcomer(visit(served.base, locale=LANGUAGE), served.var / "messages")
    for name in arrive(newcomer, "+55 11 99999-0158", "bia158"):
        take(newcomer.visitor, f"shop-{name}")


def test_orders_of_two_people_of_several_and_of_later(served: Served, visit: Callable[..., Visitor]) -> None:
    def come(member: str) -> buyers.Colleague:
        return buyers.Colleague(visit(served.base, locale=LANGUAGE), member)

    def token() -> str:
        return next(message.token for message in read_messages(served.var / "messages") if message.token)

    for name, visitor in buyers.walk(come, token):
        take(visitor, f"shop-{name}")
    visitor = visit(served.base, locale=LANGUAGE)
    visitor.go("/webhooks/")
    take(visitor, "shop-webhooks")


def test_link_of_it_was_not_me(world: World, live_server: Any, visit: Callable[..., Visitor]) -> None:
    Case.objects.all().delete()
    pk, seal = factories.link_of(world.challenge)
    visitor = visit(live_server.url, locale=LANGUAGE)
    visitor.go(f"/api/v1/not-me/{pk}/AAAA/")
    take(visitor, "not-me-broken")
    visitor.go(f"/api/v1/not-me/{pk}/{seal}/")
    take(visitor, "not-me")
    press(visitor, "main button, form button")
    take(visitor, "not-me-done")


def test_onboarding_of_the_shop(
    live_server: Any, settings: Any, documents_folder: Any, transactional_db: None, visit: Callable[..., Visitor]
) -> None:
    world = applicant.open_identity_shop(settings, live_server.url)
    # As on a phone where it is narrow: with a camera.
    visitor = visit(live_server.url, locale=LANGUAGE, has_touch=True)
    for name in applicant.walk(applicant.Applicant(visitor, world)):
        take(visitor, f"shop-onboarding-{name}")


def test_case_from_the_report_to_its_end(world: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    Case.objects.all().delete()
    case = denials.deny(*factories.link_of(world.challenge))
    visitor = signed_in(boss, locale=LANGUAGE)
    for state in ("held", "released"):
        if state == "released":
            holds.release(world.shop.device, by=factories.staff(), actor=STAFF, reason="Spoken with.")
        for name in ("change", "release-device", "close"):
            visitor.go(page("case", name, case.pk))
            take(visitor, f"case-{name}-{state}")


def test_forms_of_approvers_and_webhooks(world: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    visitor.go(page("participant", "entitle", world.shop.participant.pk))
    take(visitor, "entitle")
    visitor.go(page("storefront", "add-webhook", world.shop.storefront.pk))
    take(visitor, "webhook-endpoint-add")
    visitor.page.locator("[name=url]").fill("https://shop.example/hooks")
    press(visitor, "#content-main form [type=submit]")
    take(visitor, "webhook-secret")
    queue(make_endpoint(of=world.shop.storefront, host="hooks.shop-of-a-long-name.example"), status="sent")
    visitor.go(page("webhook", "changelist"))
    take(visitor, "webhook-log")


def test_lists_that_are_filled_from_elsewhere(boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    for model in ("approver", "webhookendpoint"):
        visitor.go(page(model, "changelist"))
        take(visitor, f"{model}-empty")


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_text_of_a_message(channel: str, world: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    visitor = signed_in(boss, locale=LANGUAGE)
    visitor.go(page("campaign", "message", world.shop.campaign.pk, "redemption.token", channel))
    field = visitor.page.locator("[name=en-text]")
    for name, text in (
        ("refused", "{% load i18n %}{{ amoun }} for {{ item }}"),
        ("preview", "{{ campaign }}: {{ amount }} {{ unit }} for {{ item }}? Type {{ token }} 🎧"),
    ):
        field.fill(text)
        press(visitor, "[name=_preview]")
        take(visitor, f"message-{channel}-{name}")


def test_figures_of_what_was_spent(
    world: World, settings: Any, boss: Client, signed_in: Callable[..., Visitor]
) -> None:
    settings.TWOFA_COST_CURRENCY = "BRL"
    spent = (("+5511987", 17, "0.045"), ("+3461234", 9, "0.09"), ("+1212555", 2, "0.12"), ("+4915112", 0, "0.2"))
    for prefix, confirmed, cost in spent:
        pump(world.shop, 20, prefix=prefix, confirmed=confirmed, cost=Decimal(cost))
    pump(world.shop, 3, prefix="+5521987")
    visitor = signed_in(boss, locale=LANGUAGE)
    visitor.go(page("campaign", "figures", world.shop.campaign.pk))
    take(visitor, "figures-costs")


def test_schedules_by_day(world: World, boss: Client, signed_in: Callable[..., Visitor]) -> None:
    shop = factories.Shop(two_factor_mode="off")
    for hours in (1, 2, 30, 31, 55, 300):
        shop.open(scheduled_for=now() + timedelta(hours=hours))
    visitor = signed_in(boss, locale=LANGUAGE)
    visitor.go(page("redemption", "schedules"))
    take(visitor, "schedules")


def test_door_of_staff(served: Served, visit: Callable[..., Visitor]) -> None:
    visitor = visit(served.base, locale=LANGUAGE)
    visitor.go("/admin/")
    take(visitor, "staff-login")
