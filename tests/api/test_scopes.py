"""Each path belongs to one scope, and credentials without it change nothing there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import URLPattern

from tests import factories
from tests.api.client import Api, nothing_changes, refused
from tests.api.test_tenancy import OWN, PROVIDERS, PUBLIC, SHARED, opening, path_of
from tests.example.blocks import ROOT
from tests.forms import CONTENT_TYPE
from tests.papers import submitted
from twofa.api.base import Endpoint
from twofa.api.operations import ANY
from twofa.flows import storefronts
from twofa.flows.history import WORKER
from twofa.models import Scope
from twofa.urls import urlpatterns

CALLED: dict[str, dict[str, Any]] = {"campaigns": {"GET": None}, **SHARED, **OWN}


def endpoint_of(pattern: URLPattern) -> Any:
    return getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)


ENDPOINTS = {
    pattern.name: found
    for pattern in urlpatterns
    if (found := endpoint_of(pattern)) is not None and issubclass(found, Endpoint)
}
SCOPES = {name: found.scope for name, found in ENDPOINTS.items() if found.authentication_classes}


def key(shop: Any, *scopes: str) -> Api:
    return Api(storefronts.issue_key(shop.storefront, actor=WORKER, scopes=scopes)[1])


@pytest.fixture
def ids(shop, documents_folder) -> dict[str, Any]:
    """Everything that a path may name."""
    redemption = shop.open()
    return {
        "campaign": shop.campaign.slug,
        "external_id": shop.participant.external_id,
        "device_id": shop.device.uuid,
        "document_id": submitted(shop.participant).pk,
        "redemption_id": redemption.pk,
        "batch_id": shop.open_batch("1.00").pk,
        "challenge_id": redemption.challenge.pk,
    }


def test_every_path_that_asks_for_a_key_has_a_scope():
    assert set(SCOPES) == set(CALLED)
    assert set(SCOPES) | PUBLIC | PROVIDERS >= {pattern.name for pattern in urlpatterns}
    assert {name for name, scope in SCOPES.items() if scope not in (ANY, *Scope.values)} == set()
    assert set(SCOPES.values()) == {ANY, *Scope.values}


def test_path_that_forgot_its_scope_lets_nobody_in():
    assert Endpoint.scope not in (ANY, *Scope.values)


@pytest.mark.parametrize("name", CALLED)
def test_key_of_the_other_scopes_is_refused_before_anything_is_read(name, shop, ids):
    others = [scope for scope in Scope.values if scope != SCOPES[name]]
    caller = key(shop, *others)
    for method, given in CALLED[name].items():
        body = opening(shop, name) if given is ... else given
        options = {"content_type": CONTENT_TYPE} if isinstance(body, bytes) else {}
        with nothing_changes():
            response = caller.send(method, path_of(name, ids), body, **options)
        if SCOPES[name] == ANY:
            assert response.status_code == 200
            continue
        problem = refused(response, 403, "permission_denied")
        assert problem["scope"] == SCOPES[name]
        assert response["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{SCOPES[name]}"'


@pytest.mark.parametrize("name", CALLED)
def test_key_of_the_scope_alone_is_let_in(name, shop, ids):
    scope = SCOPES[name]
    caller = key(shop, *([] if scope == ANY else [scope]))
    for method in CALLED[name]:
        response = caller.send(method, path_of(name, ids), b"{", content_type="text/plain")

        assert response.status_code != 401
        assert "scope" not in (response.json() if response.content else {})


def test_refusal_is_not_kept_under_an_idempotency_key(shop):
    """The storefront is given the scope, and repeats the very same request."""
    path, body = f"/campaigns/{shop.campaign.slug}/redemptions/", opening(shop, "redemptions")
    other = key(shop, "onboarding")
    with nothing_changes():
        refused(other.post(path, body, idempotency_key="k-1"), 403, "permission_denied")

    assert key(shop, "checkout").post(path, body, idempotency_key="k-1").status_code == 201


def test_scope_is_told_to_nobody_without_a_key(shop):
    problem = refused(Api("nonsense").get(f"/campaigns/{shop.campaign.slug}/redemptions/"), 401, "not_authenticated")

    assert "scope" not in problem


def test_other_storefront_s_rows_are_as_absent_as_ever(shop, ids):
    caller = key(factories.Shop(), "onboarding")

    refused(caller.get(path_of("device", ids)), 404, "not_found")
    refused(caller.get(path_of("redemption", ids)), 403, "permission_denied")


def test_page_of_scopes_has_the_paths_of_each():
    text = (ROOT / "docs/reference/http.md").read_text().partition("## Scopes\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    nouns = {noun: scope for scope, cell in told.items() for noun in re.findall(r"`([a-z-]+)/`", cell)}

    assert set(told) == set(Scope.values)
    for name, scope in SCOPES.items():
        if scope != ANY:
            route = next(str(pattern.pattern) for pattern in urlpatterns if pattern.name == name)
            named = [noun for noun in re.findall(r"([a-z-]+)/", route) if noun in nouns]
            assert nouns[named[-1]] == scope, name
