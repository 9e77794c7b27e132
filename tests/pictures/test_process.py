from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import partial

import pytest

from tests.pictures import corpus
from tests.pictures.conftest import processes_with
from twofa import pictures
from twofa.exceptions import Unavailable
from twofa.pictures import process

ASKED = {"most": 1000, "max_pages": 5, "max_side": 4000}


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """Put a program of the test in the place of the decoder."""

    def place(source: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(source)
        monkeypatch.setattr(process, "WORKER", path)

    yield place
    assert processes_with(str(tmp_path)) == []


def test_decoder_knows_nothing_of_the_host(monkeypatch, worker):
    """No environment, none of the host's folders, no `site`, and none of its files open."""
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    worker(
        "import os, sys; print(sorted(os.environ), 'site' in sys.modules, sys.path, len(os.listdir('/proc/self/fd')))"
    )

    ended = process.decode("png", b"", **ASKED)

    variables, rest = ended.answer.decode().split("] ", 1)
    assert variables.removeprefix("[").replace("'", "").split(", ") in ([""], ["LC_CTYPE"])
    assert rest.startswith("False ")
    assert not any(str(folder) in rest for folder in (os.getcwd(), process.WORKER.parent))
    assert rest.endswith(" 4\n"), "the three streams, and the folder that is listed"


def test_decoder_that_is_late_is_killed_with_what_it_started(monkeypatch, worker):
    monkeypatch.setattr(process, "TIMEOUT", 1.0)
    worker("import os, time; os.fork(); time.sleep(60)")
    began = time.monotonic()

    ended = process.decode("png", bytes(1_000_000), **ASKED)

    assert ended.too_late
    assert time.monotonic() - began < 5


def test_child_that_a_decoder_left_behind_is_killed(worker):
    worker(
        "import os, sys, time\n"
        "if os.fork() == 0:\n    os.close(1)\n    time.sleep(60)\n"
        "sys.stdout.buffer.write(b'done'); sys.stdout.flush(); os._exit(0)"
    )

    ended = process.decode("png", b"", **ASKED)

    assert (ended.answer, ended.status, ended.too_late) == (b"done", 0, False)


def test_answer_without_end_is_read_up_to_its_bound(worker):
    worker("import sys\nwhile True: sys.stdout.buffer.write(bytes(65536))")

    ended = process.decode("png", b"", **ASKED)

    assert len(ended.answer) == ASKED["most"] + 1


def test_decoder_that_reads_nothing_does_not_hold_the_caller(worker):
    worker("print('R', flush=True)")

    assert process.decode("png", bytes(5_000_000), **ASKED).answer == b"R\n"


def test_decoder_that_crashes_has_no_answer(worker):
    worker("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    assert process.decode("png", b"", **ASKED) == process.Ended(b"", -signal.SIGSEGV, too_late=False)


def test_decoder_out_of_processor_time_is_late(worker):
    worker("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)")

    assert process.decode("png", b"", **ASKED).too_late


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed from outside"),
        ("import nothing_of_that_name", "cannot be had"),
    ],
)
def test_what_is_not_the_fault_of_the_file_is_unavailable(worker, caplog, source, reason):
    worker(source)

    with pytest.raises(Unavailable) as refusal:
        pictures.sanitise(corpus.jpeg())

    assert refusal.value.retry_after == pictures.RETRY_AFTER
    assert reason in caplog.text


def test_interpreter_is_the_one_that_the_host_names(monkeypatch, caplog):
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/nowhere/python")

    with pytest.raises(Unavailable):
        pictures.sanitise(corpus.jpeg())

    assert "was not started (FileNotFoundError)" in caplog.text


def test_without_an_interpreter_it_is_unavailable(monkeypatch, caplog):
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", None)

    with pytest.raises(Unavailable):
        pictures.sanitise(corpus.jpeg())

    assert "multiprocessing.set_executable" in caplog.text


def test_file_that_finds_all_places_taken_is_unavailable_and_starts_nothing(monkeypatch, caplog):
    taken = threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(process, "_slots", taken)
    monkeypatch.setattr(process, "SLOT_WAIT", 0.05)
    monkeypatch.setattr(process.subprocess, "Popen", lambda *args, **options: pytest.fail("a process was started"))

    with pytest.raises(Unavailable):
        pictures.sanitise(corpus.jpeg())

    assert "places are taken" in caplog.text


def test_many_files_at_once_are_decoded_by_as_many_processes_as_there_are_places(monkeypatch, threads):
    running, most = 0, 0
    lock, plain = threading.Lock(), process._ended

    def counted(*args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return plain(*args)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(process, "_ended", counted)
    monkeypatch.setattr(process, "SLOT_WAIT", 60)

    made = threads([partial(pictures.sanitise, corpus.jpeg())] * 6)

    assert most == process.SLOTS
    assert len({result.content_digest for result in made}) == 1


def test_place_is_given_back_whatever_happens(monkeypatch, worker):
    monkeypatch.setattr(process, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(process, "SLOT_WAIT", 0.05)
    worker("import nothing_of_that_name")
    for _ in range(3):
        with pytest.raises(process.DecoderUnavailableError, match="cannot be had"):
            process.decode("png", b"", **ASKED)
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(sys.executable) + b"-that-is-not-there")
    for _ in range(3):
        with pytest.raises(process.DecoderUnavailableError, match="was not started"):
            process.decode("png", b"", **ASKED)
