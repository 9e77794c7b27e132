"""A daemon that speaks clamd's INSTREAM, and whatever else a test wants to hear."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

Script = Sequence[bytes | float]
EICAR_MARK = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
OK = b"stream: OK\0"


class Clamd:
    """Takes one file from each client, then plays its script: bytes are sent, numbers are slept. Or it scans."""

    def __init__(self, path: Path | None, script: Script | None, limit: int | None, deaf: bool) -> None:
        self._script, self._limit, self._deaf = script, limit, deaf
        self.files: list[bytes] = []
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
        self.address = self._listener.getsockname()
        self._start(self._serve)

    def stop(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()

    def _start(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._answer, self._listener.accept()[0])

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if self._deaf:
                self._stopped.wait(20)
                return
            file = self._take(client)
            if file is None:
                client.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                return
            self.files.append(file)
            self._play(client, self._script if self._script is not None else [verdict_on(file)])

    def _play(self, client: socket.socket, script: Script) -> None:
        for step in script:
            if isinstance(step, bytes):
                client.sendall(step)
            elif self._stopped.wait(step):
                return

    def _take(self, client: socket.socket) -> bytes | None:
        with client.makefile("rb") as stream:
            if stream.read(10) != b"zINSTREAM\0":
                raise ConnectionError("not the command that is served here")
            file = b""
            while length := int.from_bytes(stream.read(4), "big"):
                if self._limit is not None and len(file) + length > self._limit:
                    return None
                file += stream.read(length)
            return file


def verdict_on(file: bytes) -> bytes:
    return b"stream: Eicar-Test-Signature FOUND\0" if EICAR_MARK in file else OK


@contextlib.contextmanager
def clamd(
    script: Script | None = None, *, path: Path | None = None, limit: int | None = None, deaf: bool = False
) -> Iterator[Clamd]:
    daemon = Clamd(path, script, limit, deaf)
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def taking_at_most(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds
