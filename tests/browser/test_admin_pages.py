"""Each page of staff in a real browser: readable to all, nothing cut, nothing from elsewhere, in one language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World
from tests.admin.test_pages import MODELS
from tests.browser.admin_pages import DJANGOS, made_by_us, pages_of
from tests.browser.languages import leftovers
from tests.browser.visitor import Visitor


@pytest.mark.parametrize("model", MODELS)
def test_page_is_readable_at_each_width_and_in_each_scheme(
    model: str, world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    visitor = signed_in(boss, others=DJANGOS)
    addresses = made_by_us(pages_of(boss, model))

    found = []
    for address in addresses:
        assert visitor.go(address).status == 200
        found += visitor.inspect()

    assert len(addresses) >= 2
    assert found == []
    assert visitor.troubles == []


def test_refused_form_is_readable(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    visitor = signed_in(boss, others=DJANGOS)

    found = []
    for address in ("/admin/twofa/campaign/add/", f"/admin/twofa/redemption/{world.redemption.pk}/cancel/"):
        visitor.go(address)
        # As it was sent by something that does not know of required fields.
        visitor.page.evaluate("document.querySelectorAll('form').forEach((form) => { form.noValidate = true; })")
        visitor.page.locator("#content-main form [type=submit]").first.click()
        visitor.page.locator(".errorlist").first.wait_for()
        found += visitor.inspect()

    assert found == []
    assert visitor.troubles == []


@pytest.mark.parametrize(("code", "language"), [("pt-br", "pt_BR"), ("es", "es")])
def test_page_is_in_one_language(
    code: str, language: str, settings: Any, world: World, boss: Client, visit: Callable[..., Visitor]
):
    settings.LANGUAGE_CODE = code
    visitor = visit("")

    found = {}
    for model in MODELS:
        for address, html in pages_of(boss, model).items():
            assert f'<html lang="{code}"' in html
            # A key has the name that its host gave it.
            texts = [text for text in visitor.texts(html) if text not in settings.TWOFA_TOKEN_KEYS]
            found[address] = leftovers(texts, language, "twofa")

    assert len(found) > 30
    assert {address: texts for address, texts in found.items() if texts} == {}
