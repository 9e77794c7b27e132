from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from twofa import pictures
from twofa.exceptions import Invalid
from twofa.pictures import process

# Stands between us and the decoder, and writes down what the decoder used at most: whatever way it ended, and apart
# from all other children of the suite. The kernel counts what the parent used when a process is started, and this
# parent is small.
_METER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(child.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{used.ru_maxrss} {used.ru_utime + used.ru_stime}")
os.kill(os.getpid(), os.WTERMSIG(status)) if os.WIFSIGNALED(status) else os._exit(os.WEXITSTATUS(status))
"""


@dataclass(frozen=True)
class Measured:
    """What became of a file, and at which cost: peak in bytes, seconds of the processor, seconds by the clock."""

    pages: tuple[pictures.Page, ...]
    digest: bytes | None
    code: str | None
    peak: int
    processor: float
    seconds: float


@pytest.fixture
def sanitise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bytes], Measured]:
    """`pictures.sanitise`, measured; it leaves no process behind."""
    figures = tmp_path / "figures"
    plain = process._command

    def metered(*args: object) -> list[str | bytes]:
        meter = [sys.executable, "-I", "-S", "-c", _METER, str(figures)]
        return [*meter, *plain(*args), str(tmp_path)]

    def run(data: bytes) -> Measured:
        monkeypatch.setattr(process, "_command", metered)
        figures.write_text("0 0")
        began = time.monotonic()
        code, made = None, None
        try:
            made = pictures.sanitise(data)
        except Invalid as refusal:
            (error,) = refusal.params["errors"]
            assert error["field"] == "file"
            code = error["code"]
        seconds = time.monotonic() - began
        assert processes_with(str(tmp_path)) == []
        peak, processor = figures.read_text().split()
        return Measured(
            pages=made.pages if made else (),
            digest=made.content_digest if made else None,
            code=code,
            peak=int(peak) * 1024,
            processor=float(processor),
            seconds=seconds,
        )

    return run


def processes_with(word: str) -> list[int]:
    """The ids of processes with ``word`` in their command line; one that was just killed is given a moment to end."""
    deadline = time.monotonic() + 3
    while (found := _processes_with(word)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _processes_with(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
