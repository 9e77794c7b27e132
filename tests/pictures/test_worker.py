"""The worker's code in this process, where its branches are counted; as a process it is tested by the other files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import corpus
from tests.pictures.test_hostile_files import INERT, REFUSED
from twofa import pictures
from twofa.pictures import answers, formats, process, worker

# Without those that would take the memory, or the time, of this process.
CALM = [name for name in INERT if "bomb" not in name and "gigabyte" not in name]
REFUSED_CALMLY = [
    *("PNG of 40,000 x 40,000", "PNG with less than it claims", "PNG cut off", "JPEG cut off", "JPEG without its end"),
    *("WebP cut off", "JPEG of thousands of scans", "picture of a few pixels", "PDF of 6 pages", "PDF without pages"),
    *("PDF with a password", "PDF in name only", "PDF of a page like a thread"),
]


def answer(data):
    kind = formats.kind_of(data)
    return answers.read(worker.answer(kind, data, max_pages=5, max_side=4000), kind)


def test_worker_imports_nothing_of_ours_and_nothing_of_django():
    tree = ast.parse(process.WORKER.read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names} == {"PIL"}


@pytest.mark.parametrize("name", CALM)
def test_process_and_function_answer_the_same(name):
    data = INERT[name][0]()

    assert answer(data) == pictures.sanitise(data)


@pytest.mark.parametrize("name", REFUSED_CALMLY)
def test_function_refuses_by_the_same_codes(name):
    build, code = REFUSED[name]

    assert answer(build()) == code


@pytest.mark.parametrize("side", [0, -1, float("nan"), float("inf"), 20_001])
def test_page_of_a_size_that_is_none_is_refused(side):
    with pytest.raises(worker.RefusedFile, match="damaged_file"):
        worker._scale(300, side)


def test_frames_and_bounds_agree_with_those_who_read_them():
    assert worker.PDF_SIDE <= answers.MAX_SIDE
    assert worker.MEMORY < 300_000_000 - 20 * worker.MIB
    assert worker.PIXELS.keys() | {"pdf"} == {"jpeg", "png", "webp", "pdf"}


def test_jpeg_is_decoded_smaller_where_its_coefficients_take_the_memory(monkeypatch):
    monkeypatch.setattr(worker, "JPEG_BUDGET", 400_000)

    made = answer(corpus.jpeg(progressive=True))

    assert (made.pages[0].width, made.pages[0].height) == (320, 200)
    monkeypatch.setattr(worker, "JPEG_BUDGET", 150_000)
    assert answer(corpus.jpeg(progressive=True)) == "too_many_pixels"


def test_memory_that_is_not_there_means_too_many_pixels(monkeypatch):
    def exhausted(*args):
        raise MemoryError

    monkeypatch.setattr(worker, "_picture", exhausted)

    assert answer(corpus.jpeg()) == "too_many_pixels"


_CONFINED = """
import json, os, runpy, socket, sys
worker = runpy.run_path(sys.argv[1], run_name="tried")
worker["confine"]()

def tried(call):
    try:
        call()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"

print(json.dumps({
    "file": tried(lambda: open("/etc/hostname")),
    "socket": tried(socket.socket),
    "pipe": tried(os.pipe),
    "copy": tried(lambda: os.dup(0)),
    "memory": tried(lambda: bytearray(300_000_000)),
    "some memory": tried(lambda: bytearray(100_000_000)),
}))
"""


def test_confined_process_opens_nothing_and_has_little_memory():
    folders = [str(Path(folder)) for folder in process._folders()]
    program = f"import sys; sys.path += {folders!r}\n{_CONFINED}"
    command = [sys.executable, "-I", "-S", "-c", program, str(process.WORKER)]

    done = subprocess.run(command, check=True, capture_output=True, env={})

    assert json.loads(done.stdout) == {
        "file": "OSError",
        "socket": "OSError",
        "pipe": "OSError",
        "copy": "OSError",
        "memory": "MemoryError",
        "some memory": "done",
    }


SEEDS = [corpus.encoded(corpus.picture(), kind, exif=corpus.exif()) for kind in ("PNG", "JPEG", "WEBP")]


@given(seed=st.sampled_from(SEEDS), places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1))
@settings(max_examples=300)
def test_picture_with_changed_bytes_is_always_answered(seed, places):
    """Thousands of broken files would take minutes as processes; here the parsers meet them one by one."""
    data = bytearray(seed)
    for place, value in places:
        data[12 + int(place * (len(data) - 13))] = value
    made = answer(bytes(data))

    assert made in pictures.REFUSALS or len(made.pages) == 1
