"""Posting one webhook, over real sockets: signed, to an address that was checked, bounded, and never redirected."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from werkzeug import Request, Response

from tests.channels.rawserver import dripping, playing, unanswered
from twofa import networks, webhooks
from twofa.webhooks import Outcome, Sender

CERTIFICATE = Path(__file__).parent / "channels" / "only_for_tests.pem"
HOST = "localhost"  # whom the certificate of the tests is for
URL = f"https://{HOST}/hooks"
SECRET, FORMER = b"s" * 32, b"f" * 32
YES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BODY = '{"type":"ping.test","data":{"id":"ação"}}'


def post(url: str, *, secrets: tuple[bytes, ...] = (SECRET,)) -> Outcome:
    with Sender() as sender:
        return sender.post(url, message_id="msg_1", body=BODY, secrets=secrets, at=datetime.now(UTC))


@pytest.fixture
def receiver(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = {"localhost", "127.0.0.1"}
    return httpserver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`names([(address, port), ...], ...)`: what `HOST` resolves to, at the first time, the second, ...; who asked."""
    resolve = socket.getaddrinfo

    def script(*answers: list[tuple[str, int]]) -> list[str]:
        asked: list[str] = []

        def resolved(host: str, *args: Any) -> Any:
            if host != HOST:
                return resolve(host, *args)
            asked.append(host)
            families = {True: socket.AF_INET6, False: socket.AF_INET}
            answer = answers[min(len(asked), len(answers)) - 1]
            return [(families[":" in name], socket.SOCK_STREAM, 6, "", (name, port)) for name, port in answer]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        return asked

    return script


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 passes for a public address: nothing else can be reached from here."""
    known = networks.is_public
    monkeypatch.setattr(networks, "is_public", lambda address: address == "127.0.0.1" or known(address))


@pytest.fixture
def server_tls(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's end with a certificate for `HOST`, which we trust."""
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    monkeypatch.setattr(webhooks, "tls", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


# --- what is sent


def test_webhook_is_posted_and_verifies_with_the_library(receiver: HTTPServer):
    receiver.expect_request("/hooks", method="POST", query_string="a=b").respond_with_data("thanks", status=202)

    assert post(receiver.url_for("/hooks?a=b")) == Outcome(status=202)

    request, _response = receiver.log[0]
    assert request.get_data() == BODY.encode()
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(request.get_data(), dict(request.headers)) == {
        "type": "ping.test",
        "data": {"id": "ação"},
    }
    for data, secret in ((BODY.replace("ping", "pong").encode(), SECRET), (request.get_data(), FORMER)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(data, dict(request.headers))


def test_both_secrets_of_a_rotation_sign(receiver: HTTPServer):
    receiver.expect_request("/hooks").respond_with_data("")

    assert post(receiver.url_for("/hooks"), secrets=(SECRET, FORMER)).is_accepted

    request, _response = receiver.log[0]
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, FORMER):
        Webhook(secret).verify(request.get_data(), dict(request.headers))


def test_time_of_the_signature_is_that_of_the_try():
    at = datetime(2026, 3, 4, 10, 20, 30, 999_999, tzinfo=UTC)
    there = at.astimezone(tz=datetime.now().astimezone().tzinfo)
    assert webhooks.signed("msg_1", BODY, [SECRET], at)["webhook-timestamp"] == str(int(at.timestamp()))
    assert webhooks.signed("msg_1", BODY, [SECRET], at) == webhooks.signed("msg_1", BODY, [SECRET], there)


def test_connection_serves_the_next_webhook(settings: Any):
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    with playing([YES, 0.3, YES]) as server, Sender() as sender:
        url = f"http://127.0.0.1:{server.port}/"
        for _time in range(2):
            outcome = sender.post(url, message_id="m", body="{}", secrets=[SECRET], at=datetime.now(UTC))
            assert outcome == Outcome(status=200)
    assert server.connections == 1


# --- what counts as accepted


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, ""),
        (204, ""),
        (299, ""),
        (300, "redirected"),
        (304, "redirected"),
        (400, "refused"),
        (404, "refused"),
        (410, "gone"),
        (429, "busy"),
        (500, "broken"),
        (503, "broken"),
    ],
)
def test_only_2xx_accepts(receiver: HTTPServer, status: int, reason: str):
    receiver.expect_request("/hooks").respond_with_data("", status=status)
    assert post(receiver.url_for("/hooks")) == Outcome(reason, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver: HTTPServer, status: int):
    receiver.expect_request("/hooks").respond_with_data(
        "", status=status, headers={"Location": receiver.url_for("/internal")}
    )
    receiver.expect_request("/internal").respond_with_data("secrets")

    assert post(receiver.url_for("/hooks")) == Outcome("redirected", status)
    assert [request.path for request, _response in receiver.log] == ["/hooks"]


# --- where it goes


@pytest.mark.parametrize(
    "answer",
    [
        [("127.0.0.1", 443)],
        [("8.8.8.8", 443), ("127.0.0.1", 443)],
        [("10.0.0.1", 443), ("8.8.8.8", 443)],
        [("8.8.8.8", 443), ("::1", 443)],
        [("64:ff9b::a9fe:a9fe", 443)],
        [("169.254.169.254", 443)],
    ],
)
def test_name_with_a_private_address_is_never_connected_to(
    answer: list[tuple[str, int]], names: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
):
    def connect(*_args: Any) -> None:
        raise AssertionError("a connection was tried")

    names(answer)
    monkeypatch.setattr(socket.socket, "connect", connect)

    assert post(URL) == Outcome("address_refused")


@pytest.mark.parametrize("url", ["http://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/"])
def test_url_that_was_never_checked_is_refused_when_it_is_sent_to(url: str, httpserver: HTTPServer):
    assert post(url) == Outcome("address_refused")


def test_rebound_name_is_resolved_once_and_the_pin_holds(
    names: Callable[..., list[str]], public: None, server_tls: ssl.SSLContext
):
    """Checked, it is public; asked again it would be the machine behind 127.0.0.2."""
    with playing([YES], server_tls) as good, playing([YES], server_tls) as inside:
        asked = names([("127.0.0.1", good.port)], [("127.0.0.2", inside.port)])

        assert post(URL) == Outcome(status=200)

    assert len(asked) == 1
    assert (good.connections, inside.connections) == (1, 0)


def test_name_is_checked_again_for_each_new_connection(
    names: Callable[..., list[str]], public: None, server_tls: ssl.SSLContext
):
    with playing([YES], server_tls) as good, playing([YES], server_tls) as inside:
        names([("127.0.0.1", good.port)], [("127.0.0.2", inside.port)])

        assert [post(URL), post(URL)] == [Outcome(status=200), Outcome("address_refused")]

    assert inside.connections == 0


def test_certificate_is_checked_for_the_name_and_not_for_the_address(
    names: Callable[..., list[str]], public: None, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: seen.append(name)
    with playing([YES], server_tls) as server:
        names([("127.0.0.1", server.port)])
        assert post(URL) == Outcome(status=200)
        assert seen == [HOST]
        # The same certificate, from an issuer whom nobody knows.
        monkeypatch.setattr(webhooks, "tls", ssl.create_default_context)
        assert post(URL) == Outcome("tls")


def test_certificate_of_another_name_is_refused(
    public: None, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    with playing([YES], server_tls) as server:
        address = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: address)
        assert post("https://other.example.net/") == Outcome("tls")


def test_proxies_of_the_environment_are_not_asked(receiver: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    receiver.expect_request("/hooks").respond_with_data("")
    with playing([YES]) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url_for("/hooks")).is_accepted
    assert proxy.connections == 0


def test_name_that_nobody_knows_is_no_connection(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_args: Any) -> Any:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post(URL) == Outcome("connection")


# --- how long, and how much


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(webhooks, "TIME_LIMIT", 0.5)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_ten_gigabytes_are_not_read(hasty: None):
    head, piece = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65_536
    with playing([head, *[piece] * 200_000]) as server, within(3):
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome(status=200)


def test_endless_headers_are_not_read(hasty: None):
    with playing([b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"a" * 1000 + b"\r\n"] * 100_000]) as server, within(3):
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome("connection")


@pytest.mark.parametrize("script", [[], [5.0], dripping(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20, every=0.1)])
def test_answer_that_does_not_come_is_cut(hasty: None, script: list[Any]):
    with playing([*script, 5.0]) as server, within(3):
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome("timeout")


def test_body_that_drips_after_a_yes_is_still_a_yes(hasty: None):
    with playing([YES[:-2], *dripping(b"ok", every=3.0)]) as server, within(3):
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome(status=200)


def test_headers_that_never_end_are_no_yes(hasty: None):
    pieces = [b"HTTP/1.1 200 OK\r\n", *([0.1, b"X-More: and more\r\n"] * 20)]
    with playing(pieces) as server, within(3):
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome("timeout")


def test_connection_that_is_never_accepted_is_given_up(hasty: None):
    with unanswered() as port, within(3):
        assert post(f"http://127.0.0.1:{port}/") == Outcome("timeout")


def test_refused_connection_is_told(hasty: None):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/") == Outcome("connection")


def test_answer_that_is_no_http_is_told(hasty: None):
    with playing([b"SSH-2.0-OpenSSH\r\n"]) as server:
        assert post(f"http://127.0.0.1:{server.port}/") == Outcome("connection")


def test_nothing_of_an_answer_is_kept_or_logged(receiver: HTTPServer, caplog: pytest.LogCaptureFixture):
    def answer(_request: Request) -> Response:
        return Response("internal-secret-4711", status=500, headers={"X-Echo": "internal-secret-4711"})

    receiver.expect_request("/hooks").respond_with_handler(answer)
    assert "internal-secret-4711" not in repr(post(receiver.url_for("/hooks")))
    assert "internal-secret-4711" not in caplog.text


def test_time_limit_is_what_the_contract_says():
    assert timedelta(seconds=webhooks.TIME_LIMIT) == timedelta(seconds=10)
