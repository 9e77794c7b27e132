"""Sending webhooks: once, again after a failure, never so that one endpoint holds up another."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook as Verifier

from tests import factories
from tests.endpoints import BROKEN, GONE, OK, Wire, again, make_endpoint, queue
from tests.stories import STAFF, cancel, travel, unchanged
from twofa import alerts, jobs, signals
from twofa.flows import purges, sweeps, webhook_endpoints, webhooks
from twofa.models import Event, Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.models.ids import uuid7
from twofa.webhooks import Outcome, Sender

pytestmark = pytest.mark.django_db


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    found = Wire()
    monkeypatch.setattr(Sender, "post", lambda sender, url, **given: found.post(sender, url, **given))
    return found


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nothing is published; the endpoints that would be."""
    found: list[Any] = []

    def publish(name: str, identifier: object, **_options: Any) -> bool:
        if name == jobs.PUSH:
            found.append(identifier)
        return True

    monkeypatch.setattr(jobs, "publish", publish)
    return found


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint()


# --- sending


def test_due_webhooks_are_sent_oldest_first(endpoint, wire):
    rows = queue(endpoint, 3)
    late = queue(endpoint, due_at=now() + timedelta(hours=1))[0]

    assert webhooks.push(endpoint.pk) == 3

    assert wire.ids == [row.webhook_id for row in rows]
    sent = again(rows[0])
    assert (sent.status, sent.reason, sent.tries, sent.last_status, sent.leased_until) == ("sent", "", 1, 200, None)
    assert sent.sent_at is not None
    assert again(late).status == "queued"


def test_what_is_sent_twice_is_posted_once(endpoint, wire):
    queue(endpoint)
    webhooks.push(endpoint.pk)
    with unchanged():
        assert webhooks.push(endpoint.pk) == 0
    assert len(wire.posted) == 1


def test_one_job_is_bounded_and_publishes_the_rest(endpoint, wire, published):
    queue(endpoint, 3)
    assert webhooks.push(endpoint.pk, most=2) == 2
    assert published == [endpoint.pk]
    assert webhooks.push(endpoint.pk) == 1


def test_job_ends_when_its_time_is_over(endpoint, wire, published):
    queue(endpoint, 2)
    assert webhooks.push(endpoint.pk, seconds=0) == 0
    assert wire.posted == []
    assert published == [endpoint.pk]


def test_endpoint_that_is_gone_is_no_error(wire):
    assert webhooks.push(uuid7()) == 0


# --- failing


def test_failed_webhook_waits_by_the_table_and_keeps_its_id(endpoint, wire):
    row = queue(endpoint)[0]
    wire.answers = [BROKEN] * webhooks.MAX_TRIES
    for number, pause in enumerate(webhooks.DELAYS, 1):
        before = now()
        assert webhooks.push(endpoint.pk) == 1
        again(row)
        assert (row.status, row.reason, row.last_status, row.tries) == ("queued", "broken", 500, number)
        assert pause <= row.due_at - before <= pause * 1.1 + timedelta(seconds=5)
        WebhookEndpoint.objects.update(failing_since=now())
        travel(pause * 1.1)
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.tries, len(set(wire.ids))) == ("failed", webhooks.MAX_TRIES, 1)
    with unchanged():
        webhooks.push(endpoint.pk)


def test_table_of_pauses_is_three_days():
    assert [timedelta(0), *webhooks.DELAYS] == [
        timedelta(seconds=seconds) for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    ]
    assert timedelta(days=3) < sum(webhooks.DELAYS, timedelta()) < timedelta(days=3.5)


def test_after_a_failure_the_other_rows_of_the_endpoint_wait(endpoint, wire):
    queue(endpoint, 3)
    wire.answers = [BROKEN]
    assert webhooks.push(endpoint.pk) == 1
    with unchanged():
        assert webhooks.push(endpoint.pk) == 0
    assert len(wire.posted) == 1
    assert again(endpoint).failing_since is not None


def test_failing_endpoint_holds_up_no_other(endpoint, wire):
    other = make_endpoint("/other")
    queue(endpoint, 3)
    queue(other, 2)
    wire.answers = [BROKEN]
    webhooks.push(endpoint.pk)
    assert webhooks.push(other.pk) == 2


def test_endpoint_that_answers_again_gets_all_that_waited(endpoint, wire):
    queue(endpoint, 3)
    wire.answers = [BROKEN]
    webhooks.push(endpoint.pk)
    travel(timedelta(seconds=6))
    assert webhooks.push(endpoint.pk) == 3
    assert (again(endpoint).failing_since, endpoint.paused_until) == (None, None)


@pytest.mark.parametrize(("failing", "pause"), [(0, 5), (60, 15), (600, 150), (86_400, 300)])
def test_pause_grows_up_to_five_minutes(endpoint, wire, failing, pause):
    WebhookEndpoint.objects.update(failing_since=now() - timedelta(seconds=failing) if failing else None)
    queue(endpoint)
    wire.answers = [BROKEN]
    webhooks.push(endpoint.pk)
    left = again(endpoint).paused_until - now()
    assert timedelta(seconds=pause - 3) < left < timedelta(seconds=pause + 3)


def test_key_that_left_the_ring_is_told_and_nothing_is_posted(endpoint, wire, settings):
    row = queue(endpoint)[0]
    settings.TWOFA_TOKEN_KEYS = {"other": b"another key of the tests, 32 bytes and more of it"}
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.reason) == ("queued", "key_missing")
    assert wire.posted == []


def test_secret_that_is_rotated_because_its_key_left_the_ring_signs_at_once(endpoint, wire, settings):
    settings.TWOFA_TOKEN_KEYS = {"k9": b"9" * 32}
    rotated, _text = webhook_endpoints.rotate_secret(endpoint, actor=STAFF)
    (row,) = queue(endpoint)

    assert webhooks.push(endpoint.pk) == 1
    assert (again(row).status, wire.posted[0]["secrets"]) == ("sent", [rotated.secret()])


# --- giving an endpoint up


def test_410_disables_at_once_and_nothing_waits_any_more(endpoint, wire):
    rows = queue(endpoint, 2)
    wire.answers = [GONE]

    webhooks.push(endpoint.pk)

    assert [(again(row).status, row.reason) for row in rows] == [("failed", "gone"), ("failed", "endpoint_disabled")]
    assert (again(endpoint).disabled_reason, endpoint.is_open()) == ("gone", False)
    event = Event.objects.get(type="webhook_endpoint.disabled")
    assert event.storefront_id == endpoint.storefront_id
    assert event.data == {"endpoint_id": str(endpoint.pk), "reason": "gone"}
    with unchanged():
        webhooks.push(endpoint.pk)


@pytest.mark.django_db(transaction=True)
def test_disabled_endpoint_is_an_alert_and_a_signal(endpoint, wire, caplog):
    alerts.forget()
    heard: list[Any] = []

    def hear(webhook_endpoint: WebhookEndpoint, **_others: Any) -> None:
        heard.append(webhook_endpoint.pk)

    signals.webhook_endpoint_disabled.connect(hear)
    queue(endpoint)
    wire.answers = [GONE]
    webhooks.push(endpoint.pk)
    signals.webhook_endpoint_disabled.disconnect(hear)

    assert heard == [endpoint.pk]
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert record.alert == "webhook_endpoint_disabled"
    assert record.alert_ids == {"webhook_endpoint": str(endpoint.pk), "storefront": str(endpoint.storefront_id)}


@pytest.mark.parametrize(("failing", "disabled"), [(timedelta(days=4, hours=23), False), (timedelta(days=5), True)])
def test_five_days_without_a_success_disable(endpoint, wire, failing, disabled):
    WebhookEndpoint.objects.update(failing_since=now() - failing)
    queue(endpoint)
    wire.answers = [BROKEN]
    webhooks.push(endpoint.pk)
    assert (again(endpoint).disabled_at is not None) is disabled
    assert Event.objects.filter(type="webhook_endpoint.disabled").exists() is disabled


def test_storefront_that_is_switched_off_is_told_nothing(endpoint, wire):
    row = queue(endpoint)[0]
    type(endpoint.storefront).objects.update(is_active=False)
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.reason, wire.posted) == ("failed", "endpoint_off", [])


def test_all_that_waits_for_a_closed_endpoint_fails_however_much_it_is(endpoint, wire, monkeypatch):
    monkeypatch.setattr(webhooks, "BATCH", 2)
    rows = queue(endpoint, 5)
    WebhookEndpoint.objects.update(is_active=False)
    webhooks.push(endpoint.pk)
    assert ({again(row).status for row in rows}, wire.posted) == ({"failed"}, [])


# --- workers that die, and workers that meet


def test_killed_worker_is_taken_over_after_its_lease(endpoint, wire):
    row = queue(endpoint, status="sending", leased_until=now() + timedelta(seconds=20), tries=1)[0]
    with unchanged():
        webhooks.push(endpoint.pk)
    travel(timedelta(seconds=30))
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.tries) == ("sent", 2)


def test_row_that_kills_its_workers_is_given_up(endpoint, wire):
    row = queue(endpoint, status="sending", leased_until=now() - timedelta(seconds=1), tries=webhooks.MAX_TRIES)[0]
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.reason, wire.posted) == ("failed", "lease_lost", [])


def test_worker_that_lost_its_lease_records_nothing(endpoint, wire, monkeypatch):
    row = queue(endpoint)[0]

    def late(*_args: Any, **_given: Any) -> Outcome:
        Webhook.objects.update(leased_until=now() + timedelta(minutes=1), tries=2)
        return OK

    monkeypatch.setattr(Sender, "post", late)
    webhooks.push(endpoint.pk)
    assert (again(row).status, row.tries, row.sent_at) == ("sending", 2, None)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_row_once(endpoint, wire, threads: Callable[..., list[Any]]):
    rows = queue(endpoint, 20)
    taken = threads([lambda: webhooks.push(endpoint.pk) for _worker in range(4)])
    assert sum(taken) == 20
    assert sorted(wire.ids) == sorted(row.webhook_id for row in rows)
    assert set(Webhook.objects.values_list("status", "tries")) == {("sent", 1)}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_only_one_worker_tries_an_endpoint_that_fails(endpoint, wire, monkeypatch, threads: Callable[..., list[Any]]):
    WebhookEndpoint.objects.update(failing_since=now() - timedelta(hours=1))
    queue(endpoint, 4)

    def hang(*_args: Any, **_given: Any) -> Outcome:
        wire.posted.append({})
        time.sleep(0.5)
        return Outcome("timeout")

    monkeypatch.setattr(Sender, "post", hang)
    taken = threads([lambda: webhooks.push(endpoint.pk) for _worker in range(4)])
    assert (sum(taken), len(wire.posted)) == (1, 1)


# --- the sweeper


def test_sweeper_publishes_what_is_due(endpoint, wire, published):
    paused, closed = make_endpoint("/2", paused_until=now() + timedelta(minutes=1)), make_endpoint("/3")
    for row in (endpoint, paused, closed):
        queue(row)
    queue(make_endpoint("/4"), due_at=now() + timedelta(minutes=1))
    WebhookEndpoint.objects.filter(pk=closed.pk).update(is_active=False)

    assert sweeps.sweep()["webhooks"] == 2

    assert set(published) == {endpoint.pk, closed.pk}
    assert wire.posted == []


def test_sweeper_sends_itself_where_no_broker_takes_the_job(endpoint, wire, monkeypatch):
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: False)
    row = queue(endpoint)[0]
    sweeps.sweep()
    assert again(row).status == "sent"


def test_sweeper_is_not_held_up_by_slow_endpoints(wire, monkeypatch):
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: False)
    monkeypatch.setattr(webhooks, "INLINE_SECONDS", 0.3)
    for number in range(5):
        queue(make_endpoint(f"/{number}"), 3)

    def slow(*_args: Any, **_given: Any) -> Outcome:
        wire.posted.append({})
        time.sleep(0.2)
        return OK

    monkeypatch.setattr(Sender, "post", slow)
    sweeps.sweep()
    assert len(wire.posted) <= 3


def test_eager_mode_sends_in_the_process_and_leaves_failures_to_the_sweeper(endpoint, wire, monkeypatch):
    monkeypatch.setattr(jobs, "is_eager", lambda: True)
    queue(endpoint, 2)
    wire.answers = [BROKEN]
    assert sweeps.sweep()["webhooks"] == 1
    travel(timedelta(seconds=6))
    sweeps.sweep()
    assert set(Webhook.objects.values_list("status", flat=True)) == {"sent"}
    assert len(wire.posted) == 3


# --- the purge


def test_purge_deletes_what_was_sent_and_later_what_failed(endpoint, monkeypatch):
    monkeypatch.setattr(webhooks, "BATCH", 2)
    for days in (29, 31, 89, 91):
        at = now() - timedelta(days=days)
        queue(endpoint, created_at=at, status="sent")
        queue(endpoint, created_at=at, status="failed", reason="broken")
        queue(endpoint, created_at=at, status="queued")
    purges.purge()
    left = [(row.status, (now() - row.created_at).days) for row in Webhook.objects.order_by("status", "-created_at")]
    assert left == [
        *[("failed", days) for days in (29, 31, 89)],
        *[("queued", days) for days in (29, 31, 89, 91)],
        ("sent", 29),
    ]


# --- all of it


@pytest.mark.django_db(transaction=True)
def test_story_is_received_over_http_and_verifies(httpserver: HTTPServer, settings: Any):
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = ["localhost"]
    httpserver.expect_request("/hooks", method="POST").respond_with_data("")
    shop = factories.Shop()
    endpoint, text = webhook_endpoints.open_endpoint(shop.storefront, actor=STAFF, url=httpserver.url_for("/hooks"))
    cancel(shop, shop.open())

    assert webhooks.push(endpoint.pk) == 3

    received = [Verifier(text).verify(request.get_data(), dict(request.headers)) for request, _answer in httpserver.log]
    told = ["redemption.pending", "challenge.cancelled", "redemption.cancelled"]
    assert [body["type"] for body in received] == told
    assert received[0]["data"]["version"] < received[2]["data"]["version"]
    assert datetime.fromisoformat(received[0]["timestamp"]) == Webhook.objects.earliest("id").created_at
