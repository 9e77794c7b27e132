"""The participant's part of the API: their own, by an access token; all else is as if it were not there."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.api.client import Api, checkouts, member, nothing_changes, order, refused
from tests.api.test_tenancy import OWN, OWN_LIST, SHARED, path_of, send, victim  # noqa: F401 - a fixture
from tests.factories import access_token, account, token_of
from twofa.models import AccessToken, Challenge, Device, Event

THEIRS: dict[str, set[str]] = {
    "participant": {"GET", "PATCH"},
    "onboarding": {"GET"},
    "devices": {"GET", "POST"},
    "documents": {"GET", "POST"},
    "document": {"GET"},
    "device": {"GET", "DELETE"},
    "device-verify": {"POST"},
    "recovery-codes": {"GET", "POST"},
    "sessions": {"GET", "DELETE"},
    "session": {"DELETE"},
    "device-resend": {"POST"},
    "device-authorize": {"POST"},
    "device-make-default": {"POST"},
    "redemptions": {"GET"},
    "redemption": {"GET"},
    "redemption-confirm": {"POST"},
    "redemption-resend": {"POST"},
    "redemption-cancel": {"POST"},
}
EVERYTHING = {**SHARED, **OWN, **{name: {"GET": None} for name in OWN_LIST}}


@pytest.fixture
def app(shop):
    """The participant's own app."""
    account(shop.participant)
    return Api(access_token(shop))


@pytest.fixture
def stranger(shop):
    """The app of another participant of the same campaign, by way of the same storefront."""
    return Api(access_token(shop, factories.participant(shop.campaign)))


def test_what_is_theirs_is_what_this_table_says(shop, app, victim):  # noqa: F811
    opened: dict[str, set[str]] = {}
    for name, methods in EVERYTHING.items():
        for method, body in methods.items():
            # A token of its own for each: one of the calls logs the participant out.
            response = send(Api(access_token(shop)), method, path_of(name, victim), {} if body is ... else body)
            if response.status_code != 404:
                opened.setdefault(name, set()).add(method)
    # Last of all devices: it is gone then, and what comes after it in the table found it.
    assert opened == THEIRS


@pytest.mark.parametrize("name", EVERYTHING)
def test_another_participant_finds_nothing_of_theirs(stranger, shop, victim, name):  # noqa: F811
    if name == "redemptions":
        assert stranger.get(path_of(name, victim)).json()["results"] == []
        return
    for method, body in EVERYTHING[name].items():
        sent: Any = order(shop) if body is ... else body
        stranger.get(member(shop))
        with nothing_changes():
            problem = refused(send(stranger, method, path_of(name, victim), sent), 404, "not_found")
        assert "resource" not in problem


def test_their_own_redemption_is_confirmed_in_their_own_name(api, app, shop):
    body = api.post(checkouts(shop), order(shop)).json()
    token = token_of(Challenge.objects.get())
    assert [row["id"] for row in app.get(checkouts(shop)).json()["results"]] == [body["id"]]

    assert app.post(f"/redemptions/{body['id']}/confirm/", {"token": token}).json()["status"] == "completed"

    event = Event.objects.get(type="challenge.approved")
    assert (event.actor_kind, event.actor) == ("participant", shop.participant.external_id)


def test_redemption_by_way_of_another_storefront_is_not_there(partner, app, shop):
    body = partner.post(checkouts(shop), order(shop)).json()
    app.get(member(shop))
    with nothing_changes():
        refused(app.get(f"/redemptions/{body['id']}/"), 404, "not_found")
        refused(app.post(f"/redemptions/{body['id']}/cancel/"), 404, "not_found")
    assert app.get(checkouts(shop)).json()["results"] == []


def test_they_add_a_device_as_anybody_does_by_the_one_they_have(app, shop):
    response = app.post(f"{member(shop)}devices/", {"channel": "email", "address": "other@example.com"})
    assert response.status_code == 201
    assert response.json()["authorization"] is not None
    assert Device.objects.get(address="other@example.com").status == "pending"


def test_they_switch_two_factor_on_by_themselves_and_not_off(app, shop):
    assert app.patch(member(shop), {"two_factor_method": "sms"}).json()["two_factor_method"] == "sms"
    assert app.patch(member(shop), {"two_factor_method": "none"}).status_code == 202


def test_their_own_name_is_no_key_to_another_campaign(app, shop):
    other = factories.campaign()
    shop.storefront.campaigns.add(other)
    factories.participant(other, external_id=shop.participant.external_id)
    app.get(member(shop))
    with nothing_changes():
        refused(app.get(f"/campaigns/{other.slug}/participants/{shop.participant.external_id}/"), 404, "not_found")
        refused(app.get(f"/campaigns/{other.slug}/redemptions/"), 404, "not_found")


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE"])
def test_method_that_is_not_theirs_is_not_there(app, shop, method):
    refused(app.send(method, member(shop), {"name": "Eve"} if method == "PUT" else None), 404, "not_found")


def test_revoked_token_opens_nothing(app, shop):
    AccessToken.objects.update(revoked_at="2026-01-01T00:00:00Z")
    with nothing_changes():
        response = app.get(member(shop))
        refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("text", ["twofa_at_", "twofa_at_000000000000_x", "twofa_at_000000000000_" + "a" * 43])
def test_what_is_no_token_of_ours_opens_nothing(shop, text):
    with nothing_changes():
        refused(Api(text).get(member(shop)), 401, "not_authenticated")


def test_recognising_a_participant_costs_one_statement_more_than_a_key(api, app, shop, sql):
    for caller in (api, app):
        caller.get(member(shop))
    costs = []
    for caller in (api, app):
        with sql() as statements:
            assert caller.get(member(shop)).status_code == 200
        costs.append(len(statements))
    assert costs[1] <= costs[0] + 1


def test_throttling_counts_them_with_their_storefront(app, shop, settings):
    settings.TWOFA_THROTTLE_RATES = {"storefront": "1/min"}
    assert app.get(member(shop)).status_code == 200
    refused(app.get(member(shop)), 429, "throttled")
