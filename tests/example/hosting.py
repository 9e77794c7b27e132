"""A stranger's Django project, made from nothing but the blocks of a page."""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.example.blocks import Block
from tests.example.serving import environment


@dataclass
class Host:
    """The project in ``path``; ``more`` are its environment variables."""

    path: Path
    more: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(cls, path: Path, **more: str) -> Host:
        """Make the empty project `config` with the empty app `shop`, as the page says."""
        path.mkdir()
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        host = cls(path, {"TWOFA_TOKEN_KEY": key, **more})
        host.run(sys.executable, "-m", "django", "startproject", "config", ".")
        host.run(sys.executable, "manage.py", "startapp", "shop")
        return host

    def write(self, blocks: Iterable[Block]) -> None:
        """Write the blocks that are marked as files; what is there already is added to."""
        for block in blocks:
            if block.kind == "project":
                file = self.path / block.words[1]
                before = file.read_text() if file.exists() else ""
                file.write_text(f"{before}\n{block.code}")

    def manage(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of ``manage.py`` that must succeed."""
        return self.run(sys.executable, "manage.py", *words, stdin=stdin)

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed."""
        done = subprocess.run(
            words, cwd=self.path, env=self.environment, input=stdin or "", capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    def start_server(self, port: int, log: Path) -> subprocess.Popen[bytes]:
        """Start the development server."""
        return self.start_process(sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}", log=log)

    def start_process(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command that runs until it is stopped."""
        with log.open("wb") as output:
            return subprocess.Popen(
                words,
                cwd=self.path,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def environment(self) -> dict[str, str]:
        kept = environment(self.path)
        return {**kept, "DJANGO_SETTINGS_MODULE": "config.settings", **self.more}


def findings(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Return the ids of the findings that `check` told."""
    return set(re.findall(r"\(([a-z0-9_]+\.[EWS]\d+)\)", done.stdout + done.stderr))
