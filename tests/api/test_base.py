from __future__ import annotations

import json
import logging

import pytest
from django.db import OperationalError
from django.utils import translation

from tests import factories
from tests.api.client import Api, checkouts, member, nothing_changes, order, refused
from twofa import correlation
from twofa.flows import checkouts as flow
from twofa.models import Challenge, Delivery, Event, Redemption


def test_correlation_id_is_carried_everywhere(api, shop):
    response = api.post(checkouts(shop), order(shop), x_correlation_id="order:1.A_b-c")

    assert response["X-Correlation-Id"] == response.json()["correlation_id"] == "order:1.A_b-c"
    for model in (Redemption, Challenge, Delivery):
        assert model.objects.get().correlation_id == "order:1.A_b-c"
    assert set(Event.objects.filter(redemption__isnull=False).values_list("correlation_id", flat=True)) == {
        "order:1.A_b-c"
    }


@pytest.mark.parametrize("offered", ["", " ", "a b", "a" * 129, "é", "a;b", "<x>", "../x"])
def test_other_correlation_ids_are_replaced(api, offered):
    response = api.get("/campaigns/", x_correlation_id=offered)

    assert response["X-Correlation-Id"] != offered
    assert correlation.accept(response["X-Correlation-Id"]) == response["X-Correlation-Id"]


def test_correlation_id_of_a_middleware_is_kept_and_ours_does_not_linger(api):
    with correlation.bound("of-the-host"):
        assert api.get("/campaigns/", x_correlation_id="of-the-caller")["X-Correlation-Id"] == "of-the-host"

    api.get("/campaigns/")
    assert correlation.current() == ""


def test_problem_speaks_the_language_asked_for_and_the_code_stays(api):
    response = api.get("/nothing/", accept_language="es-MX,en;q=0.5")

    assert response["Content-Language"] == "es"
    assert refused(response, 404, "not_found")["title"]


def test_language_of_the_host_is_not_changed(api):
    with translation.override("pt-br"):
        api.get("/campaigns/", accept_language="es")

        assert translation.get_language() == "pt-br"


def test_one_line_of_access_names_route_and_code_but_no_one(api, shop, caplog):
    caplog.set_level(logging.INFO, logger="twofa.api")

    api.get(member(shop, "somebody"), x_correlation_id="c-1")

    (record,) = [record for record in caplog.records if record.name == "twofa.api.base"]
    assert record.getMessage().startswith(
        "GET api/v1/campaigns/<str:campaign>/participants/<str:external_id>/ 404 not_found "
    )
    assert record.correlation_id == "c-1"
    assert "somebody" not in repr(vars(record))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/campaigns/"),
        ("PATCH", "/campaigns/"),
        ("OPTIONS", "/campaigns/"),
        ("TRACE", "/campaigns/"),
        ("BREW", "/campaigns/"),
    ],
)
def test_other_methods_are_named_as_such(api, method, path):
    response = api.send(method, path)

    refused(response, 405, "method_not_allowed")
    assert "GET" in response["Allow"]


def test_head_is_get_without_a_body(api):
    response = api.send("HEAD", "/campaigns/")

    assert (response.status_code, response.content) == (200, b"")


def test_format_in_the_query_means_nothing(api):
    for name in ("format", "status", "version", "campaign"):
        assert api.get(f"/campaigns/?{name}=xml").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/campaigns", "/redemptions//", "/%0a", "/a%0Ab/", "/campaigns/x/y/", "/docs", "/%00", "/.env"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_unknown_path_below_the_prefix_is_our_own_404(api, method, path):
    refused(Api().send(method, path), 404, "not_found")
    refused(api.send(method, path), 404, "not_found")


def test_unexpected_error_shows_nothing_of_itself(api, shop, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise KeyError("SELECT secret FROM table")

    monkeypatch.setattr(flow, "open_redemption", fail)

    with nothing_changes():
        response = api.post(checkouts(shop), order(shop), idempotency_key="k")

    refused(response, 500, "internal_error")
    assert b"SELECT" not in response.content
    assert b"KeyError" not in response.content
    assert any("unexpected KeyError" in record.getMessage() for record in caplog.records)


def test_database_out_of_reach_is_unavailable(api, shop, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("could not connect to 10.0.0.7")

    monkeypatch.setattr(flow, "open_redemption", fail)

    response = api.post(checkouts(shop), order(shop))

    refused(response, 503, "unavailable")
    assert response["Retry-After"]
    assert b"10.0.0.7" not in response.content


def test_charged_attempt_survives_its_refusal(api, shop):
    """Under ATOMIC_REQUESTS, which this suite runs under as well, a refusal would take the charge back."""
    body = api.post(checkouts(shop), order(shop)).json()
    challenge = Challenge.objects.get()

    refused(
        api.post(f"/redemptions/{body['id']}/confirm/", {"token": factories.wrong_token(challenge)}),
        422,
        "token_invalid",
    )

    challenge.refresh_from_db()
    assert challenge.attempts == 1


def test_answer_is_compact_utf8_json(api, shop):
    response = api.put(member(shop, "joao"), {"name": "João"})

    assert "João" in response.content.decode()
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content) == response.json()


class Nosy:
    """A host's middleware that reads every form."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.POST  # noqa: B018 - reading it is what matters
        return self.get_response(request)


def test_form_that_a_middleware_has_read_is_not_taken_for_no_body(shop, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Nosy"]
    api = Api(factories.key(shop.storefront))
    body = api.post(checkouts(shop), order(shop)).json()
    form = b'--x\r\nContent-Disposition: form-data; name="channel"\r\n\r\nemail\r\n--x--\r\n'

    with nothing_changes():
        response = api.post(f"/redemptions/{body['id']}/cancel/", form, content_type="multipart/form-data; boundary=x")
        refused(response, 415, "unsupported_media_type")

    # What curl sends for `-X POST -d ""`.
    empty = api.post(f"/redemptions/{body['id']}/cancel/", b"", content_type="application/x-www-form-urlencoded")
    assert empty.status_code == 200


def test_language_is_ours_with_a_locale_middleware_as_well(shop, settings):
    settings.MIDDLEWARE = ["django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]
    settings.LANGUAGE_CODE = "es"
    api = Api(factories.key(shop.storefront))

    assert api.get("/campaigns/", accept_language="pt-BR")["Content-Language"] == "pt-BR"
    assert api.get("/campaigns/", accept_language="fr")["Content-Language"] == "es"
