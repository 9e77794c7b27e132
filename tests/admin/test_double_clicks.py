"""Two members of staff at the same moment, and one who sends a form twice: it is done once, and the other is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from tests import factories, papers
from tests.admin.conftest import PASSWORD, World, make_world, page
from tests.admin.sites import DOCUMENT, parked
from tests.admin.trees import Tree
from tests.fulfillment import RecordingBackend
from tests.stories import travel
from twofa.admin.base import TwofaAdmin
from twofa.models import Event, WebhookEndpoint
from twofa.models.clock import now

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Action = tuple[str, str]
REASON = {"reason": "The participant called."}
WHAT_TO_DO = "say in ONCE (or EACH) which event a new action leaves, and in `prepared` which row it is done to"
# The event that the action leaves behind, once, however often it is sent.
ONCE: dict[Action, str] = {
    ("accesstoken", "revoke"): "participant.tokens_revoked",
    ("approver", "limits"): "approver.changed",
    ("approver", "revoke"): "approver.revoked",
    ("campaign", "two-factor"): "campaign.policy_changed",
    ("case", "close"): "case.closed",
    ("case", "release-device"): "device.released",
    ("case", "reset-device"): "device.revoked",
    ("device", "release"): "device.released",
    ("authenticator", "release"): "authenticator.released",
    ("authenticator", "reset"): "authenticator.revoked",
    ("device", "reset"): "device.revoked",
    ("identitydocument", "reopen"): "document.reopened",
    ("identitydocument", "revoke"): "document.expired",
    ("participant", "entitle"): "approver.entitled",
    ("participant", "change-method"): "participant.method_changed",
    ("participant", "switch-off"): "participant.switched_off",
    ("policychange", "approve"): "campaign.policy_changed",
    ("policychange", "reject"): "campaign.change_rejected",
    ("policychange", "withdraw"): "campaign.change_withdrawn",
    ("prefixpause", "lift"): "prefix.lifted",
    ("safenumber", "remove"): "safe_number.removed",
    ("redemption", "cancel"): "redemption.cancelled",
    ("redemption", "fail"): "redemption.failed",
    ("redemption", "resend"): "challenge.renewed",
    ("redemption", "retry-completion"): "redemption.completed",
    ("redemptionbatch", "cancel"): "batch.cancelled",
    ("redemptionbatch", "resend"): "challenge.renewed",
    ("storefront", "add-webhook"): "webhook_endpoint.opened",
    ("storefront", "issue-key"): "storefront.key_issued",
    ("storefrontkey", "revoke"): "storefront.key_revoked",
    ("webhook", "replay"): "webhook_endpoint.replayed",
    ("webhookendpoint", "enable"): "webhook_endpoint.enabled",
    ("webhookendpoint", "replay-failed"): "webhook_endpoint.replayed",
    ("webhookendpoint", "rotate-secret"): "webhook_endpoint.secret_rotated",
}
# What is looked at, or tried, twice was looked at twice, and both are noted.
EACH: dict[Action, str] = {
    ("device", "show-contact"): "device.contact_revealed",
    ("participant", "show-document-number"): "participant.document_revealed",
    ("webhookendpoint", "test"): "webhook_endpoint.tested",
}
# Asked for twice it is as both wanted it, and both are told so: the API promises the same of a cancellation.
IDEMPOTENT = {
    ("accesstoken", "revoke"),
    ("storefrontkey", "revoke"),
    ("redemption", "cancel"),
    ("redemptionbatch", "cancel"),
}


def prepared(world: World, action: Action) -> tuple[Any, dict[str, str]]:
    """The row to which an action is done, in the state in which it is offered, and what is typed into its form."""
    if action in (("redemption", "fail"), ("redemption", "retry-completion")):
        return parked(world.shop), REASON
    if action[0] == "redemptionbatch":
        world.batch = world.shop.open_batch("1.00")
    if action[1] == "resend":
        travel(timedelta(seconds=40))
    if action == ("participant", "switch-off"):
        world.shop.participant.two_factor_method = "sms"
        world.shop.participant.save()
    if action == ("participant", "show-document-number"):
        world.shop.participant.document_number = DOCUMENT
        world.shop.participant.save()
    if action[1] in ("release", "release-device", "reset-device"):
        world.shop.device.hold(now())
        world.authenticator.change(held_at=now(), confirmed=False)
    if action == ("identitydocument", "reopen"):
        papers.decided(world.document, "rejected", reason="other", is_final=True)
    if action == ("identitydocument", "revoke"):
        papers.decided(world.document)
    if action == ("webhookendpoint", "enable"):
        WebhookEndpoint.objects.update(disabled_at=now(), disabled_reason="dead")
    typed = {
        ("campaign", "two-factor"): {"two_factor_mode": "off"},
        ("case", "close"): {"outcome": "mistake", "note": "Spoken with."},
        ("approver", "limits"): {"max_amount": "5.00", **REASON},
        ("participant", "entitle"): {"approver": factories.participant(world.shop.campaign).external_id, **REASON},
        ("storefront", "add-webhook"): {"url": "https://shop.example/other"},
        ("participant", "change-method"): {"method": "sms", **REASON},
        ("policychange", "approve"): {"password": PASSWORD},
    }
    return world.rows[action[0]], typed.get(action, REASON)


def signed_in(action: Action, row: Any) -> list[Client]:
    """The browsers of two superusers; what only one person may do is done in two browsers of this person."""
    if action == ("policychange", "withdraw"):
        users = [row.requested_by, row.requested_by]
        User.objects.filter(pk=row.requested_by_id).update(is_staff=True, is_superuser=True, is_active=True)
    else:
        users = [User.objects.create_superuser(name, password=PASSWORD) for name in ("maria", "joana")]
    browsers = []
    for user in users:
        browser = Client()
        browser.force_login(user)
        browsers.append(browser)
    return browsers


def form(browser: Client, address: str, typed: dict[str, str]) -> dict[str, Any]:
    """What this browser would send: the page as it was opened, with what is typed in."""
    shown = Tree(browser.get(address).content.decode()).forms[-1]
    return {**shown.values, **typed}


def told(browser: Client, response: Any) -> list[str]:
    """The levels of what the next page says."""
    if response.status_code == 200:
        return ["shown"]
    return [message.level_tag for message in get_messages(browser.get(response["Location"], follow=True).wsgi_request)]


def count(type_: str) -> int:
    return Event.objects.filter(type=type_).count()


def test_every_action_of_staff_is_sent_twice_here():
    existing = {
        (model._meta.model_name, action.name)
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, TwofaAdmin)
        for action in model_admin.flow_actions
    }

    assert existing == ONCE.keys() | EACH.keys(), WHAT_TO_DO


@pytest.mark.parametrize("action", ONCE, ids="-".join)
def test_two_at_the_same_moment_do_it_once(action: Action, threads: Callable[..., list[Any]]):
    world = make_world()
    row, typed = prepared(world, action)
    browsers = signed_in(action, row)
    address = page(action[0], action[1], row.pk)
    forms = [form(browser, address, typed) for browser in browsers]
    before, calls = count(ONCE[action]), len(RecordingBackend.calls)

    answers = threads(
        [
            lambda browser=browser, sent=sent: browser.post(address, sent)
            for browser, sent in zip(browsers, forms, strict=True)
        ]
    )

    assert [answer.status_code in (200, 302) for answer in answers] == [True, True]
    assert count(ONCE[action]) == before + 1
    assert len(RecordingBackend.calls) <= calls + 1
    said = sorted(level for browser, answer in zip(browsers, answers, strict=True) for level in told(browser, answer))
    assert len(said) == 2
    assert ("error" in said) == (action not in IDEMPOTENT), said
    assert said != ["error", "error"]


@pytest.mark.parametrize("action", ONCE, ids="-".join)
def test_form_sent_twice_is_done_once(action: Action):
    world = make_world()
    row, typed = prepared(world, action)
    browser = signed_in(action, row)[0]
    address = page(action[0], action[1], row.pk)
    sent = form(browser, address, typed)
    before = count(ONCE[action])

    first, second = browser.post(address, sent), browser.post(address, sent)

    assert count(ONCE[action]) == before + 1
    assert first.status_code in (200, 302)
    assert second.status_code == 302
    assert "error" in told(browser, second) or action in IDEMPOTENT


@pytest.mark.parametrize("action", EACH, ids="-".join)
def test_what_is_shown_twice_is_noted_twice(action: Action, threads: Callable[..., list[Any]]):
    world = make_world()
    row, typed = prepared(world, action)
    browsers = signed_in(action, row)
    address = page(action[0], action[1], row.pk)

    answers = threads([lambda browser=browser: browser.post(address, typed) for browser in browsers])

    assert {answer.status_code for answer in answers} <= {200, 302}
    assert sorted(Event.objects.filter(type=EACH[action]).values_list("actor", flat=True)) == ["joana", "maria"]
