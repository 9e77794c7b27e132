"""All pages: they open, they show no secret, nobody edits a fact, and a list costs the same however long it is."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client

from tests.admin.conftest import World, make_world, page
from tests.admin.sites import is_one_of_many
from tests.statements import record_statements
from twofa.admin.base import ReadOnlyAdmin, TwofaAdmin

MODELS = (
    "campaign",
    "storefront",
    "storefrontkey",
    "participant",
    "device",
    "redemption",
    "redemptionbatch",
    "challenge",
    "delivery",
    "event",
    "policychange",
    "identitydocument",
    "case",
    "approver",
    "webhookendpoint",
    "webhook",
    "prefixpause",
    "safenumber",
    "accesstoken",
    "authenticator",
)
WRITTEN = ("campaign", "storefront", "safenumber", "webhookendpoint")
FACTS = tuple(model for model in MODELS if model not in WRITTEN)
SEARCHED = tuple(model for model in MODELS)
_LINK = re.compile(r'(?:href|action)="([^"#]+)')


def spellings(secret: bytes) -> Iterator[bytes]:
    """The secret as it is, and in the encodings in which it could leave."""
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    yield repr(secret).encode()


def leaked(world: World, content: bytes) -> list[str]:
    """Which of the secrets are in `content`."""
    shown = html.unescape(content.decode()).encode()
    return [name for name, secret in world.secrets.items() if any(text in shown for text in spellings(secret))]


def crawl(client: Client, start: str = "/admin/", *, filters: bool = False) -> dict[str, bytes]:
    """Every page of ours that can be reached by links, with what was on it."""
    seen: dict[str, bytes] = {}
    waiting = [start]
    while waiting:
        address = waiting.pop()
        if address in seen or is_one_of_many(address):
            continue
        response = client.get(address)
        # 405: what a form of the page leads to, and no link does.
        assert response.status_code in (200, 302, 403, 405), (address, response.status_code)
        seen[address] = getattr(response, "content", b"")
        for found in map(html.unescape, _LINK.findall(seen[address].decode(errors="replace"))):
            if found.startswith("/admin/twofa/"):
                waiting.append(found)
            elif filters and found.startswith("?") and "?" not in address and "o=" not in found:
                # Each filter by itself: their combinations have no end.
                waiting.append(address + found)
    return seen


def addresses(world: World) -> Iterator[str]:
    """Every list and every row's page and history."""
    for model, row in world.rows.items():
        yield page(model, "changelist")
        yield page(model, "change", row.pk)
        yield page(model, "history", row.pk)
    yield page("delivery", "sandbox")
    yield page("redemption", "schedules")


def test_every_model_with_a_page_is_in_these_tests():
    registered = {model._meta.model_name for model in admin.site._registry if model._meta.app_label == "twofa"}

    assert registered == set(MODELS)
    assert all(
        isinstance(model_admin, TwofaAdmin)
        for model, model_admin in admin.site._registry.items()
        if model._meta.app_label == "twofa"
    )


def test_every_page_opens_for_a_superuser(world: World, boss: Client):
    for address in addresses(world):
        assert boss.get(address).status_code == 200, address


def test_every_page_opens_for_staff_who_may_only_look(world: World, staff: Callable[..., Client]):
    client = staff(*(f"view_{model}" for model in MODELS))

    for address in addresses(world):
        response = client.get(address)
        assert response.status_code == 200, address
        assert b'name="_save"' not in response.content, address


def test_no_page_opens_without_a_permission(world: World, staff: Callable[..., Client]):
    client = staff()

    assert {client.get(address).status_code for address in addresses(world)} == {403}


def test_search_filter_and_popup_show_no_secret(world: World, boss: Client):
    terms = [
        world.redemption.order_id,
        world.shop.participant.external_id,
        str(world.redemption.pk),
        world.redemption.correlation_id,
    ]
    for model in SEARCHED:
        for term in [*terms, world.secrets["token"].decode(), "no such thing", "\x00"]:
            response = boss.get(page(model, "changelist"), {"q": term})
            assert response.status_code == 200
            # What was typed into the search is shown in the search.
            expected = ["token"] if term == world.secrets["token"].decode() else []
            assert leaked(world, response.content) == expected, (model, term)
        popup = boss.get(page(model, "changelist"), {"_popup": "1"})
        assert leaked(world, popup.content) == []


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("challenge", "seed__lt"),
        ("challenge", "seed"),
        ("challenge", "accepted__isnull"),
        ("challenge", "transaction_digest__startswith"),
        ("challenge", "address__startswith"),
        ("challenge", "kid__exact"),
        ("device", "address__startswith"),
        ("device", "participant__devices__address__startswith"),
        ("delivery", "address__contains"),
        ("delivery", "challenge__seed__lt"),
        ("delivery", "campaign__challenges__seed__lt"),
        ("storefrontkey", "hashed_key__gt"),
        ("storefront", "keys__hashed_key__gt"),
        ("participant", "document_number__startswith"),
        ("participant", "user__password__startswith"),
        ("redemption", "challenge__seed__lt"),
        ("redemption", "participant__user__password__startswith"),
        ("event", "data__contains"),
    ],
)
def test_hidden_column_cannot_be_asked_by_a_filter(model: str, lookup: str, world: World, boss: Client):
    """A list that is longer or shorter is an answer: one bit of the seed for each request."""
    assert boss.get(page(model, "changelist"), {lookup: "1"}).status_code == 400


@pytest.mark.parametrize("model", FACTS)
def test_fact_cannot_be_added_changed_or_deleted(model: str, world: World, boss: Client):
    row = world.rows[model]
    before = type(row).objects.filter(pk=row.pk).values().get()

    refused = [
        boss.post(page(model, "add"), {"status": "approved"}),
        boss.post(page(model, "change", row.pk), {"status": "approved", "amount": "1.00", "_save": "1"}),
        boss.post(page(model, "change", row.pk) + "?_popup=1", {"status": "approved"}),
        boss.post(page(model, "delete", row.pk), {"post": "yes"}),
    ]
    boss.post(page(model, "changelist"), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    boss.post(page(model, "changelist"), {"form-0-status": "approved", "form-TOTAL_FORMS": "1", "_save": "1"})

    assert [response.status_code for response in refused] == [403] * 4
    assert type(row).objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", WRITTEN)
def test_campaign_or_storefront_cannot_be_deleted(model: str, world: World, boss: Client):
    row = world.rows[model]

    assert boss.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS)
def test_page_names_its_fields_and_edits_nothing_in_lists(model: str):
    model_admin = next(a for m, a in admin.site._registry.items() if m._meta.label_lower == f"twofa.{model}")

    assert model_admin.fields or model_admin.fieldsets
    assert model_admin.list_editable == ()
    assert model_admin.actions is None
    assert model_admin.show_full_result_count is False
    assert model_admin.date_hierarchy is None
    assert isinstance(model_admin, ReadOnlyAdmin) == (model in FACTS)


@pytest.mark.parametrize("model", MODELS)
def test_list_costs_the_same_at_any_length(model: str, world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            assert boss.get(page(model, "changelist")).status_code == 200
        return len(statements)

    short = cost()
    for _time in range(4):
        make_world()

    assert cost() == short
    assert short <= 10


def test_permissions_of_actions_exist(db: None):
    registered = [model_admin for model_admin in admin.site._registry.values() if isinstance(model_admin, TwofaAdmin)]
    asked = {
        codename for model_admin in registered for action in model_admin.flow_actions for codename in action.permissions
    }
    existing = {
        f"twofa.{name}"
        for name in Permission.objects.filter(content_type__app_label="twofa").values_list("codename", flat=True)
    }

    assert asked
    assert asked <= existing
