"""gunicorn with two sync workers, and what their processor time is."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.servers.broker import listens
from tests.servers.process import Child, free_port, spawn, wait_until

WORKERS = 2
_BOOT_SECONDS = 30


@dataclass(frozen=True)
class WebServer:
    """A running gunicorn."""

    child: Child
    port: int

    def cpu_seconds(self) -> float:
        """Return user and system time of the workers since they started. Linux only: it reads ``/proc``."""
        return sum(map(cpu_seconds, self._workers()))

    def _workers(self) -> list[int]:
        master = self.child.process.pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def start(log: Path) -> WebServer:
    """Start gunicorn on the settings and servers that the environment names, and wait until it listens."""
    port = free_port()
    options = ["--workers", str(WORKERS), "--worker-class", "sync", "--bind", f"127.0.0.1:{port}"]
    # No file of this directory configures it: that of the example has threads, whose time is not the process's here.
    options += ["--config", os.devnull, "--log-level", "warning", "--no-control-socket"]
    child = spawn([sys.executable, "-m", "gunicorn", "tests.bench.wsgi:application", *options], log=log)
    wait_until(lambda: not child.alive or listens(port), seconds=_BOOT_SECONDS, what="gunicorn")
    server = WebServer(child, port)
    wait_until(partial(_complete, server), seconds=_BOOT_SECONDS, what="gunicorn's workers")
    if not child.alive:
        raise RuntimeError(f"gunicorn did not start:\n{child.output}")
    return server


def _complete(server: WebServer) -> bool:
    return not server.child.alive or len(server._workers()) == WORKERS


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    # Nanoseconds on a processor, as the scheduler counts them. The ticks of ``stat`` are samples: too coarse for
    # requests that take less than one.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
