"""For the tests of hosts, and of channels: an outbox to read, and a contract to inherit.

Needs no test runner: plain classes and ``AssertionError``.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from twofa.channels import Callback, Channel, DeliveryError, Message, Receipt, ReceiptRefused, Report
from twofa.channels.memory import Outbox, outbox

__all__ = ["ChannelContract", "Outbox", "outbox"]

_CHALLENGE = UUID("0197a000-0000-7000-8000-000000000001")


class ChannelContract:
    """What every channel must do. Inherit it in a test class, and give it your channel::

        class TestMyChannel(ChannelContract):
            def make_channel(self):
                return MyChannel(url=..., key=...)

    With pytest, fixtures reach the hooks through an ``autouse`` fixture that sets attributes. The other hooks widen
    what is tested; one that returns None says that this cannot happen to the channel.
    """

    seconds: float = 15.0
    """How long ``send`` may take with a provider that never answers. Keep it below ``TWOFA_DELIVERY_LEASE``."""
    other_loggers: Collection[str] = ()
    """Loggers of the fake provider, where it runs in the same process: what they log is not the channel's doing."""

    def make_channel(self) -> Channel:
        """Return the channel, with a provider that accepts. The one hook that must be there."""
        raise AssertionError(f"{type(self).__name__} must define make_channel()")

    def make_message(self, **changes: Any) -> Message:
        """Return a message; override it where your provider needs another address."""
        values: dict[str, Any] = {
            "recipient": "+5511987650034",
            "token": "7K2M9Q",
            "text": 'Resgate: 15.000 pontos por "Fone". Token 1: 7K2M9Q',
            "subject": "Resgate: 15.000 pontos",
            "html": "<p>Resgate: 15.000 pontos. Token 1: <b>7K2M9Q</b></p>",
            "locale": "pt-br",
            "event": "redemption.token",
            "challenge_id": _CHALLENGE,
            "idempotency_key": f"{_CHALLENGE}:{uuid4()}",
            "expires_at": datetime.now(UTC) + timedelta(minutes=5),
        }
        return Message(**values | changes)

    def delivered(self) -> list[str] | None:
        """Return the texts that the provider got so far, or None where that cannot be told."""
        return None

    def make_failing_channel(self, *, retryable: bool) -> Channel | None:
        """Return the channel with a provider that refuses: for now (``retryable``), or for good."""
        return None

    def make_hanging_channel(self) -> Channel | None:
        """Return the channel with a provider that accepts the connection and then says nothing, or never ends."""
        return None

    def make_callback(self, *, status: str) -> Callback | None:
        """Return what the provider posts, signed, where a message was ``delivered`` or ``failed``."""
        return None

    def test_message_that_is_accepted_gives_a_receipt(self) -> None:
        message = self.make_message()
        receipt: object = self.make_channel().send(message)

        if not isinstance(receipt, Receipt):
            raise AssertionError("Broken contract: send() returns a Receipt.")
        given: object = receipt.provider_message_id
        _ensure(
            given is None or (isinstance(given, str) and len(given) <= 200), "an id is a str of up to 200 characters"
        )
        self._ensure_delivered([message.text])

    def test_text_in_any_alphabet_arrives_as_it_is(self) -> None:
        text = "Ação nº 1: maçã, ñandú, ü, ß, Ж, 漢字, € 🎧. Token 1: 7K2M9Q"
        self.make_channel().send(self.make_message(text=text, subject="Ação 漢字 🎧", html=f"<p>{text}</p>"))

        self._ensure_delivered([text])

    def test_repetition_of_a_message_is_accepted(self) -> None:
        channel, message = self.make_channel(), self.make_message()
        channel.send(message)

        _ensure(
            isinstance(channel.send(message), Receipt), "the same message may be sent again: a worker may have died"
        )

    def test_representations_hide_the_message(self) -> None:
        message = self.make_message()
        shown = repr(message) + str(message) + repr(self.make_channel())

        self._ensure_hidden(message, shown, "a repr")

    def test_log_hides_the_message(self) -> None:
        message = self.make_message()
        with self._log() as lines:
            self.make_channel().send(message)

        self._ensure_hidden(message, "\n".join(lines), "the log")

    def test_temporary_failure_is_told_as_temporary(self) -> None:
        self._check_failure(retryable=True)

    def test_permanent_failure_is_told_as_permanent(self) -> None:
        self._check_failure(retryable=False)

    def test_hanging_provider_does_not_hold_the_worker(self) -> None:
        channel = self.make_hanging_channel()
        if channel is None:
            return
        message, started = self.make_message(), time.monotonic()
        with self._log() as lines:
            # An answer that begins with a yes and never ends may be taken for one; silence may not.
            error = _error_of(lambda: channel.send(message))

        _ensure(time.monotonic() - started < self.seconds, f"send() gives up within {self.seconds} seconds")
        if error is not None:
            self._ensure_well_told(error, message)
            _ensure(error.retryable is True, "silence is a temporary failure")
        self._ensure_hidden(message, "\n".join(lines), "the log")

    def test_signed_receipt_is_read(self) -> None:
        for status in ("delivered", "failed"):
            callback = self.make_callback(status=status)
            if callback is not None:
                report: object = self.make_channel().read_receipt(callback)
                if not isinstance(report, Report):
                    raise AssertionError("Broken contract: read_receipt() returns a Report.")
                _ensure(report.status == status, f"this receipt says {status}")
                _ensure(bool(report.provider_message_id or report.reference), "a receipt names its message")

    def test_forged_receipt_is_refused(self) -> None:
        callback = self.make_callback(status="delivered")
        if callback is None:
            return
        bare = replace(callback, headers={})
        for forged in (bare, replace(callback, body=callback.body + b"x"), replace(callback, body=b"")):
            _ensure(self._is_refused(forged), "read_receipt() raises ReceiptRefused for what its provider did not sign")

    def _is_refused(self, callback: Callback) -> bool:
        try:
            self.make_channel().read_receipt(callback)
        except ReceiptRefused:
            return True
        return False

    def _check_failure(self, *, retryable: bool) -> None:
        channel = self.make_failing_channel(retryable=retryable)
        if channel is None:
            return
        message = self.make_message()
        with self._log() as lines:
            error = _error_of(lambda: channel.send(message))

        _ensure(error is not None, "send() raises where the provider refuses")
        assert error is not None  # noqa: S101 - for the type checker: the line above is the check
        self._ensure_well_told(error, message)
        _ensure(error.retryable is retryable, f"this failure has retryable={retryable}")
        self._ensure_hidden(message, "\n".join(lines), "the log")

    def _ensure_well_told(self, error: DeliveryError, message: Message) -> None:
        reason = error.reason
        is_word = (
            reason.isascii() and reason.replace("_", "a").isalnum() and reason == reason.lower() and len(reason) <= 64
        )
        _ensure(is_word, "a reason is a short stable word like provider_busy, never the provider's own text")
        for told in _chain(error):
            shown = "".join(traceback.format_exception(told)) + repr(told) + repr(told.args) + repr(vars(told))
            self._ensure_hidden(message, shown, f"{type(told).__name__}, raised or in the context of what is")

    def _ensure_delivered(self, texts: list[str]) -> None:
        got = self.delivered()
        _ensure(got is None or got == texts, "the provider gets the text unchanged, once")

    def _ensure_hidden(self, message: Message, shown: str, where: str) -> None:
        for name in ("recipient", "token", "text", "subject", "html"):
            value = getattr(message, name)
            _ensure(not value or value not in shown, f"{where} shows the message's {name}")

    @contextmanager
    def _log(self) -> Iterator[list[str]]:
        """Catch every record of every logger that propagates, whatever its level."""
        handler = _Lines(self.other_loggers)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(1)
        try:
            yield handler.lines
        finally:
            root.setLevel(level)
            root.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, without: Collection[str]) -> None:
        super().__init__(level=1)
        self.lines: list[str] = []
        self._without = tuple(without)

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(self._without):
            self.lines.append(self.format(record) + repr(record.args))


def _ensure(condition: bool, rule: str) -> None:
    # Not an assert statement, which "python -O" leaves out.
    if not condition:
        raise AssertionError(f"Broken contract: {rule}.")


def _error_of(call: Callable[[], object]) -> DeliveryError | None:
    try:
        call()
    except DeliveryError as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"Broken contract: send() raises DeliveryError only, not {type(error).__name__}."
        ) from error
    return None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        told = queue.pop()
        if told is not None and told not in found:
            found.append(told)
            queue += [told.__cause__, told.__context__]
    return found
