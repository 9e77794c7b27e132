from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofa.pictures import answers

JPEG = b"\xff\xd8\xff\xe0 pixels \xff\xd9"
DIGEST = bytes(range(32))


def framed(*pages: bytes, digest: bytes = DIGEST) -> bytes:
    return b"K" + digest + b"".join(pages)


def page(data: bytes = JPEG, width: int = 300, height: int = 200, *, length: int | None = None) -> bytes:
    return struct.pack("!HHI", width, height, len(data) if length is None else length) + data


def read(answer):
    return answers.read(answer, "png")


def test_pages_and_digest_are_read():
    made = read(framed(page(), page(width=4000)))

    assert made.pages == (answers.Page(JPEG, 300, 200), answers.Page(JPEG, 4000, 200))
    assert (made.content_digest, made.source) == (DIGEST, "png")


def test_refusal_is_read_as_its_code():
    assert read(b"Rdamaged_file") == "damaged_file"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"X" + framed(page()),
        b"R" + b"x" * 32,
        framed(),
        framed(digest=b"short"),
        framed(*[page()] * 6),
        framed(page(width=0)),
        framed(page(height=4001)),
        framed(page(b"<html>" + JPEG)),
        framed(page(JPEG + b"<html>")),
        framed(page(length=len(JPEG) + 1)),
        framed(page(length=2**32 - 1)),
        framed(page()) + b"\0",
        framed(page()) + page()[:5],
        framed(page(JPEG[:-2] + bytes(answers.MAX_PAGE_BYTES) + JPEG[-2:])),
    ],
    ids=range(15),
)
def test_answer_that_breaks_the_form_is_not_read(answer):
    with pytest.raises(answers.UnreadableAnswerError):
        read(answer)


def test_answer_beyond_the_bound_is_not_read(monkeypatch):
    monkeypatch.setattr(answers, "MAX_BYTES", 40)

    with pytest.raises(answers.UnreadableAnswerError, match="bytes of something else"):
        read(framed(page()))


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: framed(page()) + tail))
def test_whatever_is_answered_is_read_or_refused(answer):
    try:
        made = read(answer)
    except answers.UnreadableAnswerError:
        return
    assert isinstance(made, str) or 1 <= len(made.pages) <= answers.MAX_PAGES
