"""A limit for a whole HTTP exchange, where urllib3 limits each wait.

A timeout of a socket bounds the pause between two bytes. A provider that sends one byte every four seconds, by malice
or by a broken balancer, would hold a worker for ever and its delivery beyond the lease (slow loris). Here the socket is
shut down when the time is over, which wakes whoever reads from it. Connecting, the TLS handshake and sending are
bounded by the socket's own timeout, in which CPython counts each as a whole; the system limits how long the resolver
waits.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse


class Deadline:
    """The end of one exchange."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self._socket: Any = None
        self.passed = False
        """Whether the exchange was cut."""

    def watch(self, connected: Any) -> None:
        """Cut this socket when the time is over."""
        self._socket = connected
        self._timer = threading.Timer(max(self._end - time.monotonic(), 0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # Either side has closed it already, so no read is left waiting.
            return


_current: ContextVar[Deadline | None] = ContextVar("twofa_http_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """Bound the exchanges of :class:`PoolManager` made in the block."""
    deadline = Deadline(seconds)
    reset = _current.set(deadline)
    try:
        yield deadline
    finally:
        deadline.stop()
        _current.reset(reset)


def is_past() -> bool:
    """Tell whether the present exchange was cut.

    What looks like the end of an answer may be our own timeout closing the socket.
    """
    deadline = _current.get()
    return deadline is not None and deadline.passed


def _watch(connected: Any) -> None:
    deadline = _current.get()
    if deadline is not None:
        deadline.watch(connected)


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _watch(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _watch(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class PoolManager(urllib3.PoolManager):
    """The pool manager of urllib3, with connections that keep to the deadline of their exchange."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return _current.get() is None


# urllib3 logs answers whose headers it cannot parse with those very headers, in which a provider may echo what it was
# sent. Its records are dropped during our own exchanges, whose outcome we report in words of ours.
logging.getLogger("urllib3.connection").addFilter(_is_not_ours)
