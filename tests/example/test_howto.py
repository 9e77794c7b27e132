"""The how-to's project: PostgreSQL, an own channel, another prefix, a real worker, with ATOMIC_REQUESTS."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pytest_httpserver import HTTPServer

from tests.example.blocks import Block, blocks_of
from tests.example.hosting import Host, findings
from tests.servers.process import free_port, wait_until

PAGE = "docs/howto/integrate.md"
PREFIX = "/loyalty/2fa"


@contextmanager
def new_database() -> Iterator[dict[str, str]]:
    """Make an empty database beside the suite's own; give the environment that names it."""
    url = os.environ["TWOFA_TEST_DATABASE_URL"]
    name = f"host_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    parts = urlsplit(url)
    try:
        yield {
            "PGHOST": parts.hostname or "127.0.0.1",
            "PGPORT": str(parts.port or 5432),
            "PGDATABASE": name,
            "PGUSER": parts.username or "postgres",
            "PGPASSWORD": parts.password or "",
        }
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def host(tmp_path: Path, httpserver: HTTPServer, broker_url: str) -> Iterator[Host]:
    """The project of the page, migrated, with its worker."""
    httpserver.expect_request("/sms", method="POST").respond_with_json({"id": "m-1"})
    gateway = {"SMS_URL": httpserver.url_for("/sms"), "SMS_KEY": "a key", "CELERY_BROKER_URL": broker_url}
    with new_database() as database:
        made = Host.start(tmp_path / "host", **gateway, **database)
        made.write(blocks_of(PAGE))
        made.manage("makemigrations", "shop")
        made.manage("migrate", "--verbosity", "0")
        worker = made.start_process(
            sys.executable, "-m", "celery", "-A", "config", "worker", "--pool", "solo", log=tmp_path / "worker.log"
        )
        yield made
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=20)


class Backend:
    """A storefront's backend."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, PREFIX + path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def is_up(self) -> bool:
        try:
            return self.call("GET", "/campaigns/")[0] == 200
        except OSError:
            return False


def token_of(httpserver: HTTPServer, number: int) -> str:
    """Read the token of the provider's message, by its number from 1 on."""
    wait_until(lambda: len(httpserver.log) >= number, seconds=20, what=f"message {number}")
    message = httpserver.log[number - 1][0]
    assert message.headers["Authorization"] == "Bearer a key"
    assert message.headers["Idempotency-Key"]
    found = re.search(r"Token \d+: (\w+)", message.get_json()["text"])
    assert found
    return found[1]


def first(kind: str) -> Block:
    return next(block for block in blocks_of(PAGE) if block.kind == kind)


@pytest.mark.postgres
def test_project_of_the_page_serves_a_redemption(host: Host, httpserver: HTTPServer, tmp_path: Path):
    assert findings(host.manage("check", "--database", "default")) == set()
    host.manage("shell", stdin=first("shell").code)
    words = re.findall(r'"([^"]+)"|(\S+)', first("manage").code)
    key = host.manage(*[quoted or bare for quoted, bare in words][2:]).stdout.strip()
    port = free_port()
    server = host.start_server(port, tmp_path / "server.log")
    backend = Backend(port, key)
    try:
        wait_until(backend.is_up, seconds=30, what="the server")
        use(backend, httpserver)
    finally:
        server.terminate()
        server.wait(timeout=20)

    held = host.manage("shell", "--command", "from shop.models import *; print(Wallet.objects.get().points)").stdout
    assert held.split()[-1] == "35000.00"
    users = "from django.contrib.auth.models import *; print(*User.objects.values_list('username', flat=True))"
    assert host.manage("shell", "--command", users).stdout.split()[-1] == "u-42", "the page's own user resolver"
    assert "twofa" in (tmp_path / "server.log").read_text(), "the page's logging"


def use(backend: Backend, httpserver: HTTPServer) -> None:
    """Enrol, register, redeem with a wrong and the right token, and be refused."""
    order = {"participant": "u-42", "order_id": "A-1", "amount": "15000.00", "description": "Headphones"}
    assert backend.call("PUT", "/campaigns/summer/participants/u-42/", {"name": "Ana"})[0] == 201
    phone = {"channel": "sms", "address": "+5511999990034"}
    status, device = backend.call("POST", "/campaigns/summer/participants/u-42/devices/", phone)
    assert status == 201, device
    token = token_of(httpserver, 1)
    assert backend.call("POST", f"/devices/{device['id']}/verify/", {"token": token})[0] == 200
    status, opened = backend.call("POST", "/campaigns/summer/redemptions/", order)
    assert (status, opened["status"]) == (201, "pending_2fa_approval")
    token = token_of(httpserver, 2)
    confirm = f"/redemptions/{opened['id']}/confirm/"

    status, wrong = backend.call("POST", confirm, {"token": "000000"})

    # The charge of a wrong token outlives its refusal, although the host has ATOMIC_REQUESTS.
    assert (status, wrong["attempts_remaining"]) == (422, 4)
    status, read = backend.call("GET", f"/redemptions/{opened['id']}/")
    assert read["two_factor"]["challenge"]["attempts_remaining"] == 4
    status, done = backend.call("POST", confirm, {"token": token})
    assert (status, done["status"]) == (200, "completed")
    status, refused = backend.call(
        "POST", "/campaigns/summer/redemptions/", {**order, "order_id": "A-2", "amount": "35001.00"}
    )
    assert (status, refused["code"], refused["reason"]) == (422, "redemption_refused", "insufficient_points")
