"""The Procfile's processes with ``DEBUG=0``: one story through all of them, and what they wrote of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.canary import disguises, secret_of
from tests.example.processes import Stack, stack
from tests.servers.process import wait_until

pytestmark = pytest.mark.postgres

PHONE = "+5511999990034"
CPF = "529.982.247-25"


class Gateway:
    """A provider of SMS, with what it was told to send."""

    def __init__(self, server: HTTPServer) -> None:
        self._server = server

    def texts(self) -> list[str]:
        return [request.get_json()["text"] for request, _answer in self._server.log]

    def token(self, number: int) -> str:
        """Wait for message ``number``, counted from one; return its token."""
        wait_until(lambda: len(self.texts()) >= number, seconds=30, what=f"message {number}")
        found = re.search(r"\b([0-9A-Z]{6})\b", self.texts()[number - 1])
        assert found, "no token in the message"
        return found[1]


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer() as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, server: HTTPServer) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("stack"), SMS_GATEWAY_URL=server.url_for("/messages")) as started:
        yield started


def test_checkout_is_sent_by_the_worker_confirmed_and_completed_and_another_expires(running: Stack, server: HTTPServer):
    server.expect_request("/messages", method="POST").respond_with_json({"id": "provider-7"})
    gateway = Gateway(server)
    key = planted_key(running)
    member = f"/api/v1/campaigns/summer/participants/{CPF}/"
    assert running.ask("PUT", member, {"name": "Ana"}, key=key)[0] == 201
    running.manage("shell", "-c", GRANT)
    status, device = running.ask("POST", f"{member}devices/", {"channel": "sms", "address": PHONE}, key=key)
    assert status == 201, device
    first = gateway.token(1)
    assert running.ask("POST", f"/api/v1/devices/{device['id']}/verify/", {"token": first}, key=key)[0] == 200

    bought = order(running, key, "A-1")
    second = gateway.token(2)
    path = f"/api/v1/redemptions/{bought['id']}/confirm/"
    status, wrong = running.ask("POST", path, {"token": "000000" if second != "000000" else "111111"}, key=key)
    assert wrong["code"] == "token_invalid", status
    status, done = running.ask("POST", path, {"token": second}, key=key)
    assert (status, done["status"]) == (200, "completed")

    left = order(running, key, "A-2")
    third = gateway.token(3)
    running.sql("UPDATE twofa_challenge SET deadline = created_at WHERE redemption_id = %s", left["id"])
    states = "SELECT status, points FROM twofa_redemption WHERE id = %s"
    wait_until(lambda: running.sql(states, left["id"]) == [("expired", "released")], seconds=40, what="the sweeper")

    assert running.ask("GET", "/health/")[1]["status"] == "ok"
    assert_logged(running, "of-A-1")
    assert_kept(running, [first, second, third], key)


GRANT = f"""
from decimal import Decimal
from example_project.loyalty import ledger
from twofa.models import Participant
ledger.grant(Participant.objects.get(external_id="{CPF}"), Decimal("50000.00"), key="welcome")
"""


def planted_key(running: Stack) -> str:
    code = "from example_project.loyalty.demo import seed; print('key', seed.plant().key)"
    printed = running.manage("shell", "-c", code)
    return next(line.split()[1] for line in printed.splitlines() if line.startswith("key "))


def order(running: Stack, key: str, order_id: str) -> dict[str, Any]:
    body = {"participant": CPF, "order_id": order_id, "amount": "15000.00", "description": "Headphones"}
    path = "/api/v1/campaigns/summer/redemptions/"
    status, answer = running.ask("POST", path, body, key=key, X_Correlation_Id=f"of-{order_id}")
    assert status == 201, answer
    assert answer["status"] == "pending_2fa_approval"
    return answer


def assert_logged(running: Stack, correlation_id: str) -> None:
    """Each line of each process is one JSON object, and the request is followed from the web into the worker."""
    names = {name: {record["logger"] for record in of(running, name, correlation_id)} for name in ("web", "worker")}
    assert "gunicorn.access" in names["web"]
    assert any(logger.startswith("twofa.api") for logger in names["web"])
    assert "celery.app.trace" in names["worker"], "Celery's own line on the job has the id too"
    for name in ("web", "worker", "beat"):
        for record in running.records(name):
            assert {"time", "level", "logger", "message", "correlation_id"} <= record.keys() <= MEMBERS
    (access,) = [record for record in of(running, "web", correlation_id) if record["logger"] == "gunicorn.access"]
    assert access["message"].startswith("POST api/v1/campaigns/<str:")


MEMBERS = {"time", "level", "logger", "message", "correlation_id", "exception"}


def of(running: Stack, name: str, correlation_id: str) -> list[dict[str, Any]]:
    return [record for record in running.records(name) if record["correlation_id"] == correlation_id]


def assert_kept(running: Stack, tokens: list[str], key: str) -> None:
    """LOG-2: tokens, contacts, documents, keys, in any disguise of a token, are in no log of any process."""
    logs = {name: child.output for name, child in running.children.items()}
    secrets = [spelled for token in tokens for spelled in disguises(token)]
    secrets += [PHONE, PHONE[1:], PHONE[-8:], CPF, CPF.replace(".", "").replace("-", ""), key, secret_of(key)]
    secrets += [running.settings[name] for name in ("SECRET_KEY", "TWOFA_TOKEN_KEY")]
    assert [(name, secret) for name, text in logs.items() for secret in secrets if secret in text] == []


def test_provider_that_answers_with_the_message_has_it_repeated_nowhere(running: Stack, server: HTTPServer):
    server.clear()
    server.expect_request("/messages").respond_with_handler(echo)
    key = running.manage("twofa_storefront", "Points shop").split()[-1]

    opened = order(running, key, "A-3")

    query = "SELECT d.status FROM twofa_delivery d JOIN twofa_challenge c ON c.id = d.challenge_id"
    state = f"{query} WHERE c.redemption_id = %s"
    wait_until(lambda: running.sql(state, opened["id"]) == [("failed",)], seconds=40, what="a failed delivery")
    assert_kept(running, [Gateway(server).token(1)], key)


def echo(request: Request) -> Response:
    return Response(request.get_data(), status=400, content_type="application/json")


def test_failure_in_the_worker_tells_neither_token_nor_contact(running: Stack):
    """Jobs that nobody of ours would publish: what is in them is not repeated where Celery reports the failure."""
    code = (
        "from example_project.celery import app; app.send_task('twofa.tasks.deliver', args=['not a number']);"
        "app.send_task('twofa.tasks.complete', args=['529.982.247-25'])"
    )
    running.manage("shell", "-c", code)

    wait_until(lambda: running.children["worker"].output.count('"level": "ERROR"') >= 2, seconds=30, what="two errors")

    assert running.children["worker"].alive
    assert CPF not in running.children["worker"].output
    errors = [record for record in running.records("worker") if record["level"] == "ERROR"]
    assert all("exception" in record for record in errors)


def test_host_that_is_none_of_ours_is_refused_and_a_forged_one_is_in_no_answer(running: Stack):
    assert running.ask("GET", "/api/v1/campaigns/", Host="evil.example")[0] == 400
    status, answer = running.ask("GET", "/api/v1/campaigns/", X_Forwarded_Host="evil.example")
    assert status == 401
    assert "evil" not in str(answer)


def test_without_the_proxys_word_everything_but_health_is_sent_to_https(running: Stack):
    assert running.ask("GET", "/api/v1/campaigns/", X_Forwarded_Proto="http")[0] == 301
    assert running.ask("GET", "/health/live/", X_Forwarded_Proto="http")[0] == 200
