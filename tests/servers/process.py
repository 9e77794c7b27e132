"""Child processes that end with the run, even when the run is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TIED = Path(__file__).with_name("tied.py")


Argv = Sequence[str | Path]


@dataclass(frozen=True)
class Account:
    """The user a child runs as: PostgreSQL refuses root."""

    uid: int
    gid: int


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask until the answer is yes.

    Raises: `TimeoutError`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not ready after {seconds:g} s")
        time.sleep(0.02)


@dataclass
class Child:
    """One started process, with its output in a file."""

    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """End it, and what it started, as a crash of the machine would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, *, seconds: float = 10) -> None:
        """Ask it to end, and kill it when it does not."""
        if not self.alive:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()


def spawn(
    argv: Argv,
    *,
    log: Path,
    account: Account | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start a process whose output goes to `log`: a pipe that nobody reads fills up and stops the server."""
    identity = [str(account.uid), str(account.gid)] if account else ["-", "-"]
    tied = [sys.executable, "-I", "-S", str(_TIED), str(int(stop_signal)), *identity]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in [*tied, *argv]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    return Child(process, log, stop_signal)


@dataclass
class Scratch:
    """A directory of our own that another account can enter."""

    path: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="twofa-", dir=_base())))

    def give_to(self, account: Account | None) -> None:
        if account:
            os.chown(self.path, account.uid, account.gid)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)


def reachable(path: Path) -> bool:
    """Whether every account can walk down to `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.resolve().parents])


def _base() -> str | None:
    return None if reachable(Path(tempfile.gettempdir())) else "/tmp"  # noqa: S108  # the one open to all accounts
