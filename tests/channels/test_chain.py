from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.channels.rawserver import playing
from twofa.channels import Callback, Channel, DeliveryError, Message, Receipt, Report
from twofa.channels import chain as chain_module
from twofa.channels.chain import Breaker, ChainChannel
from twofa.exceptions import NotFound
from twofa.testing import ChannelContract

HTTP = "twofa.channels.http.HttpChannel"
BODY = {"text": "{text}"}


def gateway(url: str, **options: Any) -> dict[str, Any]:
    return {"BACKEND": HTTP, "OPTIONS": {"url": url, "body": BODY, "id_path": "id", **options}}


class TestChainChannel(ChannelContract):
    seconds = 3.0
    other_loggers = ("werkzeug", "pytest_httpserver")

    @pytest.fixture(autouse=True)
    def _providers(self, httpserver: HTTPServer) -> Iterator[None]:
        self.server = httpserver
        self.status = 201
        httpserver.expect_request("/down").respond_with_data("", status=503)
        httpserver.expect_request("/up").respond_with_handler(self._answer)
        with playing([60.0]) as silent:
            self.silent = silent
            yield

    def _answer(self, request: Request) -> Response:
        return Response('{"id": "m-1"}', self.status, mimetype="application/json")

    def make_channel(self) -> ChainChannel:
        first, second = (gateway(self.server.url_for(path)) for path in ("/down", "/up"))
        return ChainChannel(providers={"first": first, "second": second})

    def make_failing_channel(self, *, retryable: bool) -> ChainChannel:
        self.status = 503 if retryable else 422
        return self.make_channel()

    def make_hanging_channel(self) -> ChainChannel:
        silent = gateway(f"http://127.0.0.1:{self.silent.port}/", read_timeout=0.5)
        return ChainChannel(providers={"first": silent, "second": silent})

    def delivered(self) -> list[str]:
        return [request.get_json()["text"] for request, _response in self.server.log if request.path == "/up"]


# --- providers that do as they are told -------------------------------------------------------------------------------


class Told(Channel):
    """Raises, or gives, what `says` holds for it; counts how often it was asked."""

    says: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    def __init__(self, *, name: str, time_limit: float = 1.0) -> None:
        self._name, self.time_limit = name, time_limit

    def send(self, message: Message) -> Receipt:
        Told.asked.append(self._name)
        said = Told.says.get(self._name)
        if callable(said):
            said = said()
        if isinstance(said, BaseException):
            raise said
        return Receipt(f"{self._name}-1")

    def read_receipt(self, callback: Callback) -> Report:
        assert callback.provider == ""
        return Report(status="delivered", provider_message_id=f"{self._name}-1")


BUSY = DeliveryError("provider_busy", retryable=True)
DENIED = DeliveryError("provider_denied", retryable=False)
REFUSED = DeliveryError("recipient_refused", retryable=False)
TOLD = f"{__name__}.Told"


@pytest.fixture(autouse=True)
def _silence():
    Told.says, Told.asked = {}, []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`clock(seconds)` lets time pass."""
    now = [1000.0]
    monkeypatch.setattr(chain_module.time, "monotonic", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


@pytest.fixture
def message() -> Message:
    return ChannelContract().make_message()


def chain(*names: str, time_limit: float = 1.0, **options: Any) -> ChainChannel:
    entry = {name: {"BACKEND": TOLD, "OPTIONS": {"name": name, "time_limit": time_limit}} for name in names}
    return ChainChannel(providers=entry, **options)


def error_of(channel: ChainChannel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.send(message)
    assert caught.value.__context__ is None
    return caught.value


# --- in order ---------------------------------------------------------------------------------------------------------


def test_first_provider_takes_the_message(message):
    assert chain("a", "b").send(message) == Receipt("a-1", provider="a")
    assert Told.asked == ["a"]


@pytest.mark.parametrize("failure", [BUSY, DENIED, DeliveryError("provider_misconfigured", retryable=False)])
def test_next_provider_is_asked_where_the_first_one_cannot(message, failure):
    Told.says = {"a": failure, "b": failure}

    assert chain("a", "b", "c").send(message) == Receipt("c-1", provider="c")
    assert Told.asked == ["a", "b", "c"]


@pytest.mark.parametrize("reason", ["recipient_refused", "recipient_opted_out", "message_refused", "template_required"])
def test_refused_message_is_refused_by_all(message, reason):
    Told.says = {"a": DeliveryError(reason, retryable=False)}
    error = error_of(chain("a", "b"), message)

    assert (error.reason, error.retryable) == (reason, False)
    assert Told.asked == ["a"]


def test_broken_channel_of_a_provider_counts_as_temporary(message, caplog):
    Told.says = {"a": ValueError(f"bug {message.token} {message.recipient}")}
    with caplog.at_level(logging.DEBUG):
        assert chain("a", "b").send(message).provider == "b"
    assert error_of(chain("a"), message).reason == "channel_error"

    assert "ValueError" in caplog.text
    assert message.token not in caplog.text
    assert message.recipient not in caplog.text


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(BUSY, DENIED, ("provider_busy", True)), (DENIED, BUSY, ("provider_busy", True)), (DENIED, DENIED, None)],
)
def test_failure_of_all_is_temporary_where_one_was(message, first, second, expected):
    Told.says = {"a": first, "b": second}
    error = error_of(chain("a", "b"), message)

    assert (error.reason, error.retryable) == (expected or ("provider_denied", False))


def test_provider_that_could_outlast_the_lease_is_not_asked(message, clock, settings):
    settings.TWOFA_DELIVERY_LEASE = timedelta(seconds=30)
    Told.says = {name: lambda: clock(9) or BUSY for name in "abcd"}

    assert error_of(chain("a", "b", "c", "d", time_limit=9), message).retryable
    # 27 seconds are the providers'; the fourth would end after 36.
    assert Told.asked == ["a", "b", "c"]


# --- the breaker ------------------------------------------------------------------------------------------------------


def test_provider_that_fails_again_and_again_is_left_alone_for_a_while(message, clock):
    Told.says = {"a": BUSY}
    channel = chain("a", "b", failures=3, pause=15)
    for _ in range(5):
        assert channel.send(message).provider == "b"
    assert Told.asked.count("a") == 3

    clock(15)
    Told.says = {}
    assert channel.send(message).provider == "a", "one is let through, and it succeeds"
    assert channel.send(message).provider == "a"


def test_probe_that_fails_opens_it_again_at_once(message, clock):
    Told.says = {"a": BUSY}
    channel = chain("a", "b", failures=3, pause=15)
    for _ in range(3):
        channel.send(message)
    clock(15)
    for _ in range(3):
        channel.send(message)

    assert Told.asked.count("a") == 4


@pytest.mark.parametrize("between", [None, DENIED])
def test_failures_count_only_in_a_row(message, between):
    channel = chain("a", "b", failures=2, pause=15)
    for said in (BUSY, between, BUSY, between, BUSY, None):
        Told.says = {"a": said}
        channel.send(message)

    assert Told.asked.count("a") == 6


def test_refused_recipient_is_no_failure_of_the_provider(message):
    Told.says = {"a": REFUSED}
    channel = chain("a", failures=1)
    for _ in range(3):
        error_of(channel, message)

    assert len(Told.asked) == 3


def test_chain_that_is_left_alone_wholly_says_so_at_once(message):
    Told.says = {"a": BUSY}
    channel = chain("a", failures=1)
    error_of(channel, message)
    error = error_of(channel, message)

    assert (error.reason, error.retryable) == ("provider_unavailable", True)
    assert Told.asked == ["a"]


def test_worker_that_is_stopped_leaves_no_probe_behind(message, clock):
    Told.says = {"a": BUSY}
    channel = chain("a", failures=1, pause=15)
    error_of(channel, message)
    clock(15)
    Told.says = {"a": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        channel.send(message)

    clock(15)
    Told.says = {}
    assert channel.send(message).provider == "a"


def test_one_of_many_threads_is_the_probe(message, threads):
    Told.says = {"a": BUSY}
    channel = chain("a", "b", failures=1, pause=0.01)
    channel.send(message)
    time.sleep(0.02)
    everybody = threading.Barrier(8)
    Told.says = {"a": lambda: time.sleep(0.2) or BUSY, "b": None}
    Told.asked.clear()

    def send() -> Receipt:
        everybody.wait(timeout=5)
        return channel.send(message)

    assert {receipt.provider for receipt in threads([send] * 8)} == {"b"}
    assert Told.asked.count("a") == 1


def test_breaker_opens_once_for_all_threads(threads):
    breaker = Breaker(failures=3, pause=60)
    threads([lambda: breaker.leave(failed=True)] * 16)

    assert not breaker.enter()


# --- receipts and options ---------------------------------------------------------------------------------------------


def test_receipt_is_read_by_the_provider_that_its_path_names():
    assert chain("a", "b").read_receipt(Callback(body=b"", provider="b")).provider_message_id == "b-1"


@pytest.mark.parametrize("provider", ["", "c", "silent"])
def test_receipt_of_nobody_is_not_found(provider):
    silent = {"BACKEND": "twofa.channels.memory.MemoryChannel"}
    channel = ChainChannel(providers={"a": {"BACKEND": TOLD, "OPTIONS": {"name": "a"}}, "silent": silent})

    with pytest.raises(NotFound):
        channel.read_receipt(Callback(body=b"", provider=provider))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"providers": {}}, "needs providers"),
        ({"providers": {"A b": gateway("https://x/")}}, "no name"),
        ({"providers": {"a": {}}}, "BACKEND"),
        ({"providers": {"a": "twofa.channels.http.HttpChannel"}}, "BACKEND"),
        ({"providers": {"a": {"BACKEND": "twofa.channels.missing.Channel"}}}, "imported"),
        ({"providers": {"a": {"BACKEND": "twofa.channels.base.Message"}}}, "send"),
        ({"providers": {"a": {"BACKEND": HTTP, "OPTIONS": {"url": "ftp://x/", "body": {}}}}}, "'a': url"),
        ({"providers": {"a": {"BACKEND": HTTP, "OPTIONS": {"uri": "https://x/"}}}}, "'a': "),
        ({"providers": {"a": {"BACKEND": "twofa.channels.chain.ChainChannel"}}}, "chain itself"),
        ({"providers": {"a": gateway("https://x/")}, "failures": 0}, "failures"),
        ({"providers": {"a": gateway("https://x/")}, "pause": 0}, "pause"),
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_built(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        ChainChannel(**options)
