"""The process that decodes: started with nothing, read within bounds, killed when it is late."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import spawn
from pathlib import Path
from typing import IO

WORKER = Path(__file__).with_name("worker.py")
LIBRARIES = {"PIL": "Pillow", "pypdfium2": "pypdfium2"}
TIMEOUT = 15.0
"""Seconds, by the clock. The worker allows itself 8 of the processor."""
SLOTS = 2
"""Decoders at once in each process of the host: 600 MB at most, however many files arrive together."""
SLOT_WAIT = 5.0

# Where Python's own libraries are, and nothing else: keys and passwords of the host stand in its environment.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")
_slots = threading.BoundedSemaphore(SLOTS)


class DecoderUnavailableError(Exception):
    """The decoder could not do its work, and not because of the file."""


@dataclass(frozen=True)
class Ended:
    """How a decoder ended: its answer, its exit status, and whether it used up its time."""

    answer: bytes = field(repr=False)
    status: int
    too_late: bool


def missing_libraries() -> tuple[str, ...]:
    """Return the libraries of the extra ``documents`` that are not installed; they are looked for, not imported."""
    return tuple(name for module, name in LIBRARIES.items() if importlib.util.find_spec(module) is None)


def decode(kind: str, data: bytes, *, most: int, max_pages: int, max_side: int) -> Ended:
    """Run the worker on a file and return how it ended; of its answer at most ``most`` bytes are read and one more.

    Raises: DecoderUnavailableError.
    """
    command = _command(kind, max_pages, max_side)
    with _slot():
        try:
            process = subprocess.Popen(  # noqa: S603 - words of our own, and the kind, which is one of four
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=WORKER.parent,
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                start_new_session=True,
            )
            return _ended(process, data, most)
        except (OSError, RuntimeError) as error:
            # The machine has no more processes, threads or memory.
            raise DecoderUnavailableError(f"its process was not started ({type(error).__name__})") from None


def _command(kind: str, max_pages: int, max_side: int) -> list[str | bytes]:
    # `multiprocessing` knows the interpreter also where the host's server embeds it, and a host can tell it another.
    interpreter: str | bytes | None = spawn.get_executable()
    if not interpreter:
        raise DecoderUnavailableError("no interpreter is known; name one with multiprocessing.set_executable")
    # No environment, no user's packages, no `site` (a host's tracing agent would start there), no bytecode written.
    return [interpreter, "-I", "-S", "-B", str(WORKER), kind, str(max_pages), str(max_side), *_folders()]


def _folders() -> list[str]:
    specs = (importlib.util.find_spec(module) for module in LIBRARIES)
    return sorted({str(Path(spec.origin).parents[1]) for spec in specs if spec and spec.origin})


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=SLOT_WAIT):
        raise DecoderUnavailableError("all of its places are taken")
    try:
        yield
    finally:
        _slots.release()


def _ended(process: subprocess.Popen[bytes], data: bytes, most: int) -> Ended:
    """Feed and read side by side, since a decoder that obeys its file may do neither in the order that was agreed.

    The threads are not waited for beyond the deadline: a process that got away could hold the pipes open for good.
    """
    deadline = time.monotonic() + TIMEOUT
    answer: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stdout, answer, most), daemon=True)
    feeder = threading.Thread(target=_feed, args=(process.stdin, data), daemon=True)
    try:
        feeder.start()
        reader.start()
        reader.join(TIMEOUT)
        late = not _ends_before(process, deadline)
    finally:
        _kill(process)
        for thread, pipe in ((reader, process.stdout), (feeder, process.stdin)):
            # Each closes its own pipe; one that could not be started has left it to us.
            if thread.ident is not None:
                thread.join(1)
            elif pipe is not None:
                pipe.close()
    return _judged(process.returncode, b"".join(answer), late=late)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    # A decoder may refuse, or crash, without having read everything.
    with suppress(OSError), pipe:
        pipe.write(data)


def _drain(pipe: IO[bytes], answer: list[bytes], most: int) -> None:
    with pipe:
        answer.append(pipe.read(most + 1))


def _ends_before(process: subprocess.Popen[bytes], deadline: float) -> bool:
    while not _is_over(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.002)
    return True


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    # Seen and not yet reaped: until then the number of its group is its own, and killing the group hits nobody else.
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the group, also where the decoder itself has ended in time."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _judged(status: int, answer: bytes, *, late: bool) -> Ended:
    by_signal = signal.Signals(-status).name if os.name == "posix" and status < 0 else ""
    if by_signal == "SIGKILL" and not late:
        # Not by us, and its own limits use other signals: the machine is out of memory, which is not the file's fault.
        raise DecoderUnavailableError("its process was killed from outside")
    if status > 0 and not answer:
        # Every exception of a parser becomes an answer: this one left before a byte of the file was looked at.
        raise DecoderUnavailableError(f"its libraries or its limits cannot be had (exit status {status})")
    return Ended(answer, status, late or by_signal == "SIGXCPU")
