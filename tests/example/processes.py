"""The processes of the Procfile, run for real: other programs, production settings, a database of their own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings as django_settings

from tests.example.serving import ROOT, environment
from tests.servers.process import Child, free_port, spawn, wait_until

HOST = "points.example.com"
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


@dataclass
class Stack:
    """What is running, in ``directory``; ``settings`` are its environment variables."""

    directory: Path
    settings: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a process of the Procfile that ends."""
        return self.execute("sh", "-c", PROCFILE[name])

    def manage(self, *words: str) -> str:
        """Run a command of ``manage.py``; return what it printed."""
        return self.execute(sys.executable, "manage.py", *words).stdout

    def execute(self, *argv: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, cwd=ROOT, env=self.settings, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, name: str) -> Child:
        """Start a process of the Procfile that does not end."""
        # exec: the shell gives its place, and its signals, to the program.
        child = spawn(
            ["/bin/sh", "-c", f"exec {PROCFILE[name]}"], log=self.directory / f"{name}.log", env=self.settings, cwd=ROOT
        )
        self.children[name] = child
        return child

    def stop(self) -> None:
        for child in self.children.values():
            child.stop()

    @property
    def port(self) -> int:
        return int(self.settings["PORT"])

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str = "", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask as the proxy in front would, over HTTPS as it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": HOST, "X-Forwarded-Proto": "https", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"Bearer {key}"} if key else {}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if response.headers.get_content_subtype().endswith("json") else {}

    def records(self, name: str) -> list[dict[str, Any]]:
        """The log of a process, each line of which must be one JSON object."""
        return [json.loads(line) for line in self.children[name].output.splitlines()]

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def stack(directory: Path, **more: str) -> Iterator[Stack]:
    """Make a database on the suite's server, release into it, and start web, worker and beat."""
    server = os.environ["TWOFA_TEST_DATABASE_URL"].rpartition("/")[0]
    name = f"operated_{secrets.token_hex(6)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    given = {
        **environment(directory),
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TWOFA_TOKEN_KEY": base64.b64encode(secrets.token_bytes(48)).decode(),
        "ALLOWED_HOSTS": HOST,
        "BEHIND_PROXY": "1",
        "DATABASE_URL": f"{server}/{name}",
        "CELERY_BROKER_URL": django_settings.CELERY_BROKER_URL,
        "STATIC_ROOT": str(directory / "static"),
        "TMPDIR": str(directory),
        "PYTHONWARNINGS": "ignore",  # Celery's, where the suite runs as root
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        "WORKER_CONCURRENCY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **more,
    }
    running = Stack(directory, given)
    try:
        running.run("release")
        for process in ("web", "worker", "beat"):
            running.start(process)
        wait_until(lambda: _lives(running), seconds=90, what="web server")
        yield running
    finally:
        running.stop()
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _lives(running: Stack) -> bool:
    for name, child in running.children.items():
        assert child.alive, f"{name}:\n{child.output}"
    probe = [sys.executable, "-m", "example_project.probe"]
    return subprocess.run(probe, cwd=ROOT, env=running.settings, timeout=30, check=False).returncode == 0
