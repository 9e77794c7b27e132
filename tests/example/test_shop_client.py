"""The shop's way to the API: what it sends, what it repeats, what it takes for an answer, and what it never logs."""

from __future__ import annotations

import ast
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from example_project.shop import client as transport
from example_project.shop import sentences, words
from example_project.shop.client import Client, NotConnected, Refused, Unreachable
from tests.example.blocks import ROOT
from twofa.api.errors import TABLE

KEY = "twofa_abc_the-key"
CALLER = Client("pt-BR", "page-7")


@pytest.fixture
def api(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    settings.SHOP_API_URL, settings.SHOP_API_KEY = httpserver.url_for("/api/v1/"), KEY
    return httpserver


def confirm(key: str | None = "k-1") -> dict[str, Any]:
    return CALLER.call("confirm_redemption", "POST", "/redemptions/1/confirm/", {"token": "7K2M9Q"}, key=key)


def test_call_says_who_asks_in_which_language_and_under_which_id(api: HTTPServer):
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_json({"status": "completed"})

    assert confirm() == {"status": "completed"}

    headers = api.log[0][0].headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Accept-Language"] == "pt-BR"
    assert headers["X-Correlation-Id"] == "page-7"
    assert headers["Idempotency-Key"] == "k-1"


def test_refusal_keeps_its_code_and_members(api: HTTPServer):
    problem = {"code": "token_invalid", "attempts_remaining": 4}
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_json(
        problem, status=422, content_type="application/problem+json"
    )

    with pytest.raises(Refused) as refused:
        confirm()

    assert (refused.value.code, refused.value.members["attempts_remaining"]) == ("token_invalid", 4)


def test_same_call_that_still_runs_is_waited_for(api: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "_PAUSES", (0.01, 0.01))
    running = {"code": "idempotency_in_progress"}
    api.expect_ordered_request("/api/v1/redemptions/1/confirm/").respond_with_json(running, status=409)
    api.expect_ordered_request("/api/v1/redemptions/1/confirm/").respond_with_json({"status": "completed"})

    assert confirm() == {"status": "completed"}


def test_call_that_never_ends_is_given_up(api: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "_PAUSES", (0.01, 0.01))
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_json(
        {"code": "idempotency_in_progress"}, status=409
    )

    with pytest.raises(Refused):
        confirm()

    assert len(api.log) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Response("<h1>Bad gateway</h1>", status=502, content_type="text/html"),
        Response("", status=302, headers={"Location": "http://127.0.0.1:9/"}),
        Response("[]", content_type="application/json"),
        Response("{", content_type="application/json"),
        Response('{"status": "completed"}', status=307, content_type="application/json"),
    ],
)
def test_what_is_no_answer_of_the_api_is_not_taken_for_one(api: HTTPServer, answer: Response):
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_response(answer)

    with pytest.raises(Unreachable):
        confirm()

    assert len(api.log) == 1


@pytest.mark.parametrize(("key", "tries"), [("k-1", 2), (None, 1)])
def test_lost_connection_is_tried_again_only_where_that_is_safe(
    settings: Any, monkeypatch: pytest.MonkeyPatch, key: str | None, tries: int
):
    settings.SHOP_API_URL, settings.SHOP_API_KEY = "http://127.0.0.1:9/api/v1", KEY
    made: list[str] = []
    request = transport._http.request
    monkeypatch.setattr(transport._http, "request", lambda *args, **more: (made.append(""), request(*args, **more)))

    with pytest.raises(Unreachable):
        confirm(key)

    assert len(made) == tries


def test_file_is_sent_without_the_name_and_the_type_that_somebody_gave_it(api: HTTPServer):
    api.expect_request("/api/v1/documents/").respond_with_json({"id": "1"}, status=201)

    assert CALLER.send_file("submit_document", "/documents/", {"kind": "cnh"}, b"a picture", key="k-2") == {"id": "1"}

    request = api.log[0][0]
    sent = request.get_data()
    assert sent.count(b"Content-Disposition") == 2
    assert b'name="kind"\r\n\r\ncnh\r\n' in sent
    assert b'name="file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\na picture\r\n' in sent
    assert request.headers["Idempotency-Key"] == "k-2"


def test_file_is_in_no_representation_of_the_call():
    assert "a picture" not in repr(transport.Content(b"a picture", "multipart/form-data"))


def test_slow_answer_is_not_waited_for_twice(api: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    def dawdle(request: Request) -> Response:
        time.sleep(0.5)
        return Response("{}", content_type="application/json")

    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_handler(dawdle)
    monkeypatch.setattr(transport, "_http", transport.urllib3.PoolManager(retries=False, timeout=0.1))

    with pytest.raises(Unreachable):
        confirm()

    api.check_assertions()
    assert len(api.log) <= 1


def test_pages_beyond_the_lines_give_up_soon(api: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "_lines", transport._Lines(1))
    monkeypatch.setattr(transport, "_QUEUE_SECONDS", 0.05)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transport._lines.one():
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        with pytest.raises(Unreachable):
            confirm()
    finally:
        done.set()
        thread.join()
    assert api.log == []


def test_log_names_the_operation_and_nothing_else(api: HTTPServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_json({"code": "token_invalid"}, status=422)

    with pytest.raises(Refused):
        confirm()

    ours = [record.getMessage() for record in caplog.records if record.name == transport.__name__]
    assert [line.rsplit(" ", 2)[0] for line in ours] == ["confirm_redemption 422 token_invalid"]
    assert "7K2M9Q" not in caplog.text
    assert KEY not in caplog.text + repr(transport.connection())


def test_key_may_lie_in_a_file_that_is_read_on_each_call(api: HTTPServer, settings: Any, tmp_path: Path):
    settings.SHOP_API_KEY, settings.SHOP_API_KEY_FILE = "", str(tmp_path / "key.txt")
    with pytest.raises(NotConnected):
        confirm()

    (tmp_path / "key.txt").write_text("twofa_other\n")
    api.expect_request("/api/v1/redemptions/1/confirm/").respond_with_json({})
    confirm()

    assert api.log[0][0].headers["Authorization"] == "Bearer twofa_other"


def test_every_code_of_the_api_has_a_sentence():
    assert set(TABLE) <= set(sentences.REFUSALS)
    for code in {*sentences.REFUSALS, *sentences.OWN, "of a later version"}:
        said = sentences.refusal(code, {})
        assert str(said.title)
        assert str(said.advice).endswith((".", "!"))


def test_waits_are_named_and_forever_is_not():
    assert (
        str(sentences.refusal("send_budget", {"retry_after": 3700}).advice) == "Wait 1 hour 1 minute, then try again."
    )
    assert "Wait" not in str(sentences.refusal("resends_exhausted", {"retry_after": None}).advice)


@pytest.mark.parametrize(("seconds", "shown"), [(-5, "0 seconds"), (61, "1 minute 1 second"), (7200, "2 hours")])
def test_durations_are_two_units_at_most(seconds: int, shown: str):
    assert words.duration(seconds) == shown


def test_shop_knows_the_package_by_its_api_alone():
    """Of twofa it imports the correlation id, and of the programme the points: else it could not live elsewhere."""
    allowed = {"twofa": {"correlation"}, "example_project.loyalty": {"ledger"}}
    for path in (ROOT / "example_project" / "shop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {(alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "", alias.name) for alias in node.names}
            else:
                continue
            for module, name in names:
                if module.split(".")[0] == "twofa" or module.startswith("example_project.loyalty"):
                    assert name in allowed.get(module, set()), f"{path}: {module}.{name}"


def test_pages_have_nothing_inline_and_nothing_from_elsewhere():
    folder = ROOT / "example_project"
    for path in [
        *folder.glob("shop/templates/**/*"),
        *folder.glob("shop/static/**/*"),
        *folder.glob("templates/*.html"),
    ]:
        if path.is_file():
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert " style=" not in text, path
            assert "://" not in text, path
            assert "javascript:" not in text, path
