"""ClamAV, by the INSTREAM command of its daemon (clamd(8)), over TCP or a Unix socket.

Only ``stream: OK`` as the whole answer is clean. A client that looks for "OK" somewhere, takes what came before the
connection broke for an answer, or waits without an end for the rest of one, can be made to pass a file that nobody has
looked at, or to hold its worker: by a full queue of the daemon, by a broken balancer, or by somebody on the way.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from typing import BinaryIO

from twofa.exceptions import ScannerUnavailable
from twofa.scanners.base import Verdict
from twofa.scanners.registry import RETRY_AFTER

logger = logging.getLogger(__name__)

CLEAN = b"stream: OK"
TOO_LONG = b"INSTREAM size limit exceeded. ERROR"
MAX_REPLY = 1024
"""Bytes of the longest answer: a name of a virus has less than a hundred."""
_CHUNK = 64 * 1024
_FOUND = re.compile(rb"stream: (?P<name>[ -~]+) FOUND")


class ClamAVScanner:
    """Ask the ClamAV daemon at ``host`` and ``port``, or at the Unix ``socket``.

    ``timeout`` is for the whole exchange, in seconds. The daemon's ``StreamMaxLength`` must be above 10 MiB, the
    longest upload.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 3310, socket: str | None = None, timeout: float = 10.0
    ) -> None:
        if timeout <= 0:
            raise ValueError("timeout is a number of seconds above zero")
        if not 0 < port < 2**16:
            raise ValueError("port is a number from 1 to 65535")
        self._host, self._port, self._path, self._timeout = host, port, socket, timeout

    def scan(self, file: BinaryIO) -> Verdict:
        """Return the daemon's verdict. Raises: ScannerUnavailable for every other answer, and for none."""
        exchange = _Exchange(time.monotonic() + self._timeout)
        try:
            reply = exchange.run(file, self._path or (self._host, self._port))
        except (OSError, UnicodeError) as error:
            raise _unavailable(f"{type(error).__name__}: {error}") from error
        if reply == CLEAN:
            return Verdict.clean()
        if found := _FOUND.fullmatch(reply):
            return Verdict.infected(found["name"].decode("ascii"))
        raise _unavailable("StreamMaxLength is below the file's length" if reply == TOO_LONG else repr(reply[:100]))


class _Exchange:
    """One question and its answer, within one span of time: a socket's own timeout begins anew with every byte."""

    def __init__(self, end: float) -> None:
        self._end = end

    def run(self, file: BinaryIO, address: str | tuple[str, int]) -> bytes:
        """Return the daemon's answer. Raises: OSError, UnicodeError for a name that cannot be one."""
        with self._connect(address) as connection:
            try:
                self._send(connection, file)
            except (BrokenPipeError, ConnectionResetError):
                # The daemon hangs up on a file that is too long for it, and says so before.
                if self._receive(connection) == TOO_LONG:
                    return TOO_LONG
                raise
            return self._receive(connection)

    def _connect(self, address: str | tuple[str, int]) -> socket.socket:
        if isinstance(address, str):
            return self._open(socket.AF_UNIX, address)
        failure = OSError("no address")
        for family, *_kind, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                return self._open(family, found)
            except OSError as error:
                failure = error
        raise failure

    def _open(self, family: int, address: object) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(self._left())
            opened.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it, or a path
        except BaseException:
            opened.close()
            raise
        return opened

    def _send(self, connection: socket.socket, file: BinaryIO) -> None:
        self._write(connection, b"zINSTREAM\0")
        while chunk := file.read(_CHUNK):
            self._write(connection, len(chunk).to_bytes(4, "big") + chunk)
        self._write(connection, bytes(4))

    def _write(self, connection: socket.socket, data: bytes) -> None:
        connection.settimeout(self._left())
        connection.sendall(data)

    def _receive(self, connection: socket.socket) -> bytes:
        reply = b""
        while b"\0" not in reply:
            connection.settimeout(self._left())
            received = connection.recv(MAX_REPLY)
            reply += received
            if not received or len(reply) > MAX_REPLY:
                raise OSError("the answer was cut off, or has no end")
        return reply.removesuffix(b"\0")

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        return left


def _unavailable(why: str) -> ScannerUnavailable:
    logger.error("ClamAV gave no verdict: %s", why)
    return ScannerUnavailable(RETRY_AFTER)
