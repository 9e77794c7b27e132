"""Commands of the example, run as a newcomer runs them: processes of their own, with data of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_READY_SECONDS = 90


def environment(var: Path) -> dict[str, str]:
    """A developer's environment, without what the suite itself has set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "TWOFA_", "COV_", "PYTEST_")) and name not in {"DATABASE_URL", "NO_COLOR"}
    }
    return {**kept, "VAR_DIR": str(var), "PYTHONUNBUFFERED": "1"}


def manage(*words: str, var: Path, seconds: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ``manage.py`` to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words],
        env={**environment(var), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@dataclass(frozen=True)
class Served:
    """A running ``manage.py demo --serve``: what it printed, and what is read from that."""

    process: subprocess.Popen[bytes]
    var: Path
    printed: Path

    @property
    def output(self) -> str:
        return self.printed.read_text()

    def find(self, pattern: str) -> str:
        """Return the first group of what was printed."""
        found = re.search(pattern, self.output)
        assert found, f"{pattern!r} not in:\n{self.output}"
        return found[1]

    @property
    def base(self) -> str:
        return self.find(r"Shop\s+(http://127\.0\.0\.1:\d+)/")

    @property
    def key(self) -> str:
        return self.find(r"(twofa_[0-9a-f]+_\S+)")

    def stop(self) -> int:
        """Press Ctrl-C; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)


def serve(var: Path, *words: str) -> Served:
    """Start it, on a free port unless told otherwise, and wait until it has greeted."""
    var.mkdir(parents=True, exist_ok=True)
    printed = var / f"printed-{time.monotonic_ns()}.txt"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "demo", "--serve", *(words or ("--port", "0"))],
            env=environment(var),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    served = Served(process, var, printed)
    deadline = time.monotonic() + _READY_SECONDS
    while "Ctrl-C" not in served.output:
        assert process.poll() is None, served.output
        assert time.monotonic() < deadline, served.output
        time.sleep(0.05)
    return served
