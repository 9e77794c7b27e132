"""Every path with an id in it, called by storefronts that it does not belong to (OWASP ASVS 8.2.2).

The matrix is made from the URL configuration: a new path without a row here fails.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.api.client import Api, batch_order, batches, checkouts, member, nothing_changes, order, refused
from tests.factories import access_token
from tests.forms import CONTENT_TYPE, form, picture
from tests.papers import submitted
from twofa import urls
from twofa.models import AccessToken, Challenge

PUBLIC = {"schema", "docs", "docs-asset", "not-me", "nothing-here", "pages-style"}
OWN_LIST = {"campaigns"}
PROVIDERS = {"receipts", "provider-receipts"}
"""Opened by a provider's signature, and by no key: tests/api/test_receipts.py."""
# Name of the path -> methods with their bodies. Whether storefronts of the same campaign share it, or each has its own.
SHARED: dict[str, dict[str, Any]] = {
    "campaign": {"GET": None},
    "participant": {"GET": None, "PUT": {"name": "Eve"}, "PATCH": {"name": "Eve"}},
    "onboarding": {"GET": None},
    "devices": {"GET": None, "POST": {"channel": "sms", "address": "+5511999990035"}},
    "documents": {"GET": None, "POST": form(kind="cnh", file=picture())},
    "document": {"GET": None},
    "device": {"GET": None, "DELETE": None},
    "device-verify": {"POST": {"token": "ABCDEF"}},
    "recovery-codes": {"GET": None, "POST": None},
    "sessions": {"GET": None, "DELETE": None},
    "session": {"DELETE": None},
    "device-resend": {"POST": None},
    "device-authorize": {"POST": {"token": "ABCDEF"}},
    "device-make-default": {"POST": None},
    "redemptions": {"GET": None, "POST": ...},
    "batches": {"POST": ...},
    "challenges": {"POST": {"purpose": "login"}},
    "login": {"POST": {"username": "ana", "password": "wrong"}},
    "contact-verifications": {"POST": {"channel": "email", "address": "new@example.com"}},
}
OWN: dict[str, dict[str, Any]] = {
    "redemption": {"GET": None},
    "redemption-confirm": {"POST": {"token": "ABCDEF"}},
    "redemption-resend": {"POST": {"channel": "sms"}},
    "redemption-cancel": {"POST": None},
    "batch": {"GET": None},
    "batch-confirm": {"POST": {"token": "ABCDEF"}},
    "batch-resend": {"POST": {"channel": "sms"}},
    "batch-cancel": {"POST": None},
    "challenge": {"GET": None},
    "challenge-verify": {"POST": {"token": "ABCDEF"}},
    "challenge-resend": {"POST": {"channel": "sms"}},
    "challenge-cancel": {"POST": None},
}


@pytest.fixture
def victim(api, shop, documents_folder):
    """Everything that one storefront may own."""
    body = api.post(checkouts(shop), order(shop)).json()
    return {
        "campaign": shop.campaign.slug,
        "external_id": shop.participant.external_id,
        "device_id": shop.device.uuid,
        "document_id": submitted(shop.participant).pk,
        "redemption_id": body["id"],
        "batch_id": api.post(batches(shop), batch_order(shop)).json()["id"],
        "challenge_id": body["two_factor"]["challenge"]["id"],
        "session_id": AccessToken.prefix_of(access_token(shop)),
    }


def path_of(name, ids):
    route = next(str(pattern.pattern) for pattern in urls.urlpatterns if pattern.name == name)
    for parameter, value in ids.items():
        route = route.replace(f"<str:{parameter}>", str(value))
    return f"/{route}"


def opening(shop, name):
    return batch_order(shop) if name == "batches" else order(shop)


def send(caller, method, path, body):
    """Send a body as JSON, or as a form where it is bytes."""
    options = {"content_type": CONTENT_TYPE} if isinstance(body, bytes) else {}
    return caller.send(method, path, body, **options)


def test_every_path_has_its_row():
    assert {pattern.name for pattern in urls.urlpatterns} == {*SHARED, *OWN, *PUBLIC, *OWN_LIST, *PROVIDERS}


def test_every_method_of_a_path_has_its_row():
    for pattern in urls.urlpatterns:
        methods = {**SHARED, **OWN}.get(pattern.name)
        if methods is not None:
            handled = {
                name.upper()
                for name in ("get", "post", "put", "patch", "delete")
                if hasattr(vars(pattern.callback)["cls"], name)
            }
            assert handled == set(methods), pattern.name


@pytest.mark.parametrize("name", [*SHARED, *OWN])
def test_neighbour_finds_nothing_and_touches_nothing(neighbour, shop, victim, name):
    for method, body in {**SHARED, **OWN}[name].items():
        body = opening(shop, name) if body is ... else body
        with nothing_changes():
            problem = refused(send(neighbour, method, path_of(name, victim), body), 404, "not_found")

        assert "resource" not in problem


@pytest.mark.parametrize("name", OWN)
def test_partner_of_the_campaign_finds_nothing_of_ours(partner, victim, name):
    for method, body in OWN[name].items():
        with nothing_changes():
            refused(partner.send(method, path_of(name, victim), body), 404, "not_found")


@pytest.mark.parametrize("name", OWN)
def test_foreign_unknown_and_malformed_are_one_answer(partner, victim, name, sql):
    """The same bytes but for the correlation id, by the same statements."""
    method, body = next(iter(OWN[name].items()))
    partner.get("/campaigns/")
    seen = []
    unknown = {
        "redemption_id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d",
        "batch_id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1f",
        "challenge_id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1e",
    }
    for ids in (victim, unknown):
        with sql() as statements:
            problem = refused(partner.send(method, path_of(name, ids), body), 404, "not_found")
        problem.pop("correlation_id")
        seen.append((problem, len(statements)))
    malformed = refused(partner.send(method, path_of(name, dict.fromkeys(unknown, "nope")), body), 404, "not_found")
    malformed.pop("correlation_id")

    assert seen[0] == seen[1]
    assert malformed == seen[0][0]


@pytest.mark.parametrize("name", [*SHARED, *OWN])
def test_nobody_gets_in_without_a_key(shop, victim, name):
    for method, body in {**SHARED, **OWN}[name].items():
        with nothing_changes():
            refused(send(Api(), method, path_of(name, victim), None if body is ... else body), 401, "not_authenticated")


def test_right_token_from_another_storefront_is_worth_nothing(partner, neighbour, victim):
    for name, purpose in (("redemption-confirm", "redemption"), ("batch-confirm", "batch")):
        token = factories.token_of(Challenge.objects.get(purpose=purpose))
        with nothing_changes():
            for caller in (partner, neighbour):
                refused(caller.post(path_of(name, victim), {"token": token}), 404, "not_found")


def test_lists_hold_only_what_is_ours(api, partner, shop, victim):
    assert partner.get(checkouts(shop)).json()["results"] == []
    assert len(api.get(checkouts(shop)).json()["results"]) == 1 + 3


def test_same_order_id_of_a_partner_is_another_order(api, partner, shop):
    body = order(shop)

    first, second = api.post(checkouts(shop), body), partner.post(checkouts(shop), body)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_campaign_taken_away_takes_its_participants_away(api, shop):
    shop.storefront.campaigns.clear()

    for path in (f"/campaigns/{shop.campaign.slug}/", member(shop), f"/devices/{shop.device.uuid}/", checkouts(shop)):
        refused(api.get(path), 404, "not_found")
    with nothing_changes():
        refused(api.post(checkouts(shop), order(shop)), 404, "not_found")
