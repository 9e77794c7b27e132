from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import current_app

from tests.servers.process import free_port
from tests.servers.silent import silent_server
from twofa import correlation, jobs

QUEUE = "celery"


@pytest.fixture(autouse=True)
def fresh(settings) -> Iterator[None]:
    """A breaker that has seen nothing, and no connection left over from another broker."""
    settings.TWOFA_PUBLISH_TIMEOUT = timedelta(milliseconds=300)
    url = current_app.conf.broker_url
    forget()
    yield
    current_app.conf.update(broker_url=url)
    current_app.conf.task_always_eager = False
    forget()


def forget() -> None:
    jobs.breaker.reset()
    jobs._connection.cache_clear()


def broker(url: str) -> None:
    current_app.conf.update(broker_url=url)
    forget()


def messages(url: str) -> list[dict[str, Any]]:
    with redis.Redis.from_url(url) as client:
        return [json.loads(raw) for raw in client.lrange(QUEUE, 0, -1)]


def test_job_is_in_the_queue_with_an_id_alone(broker_url):
    with correlation.bound("abc"):
        assert jobs.publish(jobs.DELIVER, 7)
    (message,) = messages(broker_url)
    assert message["headers"]["task"] == "twofa.tasks.deliver"
    assert message["headers"]["argsrepr"] == "['7']"
    assert message["headers"][jobs.CORRELATION_HEADER] == "abc"
    assert message["headers"]["ignore_result"] is True
    assert message["content-type"] == "application/json"


def test_delayed_job_waits(broker_url):
    assert jobs.publish(jobs.DELIVER, 7, delay=timedelta(seconds=30))
    assert messages(broker_url)[0]["headers"]["eta"] is not None


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_broker_that_does_not_serve_costs_one_job_a_moment_and_the_next_ones_nothing(kind, caplog):
    with silent_server() as port:
        broker(f"redis://127.0.0.1:{port if kind == 'silent' else free_port()}/0")
        start = time.monotonic()
        assert not jobs.publish(jobs.DELIVER, 7)
        first = time.monotonic() - start
        start = time.monotonic()
        assert not any(jobs.publish(jobs.DELIVER, number) for number in range(100))
        rest = time.monotonic() - start
    assert first < 0.9
    assert rest < 0.1
    assert jobs.breaker.is_open()
    assert "the sweeper will run it" in caplog.text


def test_broker_that_came_back_is_used_after_the_pause(settings, broker_url):
    settings.TWOFA_PUBLISH_PAUSE = timedelta(milliseconds=50)
    broker(f"redis://127.0.0.1:{free_port()}/0")
    assert not jobs.publish(jobs.DELIVER, 7)
    current_app.conf.update(broker_url=broker_url)
    jobs._connection.cache_clear()
    assert not jobs.publish(jobs.DELIVER, 7)
    time.sleep(0.06)
    assert jobs.publish(jobs.DELIVER, 7)
    assert len(messages(broker_url)) == 1


def test_connection_that_was_lost_is_made_anew(broker_url):
    assert jobs.publish(jobs.DELIVER, 1)
    with redis.Redis.from_url(broker_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    published = [jobs.publish(jobs.DELIVER, number) for number in (2, 3)]
    jobs.breaker.reset()
    assert jobs.publish(jobs.DELIVER, 4)
    assert len(messages(broker_url)) == 2 + sum(published)


def test_job_that_nobody_registered_is_no_error_of_the_request(broker_url):
    """The commit stands already: whatever is wrong with the host's Celery, the sweeper finds the row."""
    assert not jobs.publish("twofa.tasks.unknown", 7)
    assert messages(broker_url) == []


def test_eager_mode_runs_in_this_process(broker_url, monkeypatch):
    ran = []
    monkeypatch.setattr(current_app.tasks[jobs.DELIVER], "run", lambda pk: ran.append((pk, correlation.current())))
    current_app.conf.task_always_eager = True
    with correlation.bound("abc"):
        assert jobs.publish(jobs.DELIVER, 7)
    assert ran == [("7", "abc")]
    assert messages(broker_url) == []


def test_eager_job_that_fails_is_no_error_of_the_request(monkeypatch):
    def fail(_pk):
        raise RuntimeError

    monkeypatch.setattr(current_app.tasks[jobs.DELIVER], "run", fail)
    current_app.conf.task_always_eager = True
    for propagates in (False, True):
        current_app.conf.task_eager_propagates = propagates
        jobs.publish(jobs.DELIVER, 7)
    current_app.conf.task_eager_propagates = False


def test_breaker_opens_for_a_while():
    breaker = jobs.Breaker()
    assert not breaker.is_open()
    breaker.trip(60)
    assert breaker.is_open()
    breaker.reset()
    assert not breaker.is_open()
    breaker.trip(0)
    assert not breaker.is_open()


def test_many_threads_publish_at_once(broker_url, threads, settings):
    settings.TWOFA_PUBLISH_TIMEOUT = timedelta(seconds=5)
    assert threads([lambda number=number: jobs.publish(jobs.DELIVER, number) for number in range(20)]) == [True] * 20
    assert len(messages(broker_url)) == 20


def test_host_has_a_celery_app():
    assert jobs.configured_app()


def test_ping_reaches_the_broker(broker_url):
    jobs.ping()

    assert messages(broker_url) == []


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_ping_of_a_broker_that_is_not_there_says_so_in_time(kind):
    with silent_server() as port:
        broker(f"redis://127.0.0.1:{port if kind == 'silent' else free_port()}/0")
        began = time.monotonic()
        with pytest.raises(Exception, match=r"refused|[Tt]imed? ?out|Timeout"):
            jobs.ping(seconds=0.3)

    assert time.monotonic() - began < 1


def test_ping_has_nothing_to_reach_where_jobs_run_at_once():
    broker(f"redis://127.0.0.1:{free_port()}/0")
    current_app.conf.task_always_eager = True

    jobs.ping()
