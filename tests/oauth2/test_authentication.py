"""Tokens of the host's real token endpoint, over HTTP, against the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import AccessToken, Application

from tests import factories
from tests.api.client import PREFIX, Api, checkouts, member, nothing_changes, order, refused
from tests.forms import CONTENT_TYPE, form, picture
from tests.oauth2.clients import SECRET, ask, ask_for_person, force_link, linked, post, register
from tests.stories import STAFF
from twofa.contrib.oauth2 import applications
from twofa.contrib.oauth2.models import StorefrontApplication
from twofa.exceptions import NotAuthenticated
from twofa.flows import access_tokens
from twofa.flows.access_tokens import Bearer
from twofa.models import Challenge, Event, Redemption, Scope

pytestmark = pytest.mark.django_db

RESOURCE = f"http://testserver{PREFIX}/"


def test_token_opens_the_api_as_the_storefront_of_its_application(shop):
    api = Api(ask(linked(shop)))
    opened = api.post(checkouts(shop), order(shop))
    token = factories.token_of(Challenge.objects.get())
    confirmed = api.post(f"/redemptions/{opened.json()['id']}/confirm/", {"token": token})

    assert (opened.status_code, confirmed.status_code) == (201, 200)
    assert Redemption.objects.get().storefront == shop.storefront
    event = Event.objects.get(type="redemption.approved")
    assert (event.actor_kind, event.actor) == ("storefront", shop.storefront.name)


def test_token_of_another_storefront_finds_nothing(shop):
    redemption = shop.open()
    stranger = Api(ask(linked(factories.Shop())))

    with nothing_changes():
        refused(stranger.get(f"/redemptions/{redemption.pk}/"), 404, "not_found")
        refused(stranger.post(checkouts(shop), order(shop)), 404, "not_found")


def test_keys_go_on_beside_tokens(shop):
    linked(shop)

    assert Api(factories.key(shop.storefront)).get(checkouts(shop)).status_code == 200
    refused(Api(factories.key(shop.storefront) + "x").get(checkouts(shop)), 401, "not_authenticated")


def test_participants_come_with_tokens_of_ours_and_of_the_host_s_own_issuer(shop, settings):
    class SingleSignOn(access_tokens.OpaqueIssuer):
        def authenticate(self, text):
            return Bearer(shop.participant, shop.storefront) if text == "of-the-host" else super().authenticate(text)

    ours = factories.access_token(shop)
    settings.TWOFA_ACCESS_TOKEN_ISSUER = SingleSignOn

    for token in (ours, "of-the-host"):
        assert Api(token).get(member(shop)).status_code == 200
        refused(Api(token).post(checkouts(shop), order(shop)), 404, "not_found")
    refused(Api("of-nobody").get(member(shop)), 401, "not_authenticated")


def test_token_is_read_by_one_statement(shop, sql):
    token = ask(linked(shop))

    with sql() as statements:
        caller = applications.authenticate(token, method="GET", uri=RESOURCE)

    assert caller.storefront == shop.storefront
    assert len(statements.counted) == 1, str(statements)


# --- scopes

PATHS: dict[str, Callable[[Any], str]] = {
    "checkout": checkouts,
    "onboarding": member,
    "challenges": lambda shop: f"/challenges/{shop.open().challenge.pk}/",
}


@pytest.mark.parametrize("scope", Scope.values)
def test_scope_of_a_token_opens_what_that_of_a_key_opens(shop, scope):
    api = Api(ask(linked(shop), scope))

    assert api.get("/campaigns/").status_code == 200
    for needed, path in PATHS.items():
        response = api.get(path(shop))
        if needed == scope:
            assert response.status_code == 200
        else:
            assert refused(response, 403, "permission_denied")["scope"] == needed


def test_checkout_without_its_scope_changes_nothing(shop):
    api = Api(ask(linked(shop), "onboarding", "challenges"))

    with nothing_changes():
        assert refused(api.post(checkouts(shop), order(shop)), 403, "permission_denied")["scope"] == "checkout"


def test_link_is_the_limit_whatever_the_client_asks_for(shop):
    """The server gives every client the scopes that it asks for."""
    application = linked(shop, "checkout")
    for token in (ask(application), ask(application, "checkout", "onboarding", "read")):
        assert Api(token).get(checkouts(shop)).status_code == 200
        assert refused(Api(token).get(member(shop)), 403, "permission_denied")["scope"] == "onboarding"


@pytest.mark.parametrize(("allowed", "asked"), [(["checkout"], ["onboarding"]), ([], ["read"])])
def test_token_and_link_with_nothing_in_common_open_nothing(shop, allowed, asked):
    """Nothing in common must not become the empty list, which is all."""
    api = Api(ask(linked(shop, *allowed), *asked))

    with nothing_changes():
        refused(api.post(checkouts(shop), order(shop)), 401, "not_authenticated")
        refused(api.get("/campaigns/"), 401, "not_authenticated")


# --- refused, in the same words


def revoked(shop: Any) -> str:
    application = linked(shop)
    token = ask(application)
    assert post("revoke_token", application, token=token).status_code == 200
    return token


def expired(shop: Any) -> str:
    token = ask(linked(shop))
    row = AccessToken.objects.get()
    AccessToken.objects.update(expires=row.expires - timedelta(hours=24))
    return token


def unlinked(shop: Any) -> str:
    token = ask(linked(shop))
    applications.unlink(StorefrontApplication.objects.get(), actor=STAFF)
    return token


def of_a_link_before(shop: Any) -> str:
    application = linked(shop)
    token = ask(application)
    applications.unlink(StorefrontApplication.objects.get(), actor=STAFF)
    applications.link(application, storefront=shop.storefront, actor=STAFF)
    assert Api(ask(application)).get("/campaigns/").status_code == 200
    return token


def never_linked(shop: Any) -> str:
    return ask(register())


def of_nobody(shop: Any) -> str:
    token = ask(linked(shop))
    return token[:-1] + ("a" if token[-1] != "a" else "b")


def of_a_deleted_application(shop: Any) -> str:
    application = linked(shop)
    token = ask(application)
    application.delete()
    return token


def of_an_inactive_storefront(shop: Any) -> str:
    token = ask(linked(shop))
    shop.storefront.is_active = False
    shop.storefront.save()
    return token


def of_a_person(shop: Any) -> str:
    application, token = ask_for_person("checkout")
    force_link(application, shop)
    return token


def of_a_person_whose_application_became_a_backend(shop: Any) -> str:
    application, token = ask_for_person("checkout")
    force_link(application, shop)
    Application.objects.update(authorization_grant_type="client-credentials")
    return token


def of_an_application_that_is_for_people_now(shop: Any) -> str:
    token = ask(linked(shop))
    Application.objects.update(authorization_grant_type="authorization-code")
    return token


def of_an_application_that_is_public_now(shop: Any) -> str:
    token = ask(linked(shop))
    Application.objects.update(client_type="public")
    return token


def for_another_api(shop: Any) -> str:
    return ask(linked(shop), resource="https://other.example/api/")


MADE = [
    revoked, expired, unlinked, of_a_link_before, never_linked, of_nobody, of_a_deleted_application,
    of_an_inactive_storefront, of_a_person, of_a_person_whose_application_became_a_backend,
    of_an_application_that_is_for_people_now, of_an_application_that_is_public_now, for_another_api,
]  # fmt: skip


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_what_is_no_live_token_of_a_storefront_is_refused_in_the_same_words(shop, make):
    api = Api(make(shop))

    with nothing_changes():
        response = api.post(checkouts(shop), order(shop))

    problem = refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    expected = Api("nonsense").post(checkouts(shop), order(shop)).json()
    assert {**problem, "correlation_id": ""} == {**expected, "correlation_id": ""}


def test_token_that_was_good_is_refused_from_the_next_request_on(shop):
    application = linked(shop)
    api = Api(ask(application))
    assert api.get("/campaigns/").status_code == 200

    applications.unlink(StorefrontApplication.objects.get(), actor=STAFF)

    refused(api.get("/campaigns/"), 401, "not_authenticated")


def test_token_in_the_query_or_in_the_body_is_none(shop):
    token = ask(linked(shop))
    path = f"{PREFIX}{checkouts(shop)}"
    with nothing_changes():
        refused(Api().get(f"{checkouts(shop)}?access_token={token}"), 401, "not_authenticated")
        refused(Client().post(path, {**order(shop), "access_token": token}), 401, "not_authenticated")


@pytest.mark.parametrize("text", ["a\x00b", "\u00e9" * 40, "x" * 100_000, "'; --", "twofa", "Bearer"], ids=range(6))
def test_any_text_is_a_token_that_does_not_exist(shop, text):
    with pytest.raises(NotAuthenticated):
        applications.authenticate(text, method="GET", uri=RESOURCE)


def test_application_that_the_host_says_is_not_usable_opens_nothing(shop, monkeypatch):
    api = Api(ask(linked(shop)))
    monkeypatch.setattr(Application, "is_usable", lambda _self, request: request.http_method == "GET")

    assert api.get(checkouts(shop)).status_code == 200
    with nothing_changes():
        refused(api.post(checkouts(shop), order(shop)), 401, "not_authenticated")


def test_token_for_this_api_is_taken_where_it_is_for(shop):
    api = Api(ask(linked(shop), resource=RESOURCE))

    assert api.get("/campaigns/").status_code == 200


# --- the request stays whole


def test_document_is_uploaded_with_a_token(shop, documents_folder):
    api = Api(ask(linked(shop)))

    response = api.send(
        "POST", f"{member(shop)}documents/", form(kind="cnh", file=picture()), content_type=CONTENT_TYPE
    )

    assert response.status_code == 201, response.content


def test_token_and_secret_are_in_no_log_and_no_answer(shop, caplog):
    token = ask(linked(shop))
    # oauthlib writes at DEBUG what it gives out: the how-to says so, and it is not ours to stop.
    caplog.clear()
    caplog.set_level("DEBUG")

    good, bad = Api(token).get("/campaigns/"), Api(token + "x").get("/campaigns/")

    assert good.status_code == 200
    for text in (
        caplog.text,
        repr([vars(record) for record in caplog.records]),
        bad.content.decode(),
        str(bad.headers),
    ):
        assert token not in text
        assert SECRET not in text
    assert not [event for event in Event.objects.all() if SECRET in str(vars(event))]
