"""What staff do, done by keyboard alone; and a hand that clicks twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from tests import papers
from tests.admin.conftest import World, page
from tests.browser.visitor import Visitor
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm
from twofa.admin.base import TwofaAdmin
from twofa.exceptions import TemporaryFailure
from twofa.models import Authenticator, Campaign, Device, Event, Participant, PolicyChange, WebhookEndpoint
from twofa.models.clock import now

ACTIONS = [
    (str(model._meta.model_name), action.name)
    for model, model_admin in admin.site._registry.items()
    if isinstance(model_admin, TwofaAdmin)
    for action in model_admin.flow_actions
]

# Both clicks before the browser has done anything about the first; what the page lets through is counted in a place
# that outlives the page.
CLICK_TWICE = """(button) => {
  addEventListener("submit", (event) => {
    if (!event.defaultPrevented) sessionStorage.sent = Number(sessionStorage.sent || 0) + 1;
  });
  button.click();
  button.click();
}"""


def click_twice(visitor: Visitor) -> None:
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.locator("form.twofa-once [type=submit]").evaluate(CLICK_TWICE)


def test_campaign_is_switched_by_keyboard_alone(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    visitor = signed_in(boss)

    visitor.go(page("campaign", "changelist"))
    visitor.tab_to("a[href$='/two-factor/']")
    visitor.follow()
    visitor.tab_to("[name=two_factor_mode]")
    visitor.page.keyboard.press("ArrowUp")
    chosen = visitor.page.locator("[name=two_factor_mode]:checked").input_value()
    visitor.tab_to("form.twofa-once [type=submit]")
    visitor.follow()

    assert chosen != "required"
    assert visitor.page.locator(".messagelist .success").is_visible()
    assert Campaign.objects.get(pk=world.shop.campaign.pk).two_factor_mode == chosen
    assert visitor.troubles == []


def test_redemption_is_cancelled_by_keyboard_alone(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    visitor = signed_in(boss)

    visitor.go(page("redemption", "change", world.redemption.pk))
    visitor.tab_to("a[href$='/cancel/']")
    visitor.follow()
    assert visitor.page.evaluate("document.activeElement.name") == "reason"
    visitor.page.keyboard.type("She called.")
    visitor.follow()

    assert visitor.page.locator(".messagelist .success").is_visible()
    world.redemption.refresh_from_db()
    assert world.redemption.status == "cancelled"
    assert Event.objects.filter(type="redemption.cancelled").count() == 1
    assert visitor.troubles == []


def prepare(world: World, name: str, settings: Any) -> None:
    """Bring a row to where staff may do it: a page offers nothing else."""
    if name == "show-document-number":
        Participant.objects.filter(pk=world.shop.participant.pk).update(document_number="12345678909")
    if name == "switch-off":
        Participant.objects.update(two_factor_method="sms")
    if name == "revoke":
        papers.decided(world.document)
    if name == "reopen":
        papers.decided(world.document, "rejected", reason="other", is_final=True)
    if name in ("release", "release-device", "reset-device"):
        Device.objects.update(held_at=now(), confirmed=False)
        Authenticator.objects.update(held_at=now(), confirmed=False)
    if name == "withdraw":
        PolicyChange.objects.update(requested_by=User.objects.get(username="boss"))
    if name in ("cancel", "resend"):
        world.batch = world.shop.open_batch()
    if name == "enable":
        WebhookEndpoint.objects.update(disabled_at=now(), disabled_reason="dead")
    if name in ("retry-completion", "fail"):
        settings.TWOFA_COMPLETION_MAX_TRIES = 1
        RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
        confirm(world.shop, world.redemption, token_of(world.challenge))


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_double_click_asks_once(
    model: str, name: str, settings: Any, world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    prepare(world, name, settings)
    visitor = signed_in(boss)
    visitor.go(page(model, name, world.rows[model].pk))
    for text in visitor.page.locator("form.twofa-once input[type=text]").all():
        text.fill("She called.")
    for text in visitor.page.locator("form.twofa-once textarea").all():
        text.fill("She called.")
    for choice in visitor.page.locator("form.twofa-once input[name=outcome]").all()[:1]:
        choice.check()
    for address in visitor.page.locator("form.twofa-once input[type=url]").all():
        address.fill("https://shop.example/other")

    click_twice(visitor)

    assert visitor.page.evaluate("sessionStorage.sent") == "1"
    assert visitor.troubles == []
