"""The how-to's Python client: clean by the strictest tools, and driven over HTTP against a live server."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook
from werkzeug import Request, Response

from tests import factories
from tests.example.blocks import ROOT, blocks_of
from tests.fulfillment import RecordingBackend
from twofa.channels.memory import outbox
from twofa.models import Challenge, Event, Participant, Redemption

PAGE = "docs/howto/write-a-python-client.md"
BIN = Path(sys.executable).parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def code_of(kind: str) -> str:
    (block,) = [block for block in blocks_of(PAGE) if block.kind == kind]
    return block.code


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's file, as a reader saves it."""
    path = tmp_path_factory.mktemp("client") / "points.py"
    path.write_text(code_of("client"))
    return path


@pytest.fixture
def points(file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("points", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "points", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shop(transactional_db: None, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> factories.Shop:
    """The campaign of the page, with Ana; the environment names server and key."""
    RecordingBackend.reset()
    outbox.clear()
    shop = factories.Shop(slug="summer", resend_cooldown="00:00:01")
    Participant.objects.update(external_id="ana", locale="en")
    monkeypatch.setenv("POINTS_API", f"{live_server.url}/api/v1")
    monkeypatch.setenv("POINTS_KEY", factories.key(shop.storefront))
    return shop


@pytest.fixture
def run(points: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`run(kind, *answers)`: run a block of the page whose reader types these; return the lines that it printed."""

    def typed(kind: str, *answers: Callable[[], str]) -> list[str]:
        given = iter(answers)
        monkeypatch.setattr("builtins.input", lambda _prompt: next(given)())
        exec(compile(code_of(kind), kind, "exec"), {})  # noqa: S102 - a block of our own page
        return capsys.readouterr().out.splitlines()

    return typed


def newest() -> Challenge:
    return Challenge.objects.latest("created_at")


def right() -> str:
    return factories.token_of(newest())


def wrong() -> str:
    return factories.wrong_token(newest())


# --- the file


def test_client_is_about_150_lines_without_its_words():
    lines = [line.strip() for line in code_of("client").splitlines()]

    assert len([line for line in lines if line and not line.startswith(("#", '"""'))]) <= 155


@pytest.mark.parametrize(
    "words",
    [
        ("mypy", "--strict", "--config-file=", "--cache-dir", str(ROOT / ".mypy_cache/client")),
        # The ban of other HTTP clients is our own package's.
        ("ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), "--ignore", "TID251"),
        ("ruff", "format", "--no-cache", "--check", "--diff", "--config", str(ROOT / "pyproject.toml")),
    ],
    ids=["types", "lint", "format"],
)
def test_client_is_clean(words: tuple[str, ...], file: Path):
    if not shutil.which(words[0], path=str(BIN)):
        pytest.skip(f"{words[0]} is not installed")

    done = subprocess.run([str(BIN / words[0]), *words[1:], file.name], cwd=file.parent, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


# --- the page's calls


def test_order_is_confirmed_after_a_wrong_token(run, shop):
    printed = run("redeem", wrong, right)

    assert printed[-1] == "completed"
    assert printed[1].endswith(" 4")
    assert printed[0] == printed[2] == f"Sent to {shop.device.destination}"
    assert Redemption.objects.get().status == "completed"
    correlated = Event.objects.filter(type="redemption.approved").values_list("correlation_id", flat=True)
    assert set(correlated) == {"checkout-7f3a"}


def test_contact_is_verified_then_registered_then_logged_in(run, shop):
    printed = run("sign-up", right, right)

    assert printed == [f"Sent to {newest().destination}", "Bia Lima"]
    assert Participant.objects.get(external_id="bia").user.get_username() == "bia@example.com"


def test_second_factor_is_asked_for_and_an_unknown_participant_is_told(run, shop):
    assert run("ask", right) == ["approved", "not_found participant"]


def test_token_is_sent_again_and_the_wait_for_the_next_is_told(points, shop):
    api = points.Client(environ["POINTS_API"], environ["POINTS_KEY"])
    order = api.checkout("summer", participant="ana", order_id="A-1", amount="10.00", description="Mug")

    with pytest.raises(points.TryLater) as refused:
        api.resend(order["id"])
    time.sleep(refused.value.retry_after)
    again = api.resend(order["id"])

    assert refused.value.code == "resend_cooldown"
    assert again["two_factor"]["challenge"]["token_sequence"] == 2
    assert api.cancel(order["id"])["status"] == "cancelled"
    with pytest.raises(points.Problem, match="challenge_closed") as closed:
        api.confirm(order["id"], "000000")
    assert type(closed.value) is points.Problem
    assert closed.value.correlation_id


def test_challenge_is_sent_again_and_exhausted(points, shop):
    api = points.Client(environ["POINTS_API"], environ["POINTS_KEY"])
    asked = api.ask("summer", "ana", "login")
    time.sleep(1.1)

    assert api.send_again(asked["id"])["token_sequence"] == 2
    for left in (4, 3, 2, 1):
        with pytest.raises(points.TokenRefused) as refused:
            api.answer(asked["id"], wrong())
        assert refused.value.attempts_remaining == left
    with pytest.raises(points.Problem, match="attempts_exhausted") as last:
        api.answer(asked["id"], wrong())
    assert not isinstance(last.value, points.TokenRefused)


# --- what goes wrong on the way


PROBLEM = {"content_type": "application/problem+json"}


def problem(status: int, code: str, retry_after: int | None = 0) -> Response:
    return Response(json.dumps({"code": code, "retry_after": retry_after}), status, **PROBLEM)


@pytest.fixture
def server(httpserver: HTTPServer) -> Callable[..., HTTPServer]:
    """`server(answer, ...)`: answers given one after another, whatever is asked; the last one again and again."""

    def answering(*answers: Response) -> HTTPServer:
        rest = list(answers)
        httpserver.expect_request("/x/").respond_with_handler(
            lambda _request: rest.pop(0) if len(rest) > 1 else rest[0]
        )
        return httpserver

    return answering


def client_of(points: ModuleType, server: HTTPServer) -> Any:
    return points.Client(server.url_for("/").rstrip("/"), "a key").during("c-1", "pt-BR")


def requests_of(server: HTTPServer) -> list[Request]:
    return [request for request, _answer in server.log]


@pytest.mark.parametrize("first", [(503, "unavailable"), (429, "throttled"), (409, "idempotency_in_progress")], ids=str)
def test_call_is_repeated_under_its_own_key(points, server, first):
    running = server(problem(*first), Response('{"id": "1"}', 201))

    assert client_of(points, running).call("POST", "/x/", {}) == {"id": "1"}

    sent = requests_of(running)
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    assert [request.headers["X-Correlation-Id"] for request in sent] == ["c-1", "c-1"]
    assert sent[0].headers["Authorization"] == "Bearer a key"
    assert sent[0].headers["Accept-Language"] == "pt-BR"


@pytest.mark.parametrize(
    ("refusal", "kind", "tries"),
    [
        (problem(503, "unavailable"), "TryLater", 3),
        (problem(503, "unavailable", 60), "TryLater", 1),
        (problem(429, "resend_cooldown"), "TryLater", 1),
        (problem(429, "resends_exhausted", None), "TryLater", 1),
        (problem(422, "token_invalid"), "TokenRefused", 1),
        (problem(409, "order_conflict"), "Problem", 1),
        (Response("<html>", 502), "Unreachable", 3),
        (Response("{}", 502, content_type="application/json"), "Unreachable", 3),
        (Response("", 302, headers={"Location": "/elsewhere/"}), "Unreachable", 3),
    ],
    ids=["down", "down for long", "cooldown", "exhausted", "token", "conflict", "proxy", "json of a proxy", "redirect"],
)
def test_call_gives_up_with_the_right_exception(points, server, refusal, kind, tries):
    running = server(refusal)

    with pytest.raises(points.ApiError) as raised:
        client_of(points, running).call("POST", "/x/", {})

    assert type(raised.value).__name__ == kind
    assert [request.path for request in requests_of(running)] == ["/x/"] * tries


def test_login_is_sent_once(points, server):
    running = server(problem(503, "unavailable"))

    with pytest.raises(points.TryLater):
        client_of(points, running).call("POST", "/x/", {}, repeat=False)

    (sent,) = requests_of(running)
    assert "Idempotency-Key" not in sent.headers


def test_key_is_nowhere_and_the_machine_s_own_does_not_take_its_place(points, server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login other password other\nmachine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    running = server(Response("{}", 200))
    api = client_of(points, running)

    api.read("/x/")

    assert requests_of(running)[0].headers["Authorization"] == "Bearer a key"
    assert "a key" not in repr(api)


def test_server_that_hangs_is_waited_for_once(points, server, monkeypatch):
    monkeypatch.setattr(points, "TIMEOUT", (1.0, 0.2))
    monkeypatch.setattr(points, "PATIENCE", 0.3)
    running = server(Response("{}", 200))
    running.clear()
    running.expect_request("/x/").respond_with_handler(lambda _request: time.sleep(0.4) or Response("{}", 200))

    with pytest.raises(points.Unreachable, match="Timeout"):
        client_of(points, running).read("/x/")

    time.sleep(0.5)
    assert len(requests_of(running)) == 1


def test_server_that_is_not_there_is_unreachable(points, free_port):
    with pytest.raises(points.Unreachable, match="ConnectionError"):
        points.Client(f"http://127.0.0.1:{free_port}", "k").read("/x/")


def test_webhook_is_believed_only_with_its_signature(points):
    now = datetime.now(UTC)
    body = '{"type": "redemption.completed", "data": {"id": "1"}}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body),
    }

    assert points.webhook(body.encode(), headers, SECRET)["type"] == "redemption.completed"
    assert points.webhook(body.replace("completed", "cancelled").encode(), headers, SECRET) is None
    assert points.webhook(body.encode(), {**headers, "webhook-timestamp": "1"}, SECRET) is None
    assert points.webhook(b"\xff", headers, SECRET) is None
    assert points.webhook(body.encode(), {}, SECRET) is None
