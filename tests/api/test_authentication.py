from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.api.client import Api, checkouts, member, nothing_changes, order, refused
from twofa.api.authentication import StorefrontAuthentication
from twofa.flows import storefronts
from twofa.flows.history import WORKER
from twofa.flows.storefronts import Caller
from twofa.models import Storefront, StorefrontKey
from twofa.models.clock import now


def test_without_a_key_the_answer_says_how(db):
    response = Api().get("/campaigns/")

    refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer twofa_",
        "Bearer twofa_000000000000_",
        "Bearer twofa_000000000000_x",
        "Bearer twofa_00000000000\u00e9_x",
        "Bearer " + "a" * 5000,
        "Basic dXNlcjpwYXNz",
        "Token {key}",
        "Bearer {key}x",
        "Bearer {key} {key}",
        "Bearer {cut}",
        "{key}",
    ],
)
def test_what_is_not_a_live_key_opens_nothing(api, shop, header):
    text = header.replace("{key}", api.key).replace("{cut}", api.key[:-1])
    with nothing_changes():
        response = Api().post(checkouts(shop), order(shop), Authorization=text)

    refused(response, 401, "not_authenticated")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_scheme_is_known_in_any_case(api, scheme):
    assert Api().get("/campaigns/", Authorization=f"{scheme} {api.key}").status_code == 200


def test_revoked_expired_and_inactive_are_one_answer(shop):
    revoked, expired = Api(factories.key(shop.storefront)), Api(factories.key(shop.storefront))
    first, second = StorefrontKey.objects.order_by("pk")
    assert revoked.get("/campaigns/").status_code == 200
    storefronts.revoke_key(first, actor=WORKER)
    second.expires_at = now() - timedelta(seconds=1)
    second.save()
    other = factories.storefront(shop.campaign)
    inactive = Api(factories.key(other))
    other.is_active = False
    other.save()

    answers = [refused(caller.get("/campaigns/"), 401, "not_authenticated") for caller in (revoked, expired, inactive)]

    for answer in answers:
        answer.pop("correlation_id")
    assert answers == [answers[0]] * 3


def test_session_of_staff_opens_nothing(db):
    caller = Api()
    caller._client.force_login(get_user_model().objects.create_superuser("root", password="x"))

    refused(caller.get("/campaigns/"), 401, "not_authenticated")


def test_key_is_in_no_log_and_no_answer(api, caplog):
    caplog.set_level("DEBUG")
    secret = api.key.split("_", 2)[2]

    good, bad = api.get("/campaigns/"), Api(api.key + "x").get("/campaigns/")

    assert good.status_code == 200
    for text in (
        caplog.text,
        repr([vars(record) for record in caplog.records]),
        bad.content.decode(),
        str(good.headers),
    ):
        assert secret not in text


class Passphrase(StorefrontAuthentication):
    """A host's own: one passphrase beside the keys, good for checkouts."""

    asked = 0

    def recognise(self, text, request):
        type(self).asked += 1
        if text == "sesame":
            return Caller(Storefront.objects.latest("pk"), frozenset({"checkout"}))
        return super().recognise(text, request)


@pytest.mark.parametrize("given", [Passphrase, f"{__name__}.Passphrase"], ids=["class", "path"])
def test_host_s_own_class_knows_other_credentials_beside_keys(api, shop, settings, given):
    refused(Api("sesame").get(checkouts(shop)), 401, "not_authenticated")
    settings.TWOFA_API_AUTHENTICATION = given

    assert Api("sesame").get(checkouts(shop)).status_code == 200
    assert api.get(checkouts(shop)).status_code == 200
    refused(Api("sesame").get(member(shop)), 403, "permission_denied")
    refused(Api("simsim").get(checkouts(shop)), 401, "not_authenticated")


def test_host_s_own_class_is_not_asked_where_nobody_is(db, settings, monkeypatch):
    settings.TWOFA_API_AUTHENTICATION = Passphrase
    monkeypatch.setattr(Passphrase, "asked", 0)

    assert Api("sesame").get("/schema/").status_code == 200
    refused(Api("sesame").get("/nowhere/"), 404, "not_found")
    assert Passphrase.asked == 0
