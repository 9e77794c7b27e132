"""Endpoints as staff keep them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from tests import factories
from tests.endpoints import BROKEN, GONE, OK, Wire, again, make_endpoint, queue
from tests.stories import STAFF, refused, stored, travel
from twofa import jobs, networks, webhooks
from twofa.exceptions import PolicyRefused
from twofa.flows import webhook_endpoints
from twofa.flows import webhooks as sending
from twofa.models import Event, Webhook, WebhookEndpoint, webhook_endpoint
from twofa.models.clock import now
from twofa.webhooks import Sender

pytestmark = pytest.mark.django_db


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    found = Wire()
    monkeypatch.setattr(Sender, "post", lambda sender, url, **given: found.post(sender, url, **given))
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    return found


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint()


def events(type_: str) -> list[dict[str, Any]]:
    return list(Event.objects.filter(type=f"webhook_endpoint.{type_}").values_list("data", flat=True))


def verifies(text: str, endpoint: WebhookEndpoint) -> bool:
    headers = webhooks.signed("msg_1", "{}", endpoint.secrets(now()), now())
    try:
        Verifier(text).verify("{}", headers)
    except WebhookVerificationError:
        return False
    return True


# --- secrets


def test_secret_is_shown_once_and_stored_nowhere():
    endpoint, text = webhook_endpoints.open_endpoint(
        factories.storefront(), actor=STAFF, url="https://shop.example/hooks", events=["redemption"]
    )
    assert text.startswith("whsec_")
    assert verifies(text, WebhookEndpoint.objects.get())
    kept = str(stored())
    assert text not in kept
    assert repr(endpoint.secret()) not in kept
    assert events("opened") == [
        {"endpoint_id": str(endpoint.pk), "url": "https://shop.example/hooks", "told": ["redemption"]}
    ]


def test_database_alone_and_key_alone_give_no_secret(endpoint, settings):
    secret = endpoint.secret()
    WebhookEndpoint.objects.update(seed=b"\0" * 32)
    assert again(endpoint).secret() != secret
    other = make_endpoint("/other", seed=b"\0" * 32)
    assert other.secret() != endpoint.secret()
    kid = endpoint.kid
    settings.TWOFA_TOKEN_KEYS = {kid: b"another key of the tests, 32 bytes and more of it"}
    assert again(endpoint).secret() not in (secret, other.secret())


def test_both_secrets_verify_for_a_day_after_a_rotation(endpoint):
    former = webhook_endpoints.secret_text(endpoint.secret())
    rotated, text = webhook_endpoints.rotate_secret(endpoint, actor=STAFF, secret_number=1)
    assert (rotated.secret_number, text != former) == (2, True)
    assert verifies(former, again(endpoint))
    assert verifies(text, endpoint)
    travel(timedelta(hours=24))
    assert not verifies(former, again(endpoint))
    assert verifies(text, endpoint)
    assert events("secret_rotated") == [{"endpoint_id": str(endpoint.pk), "number": 2}]


def test_secret_that_leaked_stops_at_once(endpoint):
    former = webhook_endpoints.secret_text(endpoint.secret())
    _row, text = webhook_endpoints.rotate_secret(endpoint, actor=STAFF, overlap=timedelta(0))
    assert not verifies(former, again(endpoint))
    assert verifies(text, endpoint)


def test_rotation_asked_for_twice_rotates_once(endpoint):
    webhook_endpoints.rotate_secret(endpoint, actor=STAFF, secret_number=1)
    with refused(PolicyRefused):
        webhook_endpoints.rotate_secret(endpoint, actor=STAFF, secret_number=1)


# --- what is refused


@pytest.mark.parametrize(
    "url",
    ["http://shop.example/", "https://shop.example:8443/", "https://127.0.0.1/", "https://user@shop.example/", ""],
)
def test_url_that_no_webhook_may_go_to_is_refused(url):
    storefront = factories.storefront()
    with refused(PolicyRefused):
        webhook_endpoints.open_endpoint(storefront, actor=STAFF, url=url)
    endpoint = make_endpoint()
    with refused(PolicyRefused):
        webhook_endpoints.update(endpoint, actor=STAFF, changes={"url": url})


@pytest.mark.parametrize(
    ("url", "said", "in_development"),
    [
        ("http://localhost:8000/hooks", "must begin with “https://”", True),
        ("https://shop.example:8443/", "Leave the port out", True),
        ("https://10.0.0.1/", "private address", True),
        ("https://user@shop.example/", "Leave user and password out", False),
        ("https://shop.example/#hooks", "Leave out “#”", False),
        ("https://shop.example/my hooks", "without spaces", False),
    ],
)
def test_refusal_says_which_part_of_a_url_is_wrong(url, said, in_development):
    storefront = factories.storefront()
    with refused(PolicyRefused) as refusal:
        webhook_endpoints.open_endpoint(storefront, actor=STAFF, url=url)
    assert said in str(refusal.value.detail)
    assert ("TWOFA_WEBHOOK_PRIVATE_HOSTS" in str(refusal.value.detail)) is in_development


def test_every_flaw_of_a_url_has_words():
    assert set(webhook_endpoint._FLAWS) == set(networks.Flaw)
    assert len({str(words) for words in webhook_endpoint._FLAWS.values()}) == len(networks.Flaw)


def test_private_host_of_the_setting_is_taken(settings):
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = {"backend"}
    webhook_endpoints.open_endpoint(factories.storefront(), actor=STAFF, url="http://backend:8000/hooks")


@pytest.mark.parametrize("types", [["redemption.lost"], ["*"], [7], ["redemption", "x"]])
def test_types_that_do_not_exist_are_refused(types):
    storefront = factories.storefront()
    with refused(PolicyRefused):
        webhook_endpoints.open_endpoint(storefront, actor=STAFF, url="https://shop.example/", events=types)


def test_same_url_of_one_storefront_is_refused_and_of_another_is_not(endpoint):
    with refused(PolicyRefused):
        webhook_endpoints.open_endpoint(endpoint.storefront, actor=STAFF, url=endpoint.url)
    make_endpoint()


# --- changes


def test_change_is_an_event_with_before_and_after(endpoint):
    webhook_endpoints.update(endpoint, actor=STAFF, changes={"events": ["device"], "url": endpoint.url})
    (data,) = events("changed")
    assert (data["before"], data["after"]) == ({"told": []}, {"told": ["device"]})


def test_what_waits_for_an_endpoint_that_is_switched_off_fails_in_sight(endpoint, wire):
    row = queue(endpoint)[0]
    webhook_endpoints.update(endpoint, actor=STAFF, changes={"is_active": False})
    assert (again(row).status, row.reason) == ("failed", "endpoint_off")


def test_disabled_endpoint_is_enabled_once(endpoint):
    WebhookEndpoint.objects.update(
        disabled_at=now(), disabled_reason="dead", failing_since=now() - timedelta(days=5), paused_until=now()
    )
    webhook_endpoints.enable(endpoint, actor=STAFF)
    assert again(endpoint).is_open()
    assert (endpoint.failing_since, endpoint.paused_until) == (None, None)
    assert events("enabled") == [{"endpoint_id": str(endpoint.pk), "reason": "dead"}]
    with refused(PolicyRefused):
        webhook_endpoints.enable(endpoint, actor=STAFF)


# --- the test


@pytest.mark.parametrize(("answer", "status"), [(OK, "sent"), (BROKEN, "failed"), (GONE, "failed")])
def test_test_is_sent_once_by_the_same_path_and_says_what_came_of_it(endpoint, wire, answer, status):
    WebhookEndpoint.objects.update(events=["device"])
    wire.answers = [answer]
    assert webhook_endpoints.test(endpoint, actor=STAFF) == answer
    row = Webhook.objects.get()
    assert (row.type, row.status, row.tries, row.test) == ("ping.test", status, 1, True)
    assert wire.posted[0]["body"] == row.body()
    assert events("tested") == [{"endpoint_id": str(endpoint.pk), "webhook_id": row.webhook_id}]
    # What a test finds disables nothing and pauses nothing.
    assert again(endpoint).is_open()
    assert (endpoint.failing_since, endpoint.paused_until) == (None, None)


def test_test_that_is_accepted_ends_a_pause(endpoint, wire):
    WebhookEndpoint.objects.update(failing_since=now(), paused_until=now() + timedelta(minutes=5))
    webhook_endpoints.test(endpoint, actor=STAFF)
    assert (again(endpoint).failing_since, endpoint.paused_until) == (None, None)


# --- sending again


@pytest.mark.parametrize("status", ["failed", "sent"])
def test_replay_keeps_the_id(endpoint, wire, status):
    row = queue(endpoint, status=status, tries=10)[0]
    webhook_endpoints.replay(row, actor=STAFF)
    assert (again(row).status, row.tries, row.reason) == ("queued", 0, "")
    sending.push(endpoint.pk)
    assert wire.ids == [row.webhook_id]
    assert events("replayed") == [{"endpoint_id": str(endpoint.pk), "webhook_id": row.webhook_id, "rows": 1}]


@pytest.mark.parametrize("status", ["queued", "sending"])
def test_what_is_about_to_be_sent_is_not_sent_again(endpoint, wire, status):
    row = queue(endpoint, status=status, leased_until=now())[0]
    with refused(PolicyRefused):
        webhook_endpoints.replay(row, actor=STAFF)


@pytest.mark.parametrize("columns", [{"is_active": False}, {"disabled_at": now, "disabled_reason": "dead"}])
def test_nothing_is_sent_again_to_an_endpoint_that_is_closed(endpoint, wire, columns):
    row = queue(endpoint, status="failed", reason="broken")[0]
    WebhookEndpoint.objects.update(**{name: value() if callable(value) else value for name, value in columns.items()})
    with refused(PolicyRefused):
        webhook_endpoints.replay(row, actor=STAFF)
    with refused(PolicyRefused):
        webhook_endpoints.replay_failed(endpoint, actor=STAFF)


def test_all_that_failed_is_sent_again_at_once(endpoint, wire):
    other = make_endpoint("/other")
    failed = queue(endpoint, 3, status="failed", reason="broken", tries=10)
    left = [*queue(endpoint, status="sent"), *queue(other, status="failed", reason="broken")]
    left += queue(endpoint, type="ping.test", status="failed", reason="broken")
    assert webhook_endpoints.replay_failed(endpoint, actor=STAFF) == 3
    assert {again(row).status for row in failed} == {"queued"}
    assert [again(row).status for row in left] == ["sent", "failed", "failed"]
    assert events("replayed") == [{"endpoint_id": str(endpoint.pk), "rows": 3}]
    with refused(PolicyRefused):
        webhook_endpoints.replay_failed(endpoint, actor=STAFF)


def test_what_days_of_silence_left_is_sent_again_oldest_first_and_not_all_at_once(endpoint, wire, monkeypatch):
    monkeypatch.setattr(sending, "AT_ONCE", 2)
    failed = queue(endpoint, 3, status="failed", reason="broken")
    assert webhook_endpoints.replay_failed(endpoint, actor=STAFF) == 2
    assert [again(row).status for row in failed] == ["queued", "queued", "failed"]
    assert webhook_endpoints.has_failed(endpoint)
    assert webhook_endpoints.replay_failed(endpoint, actor=STAFF) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_members_of_staff_rotate_once(endpoint, threads: Callable[..., list[Any]]):
    rotate = [lambda: webhook_endpoints.rotate_secret(endpoint, actor=STAFF, secret_number=1) for _who in range(2)]
    outcomes = threads(rotate)
    assert sum(isinstance(outcome, PolicyRefused) for outcome in outcomes) == 1
    assert again(endpoint).secret_number == 2
