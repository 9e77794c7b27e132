"""What a monitor is told: yes or no in bounded time, and nothing that is worth a key."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError
from django.test import Client
from django.urls import path

from example_project import health
from tests import factories
from tests.faults.conftest import forget
from tests.servers.process import free_port
from tests.servers.silent import silent_server
from tests.stories import deliver_due, travel

pytestmark = pytest.mark.django_db

urlpatterns = [path("health/", health.show_ready), path("health/live/", health.show_live)]


@pytest.fixture(autouse=True)
def host(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    url = current_app.conf.broker_url
    forget()
    yield
    current_app.conf.update(broker_url=url)
    forget()


def ask(client: Client, status: int) -> dict[str, Any]:
    response = client.get("/health/")
    assert response.status_code == status, response.content
    assert "no-store" in response["Cache-Control"]
    found: dict[str, Any] = response.json()
    assert list(found["checks"]) == ["database", "broker", "outbox"]
    assert all(check["ms"] >= 0 for check in found["checks"].values())
    return found


def test_all_well(client: Client, broker_url: str):
    found = ask(client, 200)

    assert found["status"] == "ok"
    assert [check["ok"] for check in found["checks"].values()] == [True] * 3
    assert found["checks"]["outbox"]["oldest_due_seconds"] == 0


@pytest.mark.parametrize(("kind", "cause"), [("refusing", "ConnectionError"), ("silent", "TimeoutError")])
def test_broker_that_is_not_there_is_told_in_time(
    kind: str, cause: str, client: Client, caplog: pytest.LogCaptureFixture
):
    with silent_server() as port:
        current_app.conf.update(
            broker_url=f"redis://who:s3cret@127.0.0.1:{port if kind == 'silent' else free_port()}/0"
        )
        forget()
        began = time.monotonic()
        found = ask(client, 503)

    assert time.monotonic() - began < 3
    assert found["checks"]["broker"].keys() == {"ok", "ms"}
    assert [name for name, check in found["checks"].items() if not check["ok"]] == ["broker"]
    assert f"broker failed: OperationalError from {cause}" in caplog.text
    for text in (caplog.text, str(found)):
        assert "s3cret" not in text
        assert "127.0.0.1" not in text


def test_broker_whose_address_cannot_be_read_is_told_without_its_password(
    client: Client, caplog: pytest.LogCaptureFixture
):
    """Its slash ends what a URL takes for host and port."""
    current_app.conf.update(broker_url="redis://who:s3/cret@127.0.0.1:6379/0")
    forget()

    ask(client, 503)

    assert "broker failed: ValueError" in caplog.text
    assert "s3" not in caplog.text


def test_database_that_fails_is_told(client: Client, broker_url: str, monkeypatch: pytest.MonkeyPatch):
    def fail() -> dict[str, object]:
        raise OperationalError("connection to server at 10.0.0.7, user points, failed")

    monkeypatch.setitem(health.CHECKS, "database", fail)

    found = ask(client, 503)

    assert found["checks"]["database"]["ok"] is False
    assert "10.0.0.7" not in str(found)


def test_message_that_nobody_sends_is_told(client: Client, broker_url: str):
    shop = factories.Shop()
    shop.open()
    travel(timedelta(seconds=30))
    assert ask(client, 200)["checks"]["outbox"]["oldest_due_seconds"] >= 30

    travel(health.TOLERATED)
    found = ask(client, 503)
    assert found["checks"]["outbox"]["oldest_due_seconds"] >= 150

    deliver_due()
    ask(client, 200)
    assert shop.participant.external_id not in str(found)


@pytest.mark.parametrize("address", ["/health/", "/health/live/"])
def test_it_needs_no_key_and_takes_nothing(address: str, client: Client, broker_url: str, caplog):
    caplog.set_level(logging.ERROR)
    assert client.get(address).status_code == 200
    assert client.head(address).status_code == 200
    assert client.post(address).status_code == 405


@pytest.mark.django_db(databases=[])
def test_life_needs_neither_database_nor_broker(client: Client):
    current_app.conf.update(broker_url=f"redis://127.0.0.1:{free_port()}/0")

    assert client.get("/health/live/").json() == {"status": "ok"}
