"""The demo's own processes: the web server and the sweeper, started, watched and ended."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from example_project.loyalty.demo.failure import DemoFailed

HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LAST_LINES = 25


def free_port(wanted: int = 0) -> int:
    """Return ``wanted`` where nobody listens on it, else a free port of this machine."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connections have yet to time out is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("This machine has no free port.")


@dataclass
class Process:
    """One started command of ``manage.py``; ``log`` is where its output goes."""

    name: str
    running: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()

    def ensure_alive(self) -> None:
        """Raises: DemoFailed, with the last lines of its log, where it has ended."""
        if self.running.poll() is not None:
            raise DemoFailed(f"The {self.name} ended with code {self.running.returncode}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:])


def start(name: str, *command: str, log: Path, more: Mapping[str, str] | None = None) -> Process:
    """Start a command of ``manage.py`` in this environment, with ``more`` variables."""
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), *command]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(more or {})}
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603 - this project's own commands
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    return Process(name, running, log)


def receiver(port: int) -> str:
    """Return where the shop of the server at ``port`` takes webhooks."""
    return f"http://{HOST}:{port}/webhooks/"


def start_server(port: int, *, log: Path, key: str, webhook_secret: str) -> Process:
    """Start the web server, whose shop calls its API with ``key``. It answers a moment later: see wait_until_ready."""
    shop = {**_address(port), "SHOP_API_KEY": key, "SHOP_WEBHOOK_SECRET": webhook_secret}
    return start("server", "runserver", "--noreload", "--nostatic", f"{HOST}:{port}", log=log, more=shop)


def start_sweeper(port: int, *, log: Path) -> Process:
    """Start the sweeper, which stands in for Celery's clock, beside the server at ``port``."""
    return start("sweeper", "twofa_sweep", "--every", "1", log=log, more=_address(port))


def _address(port: int) -> dict[str, str]:
    api = f"http://{HOST}:{port}/api/v1"
    # Whoever sends a message writes the link into it that leads to the server.
    return {"SHOP_API_URL": api, "TWOFA_PUBLIC_URL": api}


def wait_until_ready(server: Process, port: int, path: str) -> float:
    """Wait until ``path`` answers; return the seconds it took. Raises: DemoFailed."""
    began = time.monotonic()
    while time.monotonic() - began < _READY_SECONDS:
        server.ensure_alive()
        if _answers(port, path):
            return time.monotonic() - began
        time.sleep(0.1)
    raise DemoFailed(f"The server did not answer within {_READY_SECONDS:g} seconds.")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
