"""What a script adds to the staff's pages: filters that fold on a phone, and a key that is copied by a click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World, page
from tests.browser.visitor import Visitor


@pytest.mark.parametrize(("width", "is_open"), [(390, False), (1280, True)])
def test_filters_are_folded_on_a_phone(
    width: int, is_open: bool, world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    visitor = signed_in(boss)
    visitor.page.set_viewport_size({"width": width, "height": 900})

    visitor.go(page("redemption", "changelist"))

    first = visitor.page.locator("#changelist-filter a").first
    assert first.is_visible() == is_open
    if not is_open:
        visitor.page.locator(".twofa-fold > summary").press("Enter")
        assert first.is_visible()
    assert visitor.troubles == []


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_list_shows_all_of_its_columns_on_a_small_desktop(
    language: str, lived: World, settings: Any, boss: Client, signed_in: Callable[..., Visitor]
):
    settings.LANGUAGE_CODE = language
    visitor = signed_in(boss, locale=language)
    visitor.page.set_viewport_size({"width": 1280, "height": 900})

    wide = {}
    for model in ("accesstoken", "authenticator", "challenge", "delivery", "device", "participant", "redemption"):
        visitor.go(page(model, "changelist"))
        wide[model] = visitor.page.locator(".results").evaluate("(list) => list.scrollWidth - list.clientWidth")

    assert {model: more for model, more in wide.items() if more > 0} == {}


def test_long_filter_is_folded_while_nothing_is_chosen_in_it(
    world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    visitor = signed_in(boss)
    address = page("webhook", "changelist")

    def opened() -> list[str]:
        summaries = visitor.page.locator("#changelist-filter details[data-filter-title][open] > summary")
        return [text.strip() for text in summaries.all_inner_texts()]

    visitor.go(address)
    assert opened() == ["By status", "By date"]
    visitor.page.get_by_text("By webhook").click()
    visitor.page.get_by_role("link", name="Redemption completed").click()
    visitor.page.wait_for_url(f"**{address}?webhook=redemption.completed")
    assert "By webhook" in opened()
    assert visitor.troubles == []


def test_key_is_copied_by_a_click(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    visitor = signed_in(boss)
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.go(page("storefront", "issue-key", world.shop.storefront.pk))
    visitor.page.locator(".submit-row [type=submit]").click()
    copy = visitor.page.get_by_role("button", name="Copy the key")

    copy.click()

    visitor.page.get_by_role("button", name="Copied").wait_for()
    copied = visitor.page.evaluate("navigator.clipboard.readText()")
    assert copied == visitor.page.locator("#twofa-key").input_value()
    assert visitor.troubles == []
