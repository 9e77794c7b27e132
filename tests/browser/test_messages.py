"""The preview of a message in a real browser: it follows what is typed, and nothing is saved by it."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.admin.conftest import World, page
from tests.browser.visitor import Visitor
from twofa.models import MessageTemplate


def test_preview_follows_what_is_typed(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    visitor = signed_in(boss)
    visitor.go(page("campaign", "message", world.shop.campaign.pk, "redemption.token", "sms"))
    field = visitor.page.locator("[name=en-text]")
    preview = visitor.page.locator("#twofa-previews article").last

    field.fill("Hi! {{ amount }} for {{ item }}: {{ token }}")
    preview.get_by_text("Hi! 15,000 for Wireless headphones: 7K2M9Q").wait_for()
    field.fill("Hi! {{ amount }} for {{ item }}")
    preview.get_by_text("What is wrong stands beside the text.").wait_for()
    row = visitor.page.locator(".form-row", has=field)
    assert "It must show {{ token }}" in row.inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert field.input_value().endswith("for {{ item }}")
    field.fill("Hi! {{ amount }} for {{ item }}: {{ token }}")
    preview.get_by_text("7K2M9Q").wait_for()
    assert row.locator(".errorlist").count() == 0

    assert visitor.troubles == []
    assert not MessageTemplate.objects.exists()
