from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.channels.rawserver import Script, dripping, playing
from twofa.channels import DeliveryError, Message
from twofa.channels.http import MAX_ANSWER_BYTES, HttpChannel
from twofa.testing import ChannelContract

CERTIFICATE = Path(__file__).with_name("only_for_tests.pem")
BODY = {"to": "{recipient}", "content": {"text": "{text}"}}


class TestHttpChannel(ChannelContract):
    seconds = 3.0
    other_loggers = ("werkzeug", "pytest_httpserver")

    @pytest.fixture(autouse=True)
    def _provider(self, httpserver: HTTPServer) -> Iterator[None]:
        self.server = httpserver
        self.status = 201
        httpserver.expect_request("/messages", method="POST").respond_with_handler(self._answer)
        with playing([60.0]) as silent:
            self.silent = silent
            yield

    def _answer(self, request: Request) -> Response:
        return Response(json.dumps({"id": "m-1", "echo": request.get_json()}), self.status, mimetype="application/json")

    def make_channel(self) -> HttpChannel:
        return HttpChannel(url=self.server.url_for("/messages"), body=BODY, id_path="id")

    def make_failing_channel(self, *, retryable: bool) -> HttpChannel:
        self.status = 503 if retryable else 422
        return self.make_channel()

    def make_hanging_channel(self) -> HttpChannel:
        return HttpChannel(url=f"http://127.0.0.1:{self.silent.port}/", body=BODY, read_timeout=0.5)

    def delivered(self) -> list[str]:
        return [request.get_json()["content"]["text"] for request, _response in self.server.log]


@pytest.fixture
def message() -> Message:
    return ChannelContract().make_message(idempotency_key="0197:2")


def error_of(channel: HttpChannel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.send(message)
    return caught.value


def test_request_carries_body_headers_and_key(httpserver: HTTPServer, message: Message):
    httpserver.expect_request("/sms").respond_with_json({"messages": [{"id": 4711}]}, status=202)
    channel = HttpChannel(
        url=httpserver.url_for("/sms"),
        method="PUT",
        headers={"Authorization": "Bearer provider-key"},
        body={"to": ["{recipient_digits}"], "vars": {"code": "{token}", "n": 1}, "key": "{idempotency_key}", "x": None},
        id_path="messages.0.id",
    )

    receipt = channel.send(message)

    request, _response = httpserver.log[0]
    assert receipt.provider_message_id == "4711"
    assert request.method == "PUT"
    assert request.headers["Authorization"] == "Bearer provider-key"
    assert request.headers["Idempotency-Key"] == "0197:2"
    assert request.headers["Content-Type"] == "application/json"
    assert request.get_json() == {
        "to": ["5511987650034"],
        "vars": {"code": "7K2M9Q", "n": 1},
        "key": "0197:2",
        "x": None,
    }


def test_form_is_sent_as_a_form(httpserver: HTTPServer, message: Message):
    httpserver.expect_request("/sms").respond_with_data("")
    fields = {"To": "whatsapp:{recipient}", "Body": "{text}"}
    HttpChannel(url=httpserver.url_for("/sms"), body=fields, encoding="form", idempotency_header=None).send(message)

    request, _response = httpserver.log[0]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Idempotency-Key" not in request.headers
    assert request.form.to_dict() == {"To": "whatsapp:+5511987650034", "Body": message.text}
    assert parse_qs(request.get_data(as_text=True)) in ({}, {"To": [request.form["To"]], "Body": [message.text]})


def test_connection_is_kept_for_the_next_message(message: Message):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"id": "m1"}'
    with playing([answer, 0.2, answer]) as server:
        channel = raw_channel(server.port, id_path="id")
        ids = [channel.send(message).provider_message_id for _message in range(2)]

    assert ids == ["m1", "m1"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (302, "provider_misconfigured", False),
        (400, "message_refused", False),
        (401, "provider_denied", False),
        (402, "provider_denied", False),
        (403, "provider_denied", False),
        (404, "provider_misconfigured", False),
        (408, "provider_unavailable", True),
        (409, "provider_unavailable", True),
        (410, "provider_misconfigured", False),
        (422, "message_refused", False),
        (425, "provider_unavailable", True),
        (429, "provider_busy", True),
        (500, "provider_unavailable", True),
        (503, "provider_unavailable", True),
    ],
)
def test_status_tells_permanent_from_temporary(
    httpserver: HTTPServer, message: Message, status: int, reason: str, retryable: bool
):
    echo = f"no {message.recipient} {message.token}"
    httpserver.expect_request("/sms").respond_with_data(echo, status=status, headers={"Location": "/other"})
    error = error_of(HttpChannel(url=httpserver.url_for("/sms"), body=BODY), message)

    assert (error.reason, error.retryable) == (reason, retryable)
    assert len(httpserver.log) == 1


def test_statuses_of_an_odd_provider_can_be_named(httpserver: HTTPServer, message: Message):
    httpserver.expect_request("/sms").respond_with_data("", status=200)
    httpserver.expect_request("/full").respond_with_data("", status=420)
    odd = {"body": BODY, "success": [202], "temporary": [420]}

    assert not error_of(HttpChannel(url=httpserver.url_for("/sms"), **odd), message).retryable
    assert error_of(HttpChannel(url=httpserver.url_for("/full"), **odd), message).retryable


@pytest.mark.parametrize(
    ("answer", "reason", "retryable"),
    [
        ({"error": {"code": 7}}, "provider_unavailable", True),
        ({"error": "invalid_number"}, "message_refused", False),
        ({"error": 21211}, "message_refused", False),
        ([], None, None),
        ({"error": None}, None, None),
        ({"error": 0}, None, None),
        ("not json", "answer_unreadable", True),
    ],
)
def test_error_in_an_accepting_answer_is_found(
    httpserver: HTTPServer, message: Message, answer: Any, reason: str | None, retryable: bool | None
):
    text = answer if isinstance(answer, str) else json.dumps(answer)
    httpserver.expect_request("/sms").respond_with_data(text)
    channel = HttpChannel(
        url=httpserver.url_for("/sms"),
        body=BODY,
        error_path="error",
        permanent_errors=["invalid_number", 21211],
    )

    if reason is None:
        assert channel.send(message).provider_message_id is None
    else:
        error = error_of(channel, message)
        assert (error.reason, error.retryable) == (reason, retryable)


@pytest.mark.parametrize("given", ["", "x" * 201, "two\nlines", "é", True, None, 1.5, {"a": 1}, ["x"]])
def test_id_that_is_none_is_left_out(httpserver: HTTPServer, message: Message, given: Any):
    httpserver.expect_request("/sms").respond_with_json({"id": given})

    assert (
        HttpChannel(url=httpserver.url_for("/sms"), body=BODY, id_path="id").send(message).provider_message_id is None
    )


@pytest.mark.parametrize("text", ["[" * 60_000, "null", "", '{"id": "m-1"', '{"id": "' + "x" * MAX_ANSWER_BYTES + '"}'])
def test_accepting_answer_that_makes_no_sense_is_still_a_yes(httpserver: HTTPServer, message: Message, text: str):
    httpserver.expect_request("/sms").respond_with_data(text)
    channel = HttpChannel(url=httpserver.url_for("/sms"), body=BODY, id_path="id")

    assert channel.send(message).provider_message_id is None
    assert channel.send(message).provider_message_id is None


def raw_channel(port: int, **options: Any) -> HttpChannel:
    timeouts = {"connect_timeout": 0.5, "read_timeout": 0.5, "total_timeout": 1.0}
    return HttpChannel(**{"url": f"http://127.0.0.1:{port}/", "body": BODY, **timeouts, **options})


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([60.0], "timeout"),
        (dripping(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 200, every=0.1), "timeout"),
        ([b""], "connection"),
        ([b"220 mail.example.org ESMTP\r\n"], "connection"),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"], "connection"),
    ],
    ids=["silent", "dripping head", "closing", "not http", "too many headers"],
)
def test_head_that_never_comes_is_a_temporary_failure(message: Message, script: Script, reason: str):
    with playing(script) as server:
        started = time.monotonic()
        error = error_of(raw_channel(server.port), message)

    assert (error.reason, error.retryable) == (reason, True)
    assert error.__context__ is None
    assert time.monotonic() - started < 2


HALF = [b"HTTP/1.1 200 OK\r\nX-Some"]
SHORT = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"]
STALL = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", 60.0]
DRIP = [b"HTTP/1.1 200 OK\r\n\r\n", *dripping(b'{"error": "' + b"a" * 200, every=0.1)]
CHUNKS = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *dripping(b"0" * 200, every=0.1)]


@pytest.mark.parametrize(
    "script", [HALF, SHORT, STALL, DRIP, CHUNKS], ids=["half", "short", "stall", "body", "chunk size"]
)
def test_accepting_status_stands_where_its_answer_breaks_off(message: Message, script: Script):
    with playing(script) as server:
        started = time.monotonic()
        receipt = raw_channel(server.port, id_path="id").send(message)
        error = error_of(raw_channel(server.port, error_path="error"), message)

    assert receipt.provider_message_id is None
    assert (error.reason, error.retryable) == ("answer_unreadable", True)
    assert time.monotonic() - started < 3


def test_endless_answer_is_read_no_further_than_its_limit(message: Message):
    flood = [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 2000]
    with playing(flood) as server:
        assert raw_channel(server.port, id_path="id").send(message).provider_message_id is None


def test_provider_that_refuses_connections_is_a_temporary_failure(message: Message):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        error = error_of(raw_channel(unheard.getsockname()[1]), message)

    assert (error.reason, error.retryable) == ("connection", True)


@pytest.fixture
def secure_server() -> Iterator[HTTPServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    with HTTPServer(ssl_context=context) as server:
        server.expect_request("/sms").respond_with_json({"id": "m-1"})
        yield server


def test_provider_without_a_trusted_certificate_gets_nothing(secure_server: HTTPServer, message: Message):
    error = error_of(HttpChannel(url=secure_server.url_for("/sms"), body=BODY), message)

    assert (error.reason, error.retryable) == ("tls", True)
    assert secure_server.log == []


def test_provider_with_a_certificate_of_its_own_can_be_trusted(secure_server: HTTPServer, message: Message):
    channel = HttpChannel(url=secure_server.url_for("/sms"), body=BODY, id_path="id", ca_certs=str(CERTIFICATE))

    assert channel.send(message).provider_message_id == "m-1"


def test_answer_that_never_ends_is_cut_within_tls(message: Message):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    with playing(DRIP, tls=context) as server:
        started = time.monotonic()
        url = f"https://127.0.0.1:{server.port}/"
        error = error_of(raw_channel(server.port, url=url, error_path="error", ca_certs=str(CERTIFICATE)), message)

    assert (error.reason, error.retryable) == ("answer_unreadable", True)
    assert 0.9 < time.monotonic() - started < 2


def test_tls_handshake_that_never_ends_is_given_up(message: Message):
    with playing([60.0]) as server:
        started = time.monotonic()
        error = error_of(raw_channel(server.port, url=f"https://127.0.0.1:{server.port}/"), message)

    assert error.retryable
    assert time.monotonic() - started < 2


def test_proxy_of_the_environment_is_not_used(
    httpserver: HTTPServer, message: Message, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    httpserver.expect_request("/sms").respond_with_data("")

    HttpChannel(url=httpserver.url_for("/sms"), body=BODY).send(message)


def test_headers_that_echo_the_message_are_not_logged(message: Message, caplog: pytest.LogCaptureFixture):
    echo = f"HTTP/1.1 200 OK\r\nno header {message.token} {message.recipient}\r\nX: y\r\n\r\n".encode()
    with caplog.at_level(logging.DEBUG), playing([echo]) as server:
        raw_channel(server.port).send(message)

    assert message.token not in caplog.text
    assert message.recipient not in caplog.text


def test_key_that_no_header_can_hold_is_refused_before_sending(httpserver: HTTPServer, message: Message):
    channel = HttpChannel(url=httpserver.url_for("/sms"), body=BODY)
    error = error_of(channel, ChannelContract().make_message(idempotency_key="a\r\nX-Other: b"))

    assert (error.reason, error.retryable) == ("message_invalid", False)
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://sms.example.org/"}, "http or https"),
        ({"url": "/messages"}, "http or https"),
        ({"url": "https://key:secret@sms.example.org/"}, "headers"),
        ({"url": "https://sms.example.org/?to={recipient}"}, "placeholders"),
        ({"encoding": "xml"}, "encoding"),
        ({"encoding": "form", "body": {"to": {"number": "{recipient}"}}}, "fields"),
        ({"body": {"to": "{recipent}"}}, "recipent"),
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_built(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        HttpChannel(**{"url": "https://sms.example.org/", "body": BODY, **options})


def test_repr_hides_the_credentials():
    channel = HttpChannel(url="https://sms.example.org/", body=BODY, headers={"Authorization": "Bearer provider-key"})

    assert "provider-key" not in repr(channel)


def test_threads_share_a_channel(
    httpserver: HTTPServer, message: Message, threads: Callable[[list[Callable[[], object]]], list[Any]]
):
    httpserver.expect_request("/sms").respond_with_json({"id": "m-1"})
    channel = HttpChannel(url=httpserver.url_for("/sms"), body=BODY, id_path="id")
    outcomes = threads([lambda: channel.send(message)] * 8)

    assert len(httpserver.log) == 8
    assert len(outcomes) == 8
