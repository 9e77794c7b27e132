"""A limit for a whole HTTP exchange, where urllib3 limits each wait.

A timeout of a socket bounds the pause between two bytes. A provider that sends one byte every four seconds, by malice
or by a broken balancer, would hold a worker for ever and its delivery beyond the lease (slow loris). Here the socket is
shut down when the time is over, which wakes whoever writes to it or reads from it.

Connecting is bounded as well, over all addresses of a name: urllib3 gives each of them the whole ``connect_timeout``,
and four dead ones before a live one would outlast the exchange. Its message would still leave, its answer would not be
waited for, and the repetition would send it again. So nothing is written once the time is over: a message that failed
then was never sent, and the next provider of a chain may take it.

A TLS handshake ends by the socket's timeout, which CPython counts for all of it. What nobody here can bound is the
resolver: ``getaddrinfo`` takes as long as the system lets it (``resolv.conf(5)``, 10 seconds and more for each silent
server of names). Its time counts, so that no message leaves after it, but ``send`` comes back late by as much.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

Resolver = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""Returns the addresses of a host and port, as ``getaddrinfo`` does; what it raises besides ``OSError`` passes."""


def addresses_of(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Return the addresses that this machine may reach. Raises: OSError, UnicodeError."""
    return socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)


class Deadline:
    """The end of one exchange, and who resolves names for it."""

    def __init__(self, seconds: float, resolve: Resolver = addresses_of) -> None:
        self.resolve = resolve
        self._end = time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self._socket: Any = None
        self.passed = False
        """Whether the exchange was cut."""

    @property
    def left(self) -> float:
        """Seconds until the end; zero or less behind it."""
        return self._end - time.monotonic()

    def watch(self, connected: Any) -> None:
        """Cut this socket when the time is over."""
        self._socket = connected
        self._timer = threading.Timer(max(self.left, 0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        try:
            # Not by the method of an SSLSocket: it first forgets that there is TLS, and another thread that is sending
            # could write its next piece, the token, in clear before the shutdown.
            # A host's own kind of TLS is no socket of Python's, and is shut down its own way.
            plain = isinstance(self._socket, socket.socket)
            shutdown = partial(socket.socket.shutdown, self._socket) if plain else self._socket.shutdown
            shutdown(socket.SHUT_RDWR)
        except OSError:
            # Either side has closed it already, so no read is left waiting.
            return


_current: ContextVar[Deadline | None] = ContextVar("twofa_http_deadline", default=None)


@contextmanager
def within(seconds: float, *, resolve: Resolver = addresses_of) -> Iterator[Deadline]:
    """Bound the exchanges of :class:`PoolManager` made in the block; they go to what ``resolve`` returned, once."""
    deadline = Deadline(seconds, resolve)
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


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        deadline = _current.get()
        if deadline is None:
            return super()._new_conn()
        try:
            connected = _connect(self, deadline)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "connecting timed out") from error
        except (OSError, UnicodeError) as error:
            # Refused, or a name that nobody knows or that cannot be one.
            raise NewConnectionError(self, "no connection") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return connected

    def request(self, *args: Any, **options: Any) -> None:
        """Write, and read from then on, within the time: nothing is written where none is left."""
        deadline = _current.get()
        if deadline is not None:
            if self.sock is None:
                self.connect()
            if deadline.left <= 0:
                raise ConnectTimeoutError(self, "connecting took all the time")
            deadline.watch(self.sock)
        super().request(*args, **options)


class _SecureConnection(_Connection, HTTPSConnection):
    """By its bases' order, TLS is spoken over the sockets of :class:`_Connection`, and checked as urllib3 does."""


def _connect(connection: HTTPConnection, deadline: Deadline) -> socket.socket:
    """Return a socket to the first of the host's addresses that answers in time. Raises: OSError, UnicodeError."""
    # With the final dot of a complete name, which spares the resolver its search list. What is told to the server (SNI)
    # and looked for in its certificate is the connection's ``host`` as ever.
    host = connection._dns_host.strip("[]")
    failure = OSError("no address")
    for *kind, _name, address in deadline.resolve(host, connection.port):
        try:
            return _open(connection, deadline, kind, address)
        except OSError as error:
            failure = error
    raise failure


def _open(connection: HTTPConnection, deadline: Deadline, kind: Sequence[int], address: Any) -> socket.socket:
    patience = _patience(connection, deadline)
    opened = socket.socket(*kind)
    try:
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        opened.settimeout(patience)
        opened.connect(address)
        # Anew, for the TLS handshake: it has what is left.
        opened.settimeout(_patience(connection, deadline))
    except BaseException:
        opened.close()
        raise
    return opened


def _patience(connection: HTTPConnection, deadline: Deadline) -> float:
    left = deadline.left
    if left <= 0:
        raise TimeoutError
    return left if connection.timeout is None else min(connection.timeout, left)


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
