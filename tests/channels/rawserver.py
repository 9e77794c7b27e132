"""A TCP server that says exactly what a test wants, when it wants it: what no HTTP library would send."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator

Script = Iterable[bytes | float]


class RawServer:
    """Plays its script to each client that connects, after its first request: bytes are sent, numbers are slept."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._script = list(script)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._play, args=(client,), daemon=True).start()

    def _secured(self, client: socket.socket) -> socket.socket:
        return client if self._tls is None else self._tls.wrap_socket(client, server_side=True)

    def _play(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(client) as client:
            _read_request(client)
            for step in self._script:
                if self._stopped.is_set():
                    return
                if isinstance(step, bytes):
                    client.sendall(step)
                else:
                    time.sleep(step)


def _read_request(client: socket.socket) -> None:
    # All of it: closing a socket with unread bytes resets the connection, and takes the answer along.
    with client.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _colon, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        stream.read(length)


@contextlib.contextmanager
def playing(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(script, tls)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def unanswered() -> Iterator[int]:
    """A port whose connections are never made, as those of a machine that is gone: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _place in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def dripping(text: bytes, *, every: float) -> list[bytes | float]:
    """A script of single bytes."""
    script: list[bytes | float] = []
    for byte in text:
        script += [bytes([byte]), every]
    return script
