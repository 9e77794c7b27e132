"""The broker refuses, is silent, or forgets everything: a checkout is answered, and its token goes out once."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import redis
from celery import current_app

from tests.factories import token_of
from tests.faults.conftest import forget
from tests.servers.process import free_port
from tests.servers.silent import silent_server
from tests.stories import confirm, points
from twofa import tasks
from twofa.channels.memory import outbox
from twofa.flows import sweeps
from twofa.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["refusing", "silent"])
def dead_broker(request, settings):
    """With the timeouts that hosts have by default."""
    settings.TWOFA_PUBLISH_TIMEOUT = timedelta(milliseconds=300)
    with silent_server() as port:
        current_app.conf.update(broker_url=f"redis://127.0.0.1:{port if request.param == 'silent' else free_port()}/0")
        forget()
        yield


def test_checkout_is_answered_in_time_and_its_token_sent_once(shop, dead_broker):
    start = time.monotonic()
    redemption = shop.open()
    assert time.monotonic() - start < 1
    assert redemption.status == "pending_2fa_approval"
    assert len(outbox) == 0
    for _ in range(3):
        sweeps.sweep()
    assert [message.token for message in outbox] == [token_of(redemption.challenge)]
    assert confirm(shop, redemption, outbox[0].token).status == "completed"


def test_many_checkouts_wait_for_a_dead_broker_once(shop, dead_broker):
    shop.campaign.max_open_challenges = 99
    shop.campaign.save()
    shop.open()
    start = time.monotonic()
    for _ in range(10):
        shop.open()
    assert time.monotonic() - start < 1
    sweeps.sweep()
    assert len(outbox) == 11


def test_asynchronous_completion_needs_no_broker(shop, dead_broker):
    shop.campaign.completion_mode = "async"
    shop.campaign.save()
    redemption = shop.open()
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "approved"
    type(redemption).objects.update(due_at=redemption.created_at)
    sweeps.sweep()
    assert points(redemption) == ("completed", "completed")


def test_broker_that_forgot_everything_loses_nothing(shop, broker_url):
    """Redis restarted empty, or evicted the queue: no state of ours was in it."""
    redemption = shop.open()
    with redis.Redis.from_url(broker_url) as client:
        assert client.llen("celery") == 1
        client.flushdb()
    sweeps.sweep()
    assert [message.token for message in outbox] == [token_of(redemption.challenge)]


def test_task_that_the_broker_delivers_ten_times_is_done_once(shop, broker_url):
    shop.open()
    pk = str(Delivery.objects.get().pk)
    sweeps.sweep()
    for _ in range(10):
        tasks.deliver(pk)
    assert len(outbox) == 1
