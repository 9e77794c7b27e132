"""Workers that meet at one endpoint: some of them, and never all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.endpoints import OK, make_endpoint, queue
from tests.stories import travel
from twofa import jobs
from twofa.flows import webhooks
from twofa.models import Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.webhooks import Outcome, Sender

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> WebhookEndpoint:
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    return make_endpoint()


def test_endpoint_that_is_slow_and_says_yes_holds_two_workers_at_most(
    endpoint, monkeypatch, threads: Callable[..., list[Any]]
):
    queue(endpoint, 12)
    other = make_endpoint("/other")
    queue(other, 12)
    under_way, most = Counter[str](), Counter[str]()

    def slow(_sender: Sender, url: str, **_given: Any) -> Outcome:
        under_way[url] += 1
        most[url] = max(most[url], under_way[url])
        time.sleep(0.1)
        under_way[url] -= 1
        return OK

    monkeypatch.setattr(Sender, "post", slow)
    workers = [lambda: webhooks.push(endpoint.pk) for _worker in range(5)]
    taken = threads([*workers, lambda: webhooks.push(other.pk)])

    assert most == {endpoint.url: webhooks.WORKERS, other.url: 1}
    assert sum(taken) == 24
    assert set(Webhook.objects.values_list("status", "tries")) == {("sent", 1)}


def test_workers_that_died_hold_nobody_up_after_their_lease(endpoint, monkeypatch):
    monkeypatch.setattr(Sender, "post", lambda *_args, **_given: OK)
    dead = [row.pk for row in queue(endpoint, 3)[: webhooks.WORKERS]]
    Webhook.objects.filter(pk__in=dead).update(status="sending", tries=1, leased_until=now() + webhooks.LEASE)
    assert webhooks.push(endpoint.pk) == 0
    travel(webhooks.LEASE)
    assert webhooks.push(endpoint.pk) == 3
