"""Several providers behind one channel: the next one is asked where the one before cannot."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from twofa import correlation
from twofa.channels import registry
from twofa.channels.base import ACCOUNT_REASONS, Callback, Channel, Message, Receipt, Report
from twofa.conf import conf
from twofa.exceptions import DeliveryError, NotFound

logger = correlation.get_logger(__name__)

MARGIN = 3.0
"""Seconds of the lease that are not the providers': for composing the message, and for recording what became of it."""
_UNKNOWN_LIMIT = 10.0
"""Seconds assumed for a provider that names no limit of its own."""
_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z")


class Breaker:
    """Leaves a provider alone that failed several times in a row, of one process. Safe to use from several threads.

    Closed, it lets everybody pass. After ``failures`` temporary failures without a success between them it is open for
    ``pause`` seconds. Then it lets one pass, whose outcome decides for all.
    """

    def __init__(self, *, failures: int, pause: float) -> None:
        self._limit, self._pause = failures, pause
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    def enter(self) -> bool:
        """Tell whether the provider may be asked now. Whoever is told so must call :meth:`leave`."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._probing or time.monotonic() < self._open_until:
                return False
            self._probing = True
            return True

    def leave(self, *, failed: bool) -> None:
        """Record the outcome."""
        with self._lock:
            self._probing = False
            self._failures = self._failures + 1 if failed else 0
            # A probe that failed opens it again at once: the count is still there.
            self._open_until = time.monotonic() + self._pause if self._failures >= self._limit else None


@dataclass(frozen=True)
class _Link:
    name: str
    channel: Any
    breaker: Breaker

    @property
    def time_limit(self) -> float:
        return float(getattr(self.channel, "time_limit", 0.0)) or _UNKNOWN_LIMIT


class ChainChannel(Channel):
    """Hand each message to the first of several providers that takes it.

    ``providers``: name -> ``{"BACKEND": dotted path, "OPTIONS": {...}}``, in their order. A provider's temporary
    failure passes the message on to the next one, and so does a permanent one that is the account's fault
    (``ACCOUNT_REASONS``). What is wrong with the message or the recipient is so for every provider: it ends there.
    ``failures``, ``pause``: a provider with so many temporary failures in a row is left alone for so many seconds, then
    tried with one message.

    All of it stays within ``TWOFA_DELIVERY_LEASE``: a provider that could outlast it is not asked any more. Where a
    provider's answer was lost and the next one took the message, the same text may arrive twice.
    """

    def __init__(self, *, providers: Mapping[str, Mapping[str, Any]], failures: int = 5, pause: float = 15.0) -> None:
        if not providers:
            raise ValueError("a chain needs providers")
        if failures < 1 or pause <= 0:
            raise ValueError("failures is 1 or more, pause is a number of seconds above zero")
        self._links = {
            name: _Link(name, _build(name, entry), Breaker(failures=failures, pause=pause))
            for name, entry in providers.items()
        }
        self.providers = tuple(self._links)
        self.time_limit = sum(link.time_limit for link in self._links.values())

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The providers' channels by name: for the checks."""
        return {name: link.channel for name, link in self._links.items()}

    def send(self, message: Message) -> Receipt:
        failures: list[DeliveryError] = []
        for link in self._within_lease():
            outcome = _ask(link, message)
            if isinstance(outcome, Receipt):
                return replace(outcome, provider=link.name)
            if outcome is None:
                continue
            failures.append(outcome)
            if not (outcome.retryable or outcome.reason in ACCOUNT_REASONS):
                raise outcome
        raise _told(failures)

    def read_receipt(self, callback: Callback) -> Report:
        link = self._links.get(callback.provider)
        reader = getattr(link.channel, "read_receipt", None) if link is not None else None
        if reader is None:
            raise NotFound
        report: Report = reader(replace(callback, provider=""))
        return report

    def _within_lease(self) -> Iterator[_Link]:
        """Give the providers in turn, each as long as it can end in time; the first one always."""
        ends = time.monotonic() + conf.delivery_lease.total_seconds() - MARGIN
        for number, link in enumerate(self._links.values()):
            if number == 0 or time.monotonic() + link.time_limit <= ends:
                yield link


def _ask(link: _Link, message: Message) -> Receipt | DeliveryError | None:
    """Return what the provider says, or None where its breaker is open."""
    if not link.breaker.enter():
        return None
    # What counts where the worker is stopped in the middle: a probe without an answer must not close the breaker.
    failed = True
    try:
        outcome = _send(link, message)
        failed = isinstance(outcome, DeliveryError) and outcome.retryable
        return outcome
    finally:
        link.breaker.leave(failed=failed)


def _send(link: _Link, message: Message) -> Receipt | DeliveryError:
    unexpected = ""
    try:
        receipt: Receipt = link.channel.send(message)
        return Receipt(getattr(receipt, "provider_message_id", None))
    except DeliveryError as error:
        outcome = DeliveryError(error.reason, retryable=error.retryable)
    except Exception as error:  # noqa: BLE001 - a provider's channel is anybody's code
        # Its class and nothing more: the text of a library's error often quotes the request, and with it the token.
        unexpected, outcome = type(error).__name__, DeliveryError("channel_error", retryable=True)
    if unexpected:
        logger.error("Provider %s failed with %s.", link.name, unexpected)
    else:
        logger.warning("Provider %s did not take a message: %s.", link.name, outcome)
    return outcome


def _told(failures: list[DeliveryError]) -> DeliveryError:
    """Return the failure of the chain: a temporary one, where there was one."""
    if not failures:
        # The breakers of all providers are open.
        return DeliveryError("provider_unavailable", retryable=True)
    return next((failure for failure in failures if failure.retryable), failures[-1])


def _build(name: str, entry: object) -> Channel:
    """Return a provider's channel. Raises: ValueError."""
    if not _NAME.match(str(name)):
        raise ValueError(f"{name!r} is no name for a provider: lower-case letters, digits, '-' and '_'")
    try:
        backend = registry.backend_of(entry)
        if isinstance(backend, type) and issubclass(backend, ChainChannel):
            raise ValueError("it is a chain itself: name its providers here")
        return registry.build(entry)
    except ValueError as error:
        raise ValueError(f"provider {name!r}: {error}") from error
