from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pytest_httpserver import HTTPServer

from tests.channels.rawserver import playing, unanswered
from tests.servers import network
from twofa.channels import DeliveryError, Message, Receipt, deadlines
from twofa.channels.chain import MARGIN, ChainChannel
from twofa.channels.http import HttpChannel
from twofa.testing import ChannelContract

CERTIFICATE = Path(__file__).with_name("only_for_tests.pem")
NAME = "sms.example.org"
YES = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
BODY = {"text": "{text}"}


@pytest.fixture
def message() -> Message:
    return ChannelContract().make_message()


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resolves(port, ..., after=seconds)`: the addresses of `NAME`, each a port of this machine."""
    resolve = socket.getaddrinfo

    def name_it(*ports: int, after: float = 0) -> None:
        def resolved(host: str, *args: Any) -> Any:
            if host != NAME:
                return resolve(host, *args)
            time.sleep(after)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)

    return name_it


@pytest.fixture
def dead() -> Iterator[int]:
    with unanswered() as port:
        yield port


def named(scheme: str = "http", **options: Any) -> HttpChannel:
    timeouts = {"connect_timeout": 0.4, "read_timeout": 1.0, "total_timeout": 1.0}
    return HttpChannel(**{"url": f"{scheme}://{NAME}:1/", "body": BODY, **timeouts, **options})


def outcome(channel: Any, message: Message) -> tuple[str, bool, float]:
    """The reason of the failure, whether a repetition may mend it, and how many seconds it took."""
    started = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        channel.send(message)
    assert caught.value.__context__ is None
    return caught.value.reason, caught.value.retryable, time.monotonic() - started


def test_socket_is_shut_down_when_the_time_is_over():
    ours, theirs = socket.socketpair()
    with ours, theirs, deadlines.within(0.1) as deadline:
        deadline.watch(ours)
        started = time.monotonic()

        assert ours.recv(1) == b""
        assert 0.05 < time.monotonic() - started < 5
        assert deadline.passed
        assert deadlines.is_past()
    assert not deadlines.is_past()


def test_socket_lives_on_after_an_exchange_in_time():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadlines.within(0.1) as deadline:
            deadline.watch(ours)
        time.sleep(0.2)
        theirs.sendall(b"x")

        assert ours.recv(1) == b"x"
        assert not deadline.passed


def test_socket_that_is_closed_already_is_nobody_s_trouble():
    ours, theirs = socket.socketpair()
    with deadlines.within(0.05) as deadline:
        deadline.watch(ours)
        ours.close()
        theirs.close()
        time.sleep(0.2)

        assert deadline.passed


def test_pool_without_a_deadline_is_an_ordinary_one():
    with playing([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]) as server:
        pool = deadlines.PoolManager(retries=False)
        answer = pool.request("GET", f"http://127.0.0.1:{server.port}/", timeout=urllib3.Timeout(2))
        pool.clear()

    assert answer.data == b"ok"


def test_cut_forgets_no_tls():
    """Else a thread that is sending could write its next piece in clear, before the shutdown comes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    with (
        playing([60.0], tls=context) as server,
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as secured,
        deadlines.within(0.05) as deadline,
    ):
        deadline.watch(secured)
        time.sleep(0.2)

        assert deadline.passed
        assert secured.cipher() is not None
        with pytest.raises(OSError):
            secured.sendall(b"a token")


# --- connecting -------------------------------------------------------------------------------------------------------


def test_live_address_behind_a_dead_one_is_found(resolves, dead: int, message: Message):
    with playing(YES) as server:
        resolves(dead, server.port)

        assert named().send(message) == Receipt()


def test_addresses_that_refuse_are_passed_over(resolves, message: Message):
    with socket.socket() as unheard, playing(YES) as server:
        unheard.bind(("127.0.0.1", 0))
        resolves(unheard.getsockname()[1], server.port)
        assert named().send(message) == Receipt()

        resolves(unheard.getsockname()[1])
        assert outcome(named(), message)[:2] == ("connection", True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_dead_addresses_together_take_no_longer_than_the_exchange(resolves, dead: int, message: Message, scheme: str):
    """And nothing is sent to a live one behind them: its answer would be cut, and the message sent again."""
    with playing(YES) as server:
        resolves(dead, dead, dead, dead, server.port)
        reason, retryable, seconds = outcome(named(scheme), message)

        assert (reason, retryable) == ("timeout", True)
        assert seconds < 1.5
        assert server.connections == 0


def test_nothing_is_sent_after_a_resolver_that_took_all_the_time(resolves, message: Message):
    with playing(YES) as server:
        resolves(server.port, after=1.1)

        assert outcome(named(), message)[:2] == ("timeout", True)
        assert server.connections == 0


def test_nothing_is_written_to_a_connection_that_was_kept_where_the_time_is_over():
    def serve(listener: socket.socket) -> bytes:
        client, _address = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(YES[0])
            return client.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as executor:
        second_request = executor.submit(serve, listener)
        pool = deadlines.PoolManager(retries=False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        pool.request("GET", url)
        with deadlines.within(0.01):
            time.sleep(0.05)
            with pytest.raises(urllib3.exceptions.ConnectTimeoutError):
                pool.request("GET", url)
        pool.clear()

        assert second_request.result(timeout=5) == b""


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_slow_resolver_shortens_what_follows(resolves, scheme: str):
    """A handshake that hangs, or a provider that does not read."""
    message = ChannelContract().make_message(text="x" * 8_000_000)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        resolves(deaf.getsockname()[1], after=1.5)
        reason, retryable, seconds = outcome(named(scheme, connect_timeout=2.0, total_timeout=2.0), message)

    assert (reason, retryable) == ("timeout", True)
    assert seconds < 3


def test_next_provider_is_asked_in_time(resolves, dead: int, httpserver: HTTPServer, message: Message, settings):
    settings.TWOFA_DELIVERY_LEASE = timedelta(seconds=MARGIN + 2.4)
    httpserver.expect_request("/").respond_with_data("")
    resolves(*[dead] * 8)
    timeouts = {"connect_timeout": 0.4, "read_timeout": 1.0, "total_timeout": 1.0}
    entries = {
        name: {"BACKEND": "twofa.channels.http.HttpChannel", "OPTIONS": {"url": url, "body": BODY, **timeouts}}
        for name, url in {"first": f"http://{NAME}:1/", "second": httpserver.url_for("/")}.items()
    }

    assert ChainChannel(providers=entries).send(message).provider == "second"
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example.org"])
def test_name_that_cannot_be_one_is_a_temporary_failure(monkeypatch: pytest.MonkeyPatch, message: Message, host: str):
    """As one that nobody knows: an operator's slip, for which no message is given up."""
    # The system's own, which the suite guards: such a name does not leave it.
    monkeypatch.setattr(socket, "getaddrinfo", network._getaddrinfo)

    assert outcome(named(url=f"http://{host}/"), message)[:2] == ("connection", True)


# --- whom it connects to ----------------------------------------------------------------------------------------------


@pytest.fixture
def secure_server() -> Iterator[tuple[HTTPServer, list[str | None]]]:
    """A server, and the names that its clients asked for in their handshakes."""
    asked: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with HTTPServer(ssl_context=context) as server:
        server.expect_request("/").respond_with_data("")
        yield server, asked


def test_certificate_is_checked_for_the_name_and_not_for_the_address(resolves, secure_server, message: Message):
    server, asked = secure_server
    resolves(server.port)

    assert outcome(named("https", ca_certs=str(CERTIFICATE)), message)[:2] == ("tls", True)
    assert asked == [NAME]
    assert server.log == []


def test_certificate_of_the_name_is_taken(secure_server, message: Message):
    server, asked = secure_server
    url = f"https://localhost:{server.port}/"

    assert named(url=url, ca_certs=str(CERTIFICATE)).send(message) == Receipt()
    assert asked == ["localhost"]
