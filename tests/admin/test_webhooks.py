"""Endpoints of webhooks and their log, as staff see and keep them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.endpoints import BROKEN, OK, Wire, again, make_endpoint, queue
from tests.stories import stored
from twofa import jobs
from twofa.flows.webhook_endpoints import secret_text
from twofa.models import Event, Storefront, Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.webhooks import Outcome, Sender

pytestmark = pytest.mark.django_db

ADDER = ("view_storefront", "view_webhookendpoint", "add_webhookendpoint")
KEEPER = ("view_webhookendpoint", "change_webhookendpoint")
SUPPORT = ("view_webhookendpoint", "view_webhook", "replay_webhook")
URL = "https://shop.example/hooks"


@pytest.fixture(autouse=True)
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    found = Wire()
    monkeypatch.setattr(Sender, "post", lambda sender, url, **given: found.post(sender, url, **given))
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    return found


def test_empty_list_says_where_an_endpoint_is_added(boss: Client):
    way = f'on the page of its storefront. <a href="{page("storefront", "changelist")}">Storefronts</a>'

    assert way in boss.get(page("webhookendpoint", "changelist")).content.decode()


@pytest.fixture
def storefront() -> Storefront:
    return factories.storefront()


@pytest.fixture
def endpoint(storefront: Storefront) -> WebhookEndpoint:
    return make_endpoint(of=storefront)


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- adding one, and its secret


def test_new_endpoint_shows_its_secret_once(storefront: Storefront, staff: Callable[..., Client]):
    client = staff(*ADDER)

    response = client.post(page("storefront", "add-webhook", storefront.pk), {"url": URL, "events": ["redemption"]})

    endpoint = WebhookEndpoint.objects.get(storefront=storefront)
    text = response.context["text"]
    assert (endpoint.url, endpoint.events) == (URL, ["redemption"])
    assert text == secret_text(endpoint.secret())
    assert text in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    for address in (page("webhookendpoint", "change", endpoint.pk), page("storefront", "change", storefront.pk)):
        assert text not in client.get(address).content.decode()
    assert text not in str(stored())
    assert Event.objects.get(type="webhook_endpoint.opened").actor == "maria"


@pytest.mark.parametrize(
    "typed",
    [
        {"url": "http://shop.example/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://user@shop.example/"},
        {"url": ""},
        {"url": URL, "events": ["redemption.lost"]},
    ],
)
def test_endpoint_that_cannot_be_is_refused_beside_its_field(storefront: Storefront, boss: Client, typed: Any):
    response = boss.post(page("storefront", "add-webhook", storefront.pk), typed)

    assert response.status_code == 200
    assert set(response.context["form"].errors) == {"events" if "events" in typed else "url"}
    assert not WebhookEndpoint.objects.exists()


def test_rotation_shows_the_new_secret_and_says_until_when_the_former_signs(endpoint, staff: Callable[..., Client]):
    client = staff(*KEEPER)
    shown = client.get(page("webhookendpoint", "rotate-secret", endpoint.pk))
    assert shown.context["form"].initial == {"secret_number": 1, "overlap": "24"}

    response = client.post(page("webhookendpoint", "rotate-secret", endpoint.pk), {"secret_number": 1, "overlap": "24"})

    assert response.context["text"] == secret_text(again(endpoint).secret())
    assert len(endpoint.secrets(now())) == 2
    secrets = client.get(page("webhookendpoint", "change", endpoint.pk)).context["sections"][0]
    assert [str(line[2].text) for line in secrets.rows] == ["signs", "signs"]


def test_secret_that_leaked_stops_at_once(endpoint, boss: Client):
    boss.post(page("webhookendpoint", "rotate-secret", endpoint.pk), {"secret_number": 1, "overlap": "0"})
    assert len(again(endpoint).secrets(now())) == 1


# --- changing it


def test_endpoint_is_changed_by_the_flow(endpoint, boss: Client):
    typed = {"url": URL, "description": "The new one", "events": ["device", "redemption.failed"], "is_active": "on"}
    response = boss.post(page("webhookendpoint", "change", endpoint.pk), typed)

    assert response.status_code == 302
    assert (again(endpoint).description, endpoint.events) == ("The new one", ["device", "redemption.failed"])
    assert Event.objects.filter(type="webhook_endpoint.changed").count() == 1


def test_url_is_not_changed_to_a_private_address(endpoint, boss: Client):
    response = boss.post(
        page("webhookendpoint", "change", endpoint.pk), {"url": "https://10.0.0.1/", "is_active": "on"}
    )

    assert response.status_code == 200
    assert "url" in response.context["adminform"].form.errors
    assert again(endpoint).url == URL


def test_nobody_adds_an_endpoint_without_its_storefront_or_deletes_one(endpoint, boss: Client):
    assert boss.get(page("webhookendpoint", "add")).status_code == 403
    assert boss.get(page("webhookendpoint", "delete", endpoint.pk)).status_code == 403


# --- the test button


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (OK, "It accepted the test, with the status 200."),
        (BROKEN, "It did not accept the test: it failed (5xx). Its status was 500."),
        (Outcome("timeout"), "It did not accept the test: no answer within 10 seconds."),
    ],
)
def test_test_says_what_came_of_it(endpoint, staff: Callable[..., Client], wire: Wire, outcome: Outcome, said: str):
    wire.answers = [outcome]
    response = staff(*KEEPER).post(page("webhookendpoint", "test", endpoint.pk), follow=True)

    assert told(response) == [said]
    assert len(wire.posted) == 1


# --- what is wrong with it


def test_disabled_endpoint_says_so_and_is_enabled(endpoint, boss: Client):
    address = page("webhookendpoint", "change", endpoint.pk)
    assert page("webhookendpoint", "enable", endpoint.pk) not in boss.get(address).content.decode()
    WebhookEndpoint.objects.update(disabled_at=now(), disabled_reason="dead")

    shown = boss.get(address).content.decode()
    assert "it took nothing for five days" in shown
    assert page("webhookendpoint", "enable", endpoint.pk) in shown
    boss.post(page("webhookendpoint", "enable", endpoint.pk))

    assert again(endpoint).is_open()


def test_failing_endpoint_says_since_when(endpoint, boss: Client):
    WebhookEndpoint.objects.update(failing_since=now() - timedelta(hours=1), paused_until=now())
    assert "It has accepted nothing since" in boss.get(page("webhookendpoint", "change", endpoint.pk)).content.decode()
    assert "failing" in boss.get(page("webhookendpoint", "changelist")).content.decode()


def test_storefront_lists_its_endpoints(endpoint, boss: Client):
    make_endpoint("/other")
    section = boss.get(page("storefront", "change", endpoint.storefront_id)).context["sections"][-1]
    assert [str(line[0].text) for line in section.rows] == [endpoint.url]


# --- the log


def test_log_says_why_in_words_and_what_was_sent(endpoint, boss: Client):
    (row,) = queue(endpoint, status="failed", reason="redirected", last_status=302, tries=10)
    listed = boss.get(page("webhook", "changelist")).content.decode()
    shown = boss.get(page("webhook", "change", row.pk)).content.decode()

    for content in (listed, shown):
        assert "it answered with a redirect, which is not followed" in content
        assert "Redemption completed" in content
    assert row.webhook_id in shown
    assert "&quot;version&quot;: 3" in shown


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status__exact": "failed"}, ["failed"]),
        ({"reason__exact": "broken"}, ["failed"]),
        ({"webhook": "device.revoked"}, ["sent"]),
        ({"q": "d-1"}, ["sent"]),
    ],
)
def test_log_is_filtered_and_searched(endpoint, boss: Client, query: Any, expected: list[str]):
    queue(endpoint, status="failed", reason="broken")
    queue(endpoint, status="sent", type="device.revoked", subject_id="d-1")
    found = boss.get(page("webhook", "changelist"), query).context["cl"].result_list
    assert [row.status for row in found] == expected


def test_log_of_one_endpoint_is_a_click_away_and_is_found_by_the_webhook_s_id(endpoint, boss: Client):
    (row,) = queue(endpoint)
    queue(make_endpoint("/other"))
    address = page("webhookendpoint", "change", endpoint.pk)
    (log,) = [tool.url for tool in boss.get(address).context["tools"] if str(tool.label) == "Log"]
    for where in (log, f"{page('webhook', 'changelist')}?q={row.message_id}"):
        assert [found.pk for found in boss.get(where).context["cl"].result_list] == [row.pk]


def test_support_sends_one_again_and_all_that_failed(endpoint, staff: Callable[..., Client]):
    client = staff(*SUPPORT)
    rows = queue(endpoint, 3, status="failed", reason="broken", tries=10)

    client.post(page("webhook", "replay", rows[0].pk))
    assert [again(row).status for row in rows] == ["queued", "failed", "failed"]
    response = client.post(page("webhookendpoint", "replay-failed", endpoint.pk), follow=True)

    assert told(response)[-1] == "2 wait to be sent again."
    assert set(Webhook.objects.values_list("status", "tries")) == {("queued", 0)}


@pytest.mark.parametrize(
    ("model", "name"), [("webhookendpoint", "replay-failed"), ("webhookendpoint", "test"), ("webhook", "replay")]
)
def test_who_may_only_look_does_nothing(endpoint, staff: Callable[..., Client], wire: Wire, model: str, name: str):
    (row,) = queue(endpoint, status="failed", reason="broken")
    client = staff("view_webhookendpoint", "view_webhook")
    before = stored()

    assert client.post(page(model, name, row.pk if model == "webhook" else endpoint.pk)).status_code == 403
    assert (stored(), wire.posted) == (before, [])
