"""The shop's end of the webhooks: what is verified, what is dropped, what is refused, and the page that shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from standardwebhooks.webhooks import Webhook

from example_project import urls
from example_project.shop import journal
from example_project.shop.urls import by_method
from example_project.shop.views import webhooks as views
from tests.example.blocks import ROOT
from tests.example.shopping import Shopper, World, latest_token
from twofa.flows import webhook_endpoints, webhooks
from twofa.flows.history import WORKER
from twofa.models.clock import now

# As in development.
urlpatterns = [
    path("webhooks/", csrf_exempt(by_method(views.show_webhooks, views.receive)), name="webhooks"),
    *urls.urlpatterns,
]
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgb2YgMzIgYnl0ZXM="
ORDER = "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d"


@pytest.fixture(autouse=True)
def receiver(settings: Any, tmp_path: Path) -> Client:
    """A client that posts what it likes."""
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    settings.SHOP_WEBHOOK_SECRET = SECRET
    settings.SHOP_WEBHOOK_DIRECTORY = tmp_path / "webhooks"
    return Client(enforce_csrf_checks=True)


def body_of(version: int, status: str = "completed", **data: Any) -> str:
    told = {"id": ORDER, "version": version, "status": status, "order_id": "A-1", **data}
    return json.dumps({"type": f"redemption.{status}", "timestamp": "2026-01-31T12:00:00Z", "data": told})


def post(client: Client, body: str, *, message_id: str = "msg_1", at: datetime | None = None, **changes: str) -> int:
    sent = at or datetime.now(UTC)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message_id, sent, body),
        **changes,
    }
    return client.post("/webhooks/", body, content_type="application/json", headers=headers).status_code


def verdicts() -> list[str]:
    return [entry.verdict for entry in reversed(journal.entries())]


def test_signed_webhook_is_taken_and_shown(receiver: Client):
    assert post(receiver, body_of(3)) == 204

    (entry,) = journal.entries()
    assert (entry.verdict, entry.type, entry.version) == ("accepted", "redemption.completed", 3)
    assert (entry.status, entry.order_id) == ("completed", "A-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,@@@"},
        {"webhook-signature": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1"},
    ],
)
def test_webhook_that_the_programme_did_not_sign_is_refused_and_tells_nothing(
    receiver: Client, changes: dict[str, str]
):
    assert post(receiver, body_of(3), **changes) == 401

    (entry,) = journal.entries()
    assert (entry.verdict, entry.type, entry.order_id) == ("refused", "", "")


def test_recorded_webhook_is_refused_later(receiver: Client):
    assert post(receiver, body_of(3), at=datetime.now(UTC) - timedelta(minutes=6)) == 401


def test_body_that_was_changed_on_its_way_is_refused(receiver: Client):
    at = datetime.now(UTC)
    signature = Webhook(SECRET).sign("msg_1", at, body_of(3))

    assert post(receiver, body_of(4), at=at, **{"webhook-signature": signature}) == 401


@pytest.mark.parametrize("body", ["", "[]", "{}", "nothing", '{"data": []}', '{"data": {"id": 1, "version": "x"}}'])
def test_signed_nonsense_breaks_nothing(receiver: Client, body: str):
    assert post(receiver, body) == 401
    assert verdicts() == ["refused"]


@pytest.mark.django_db
def test_without_a_secret_nothing_is_right(receiver: Client, settings: Any):
    settings.SHOP_WEBHOOK_SECRET = ""

    assert post(receiver, body_of(3)) == 401
    assert "The shop has no secret" in receiver.get("/webhooks/").content.decode()


def test_older_version_is_dropped_and_the_same_one_changes_nothing(receiver: Client):
    post(receiver, body_of(3), message_id="msg_3")
    post(receiver, body_of(3), message_id="msg_3")
    assert post(receiver, body_of(2, "approved"), message_id="msg_2") == 204
    post(receiver, body_of(1, id="0197a1c2-5a3e-7b02-9d41-000000000000"), message_id="msg_9")

    assert verdicts() == ["accepted", "repeated", "outdated", "accepted"]


def test_refused_one_makes_no_later_one_old(receiver: Client):
    post(receiver, body_of(99), **{"webhook-signature": "v1,AAAA"})

    assert post(receiver, body_of(3)) == 204
    assert verdicts() == ["refused", "accepted"]


def test_large_body_is_not_kept(receiver: Client):
    assert post(receiver, body_of(3, filler="x" * 70_000)) == 413
    assert journal.entries() == []


def test_whoever_posts_for_ever_fills_no_disk(receiver: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "_KEPT", 3)

    for number in range(5):
        post(receiver, body_of(number + 1), message_id=f"msg_{number}")

    assert [entry.version for entry in journal.entries()] == [5, 4, 3]


@pytest.mark.django_db
def test_markup_in_an_order_id_stays_text(receiver: Client):
    post(receiver, body_of(3, order_id="<script>alert(1)</script>"))
    post(receiver, body_of(3), message_id="<b>x</b>", **{"webhook-signature": "v1,AAAA"})

    page = receiver.get("/webhooks/").content.decode()

    assert "<script>alert" not in page
    assert "<b>x" not in page
    assert "Refused: not signed by the programme" in page


@pytest.mark.django_db(transaction=True)
def test_programme_tells_the_shop_of_an_order_and_the_page_shows_it(
    world: World, live_server: Any, settings: Any, tmp_path: Path
):
    settings.ROOT_URLCONF = __name__
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = ["localhost", "127.0.0.1"]
    endpoint, secret = webhook_endpoints.open_endpoint(
        world.storefront, actor=WORKER, url=f"{live_server.url}/webhooks/"
    )
    settings.SHOP_WEBHOOK_SECRET = secret
    world.phone()
    ana = Shopper().sign_in()
    ana.order("mug")
    ana.type(latest_token())

    webhooks.push_due(now())
    webhooks.push(endpoint.pk)

    told = {entry.type: entry.verdict for entry in journal.entries()}
    assert told["redemption.completed"] == "accepted"
    assert set(told.values()) <= {"accepted", "outdated"}
    page = ana.get("/webhooks/")
    assert "redemption.completed" in page
    assert "Verified" in page
    assert 'href="/webhooks/"' in page
