"""Files of strangers made inert: whatever was sent, what comes back are plain JPEGs of what a person would see."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid, Unavailable
from twofa.pictures import answers, formats, process
from twofa.pictures.answers import Page, Sanitised

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

__all__ = [
    "MAX_BYTES",
    "MAX_PAGES",
    "MAX_SIDE",
    "Page",
    "Sanitised",
    "ensure_taken",
    "missing_libraries",
    "place",
    "sanitise",
]

logger = logging.getLogger(__name__)

MAX_BYTES = 10 * 1024 * 1024
MAX_PAGES = answers.MAX_PAGES
MAX_SIDE = answers.MAX_SIDE
"""Pixels of the longest side of a page; larger pictures are made smaller."""
RETRY_AFTER = 10

REFUSALS: dict[str, StrPromise] = {
    "empty_file": _("The file is empty. Choose it again, or take a new picture."),
    "file_too_large": _("The file is larger than 10 MB. Send a smaller one, or take it at a lower resolution."),
    "unsupported_file": _("Send a picture as JPEG, PNG or WebP, or a PDF. Other kinds of files are not accepted."),
    "damaged_file": _("The file is damaged or incomplete. Take the picture again, or export the document anew."),
    "too_many_pixels": _("The picture has too many pixels. Take it at a lower resolution."),
    "too_many_pages": _("The PDF has more than 5 pages. Send only the pages that show the document."),
    "protected_pdf": _("The PDF is protected by a password. Send a copy without one, or a picture of the document."),
    "picture_too_small": _("The picture is too small to be read. Send one with at least 100 pixels on each side."),
    "file_took_too_long": _("The file takes too long to be read. Send a picture of the document instead."),
}


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the few places for files in this process, over :func:`sanitise` and what is done with its pages.

    Else each thread of a server would hold the pages of one file while a slow storage takes them. Raises: Unavailable.
    """
    with ExitStack() as held:
        try:
            held.enter_context(process.place())
        except process.DecoderUnavailableError as error:
            logger.warning("A file could not be decoded now: %s", error)
            raise Unavailable(RETRY_AFTER) from None
        yield


def ensure_taken(data: bytes) -> None:
    """Refuse what a glance is enough for: empty, too large, or of no kind that is taken. Raises: Invalid."""
    _kind(data)


def sanitise(data: bytes) -> Sanitised:
    """Return the file as 1 to 5 inert JPEGs, upright, without metadata and without anything that was not pixels.

    What it is, is decided by its content. It is decoded in a process that is limited to 300 MB and 15 seconds.
    The first frame of an animation is taken, colour profiles are dropped and not applied.

    Raises: Invalid, for ``file``, with a code of ``REFUSALS``; Unavailable where the decoder cannot run or is busy.
    """
    kind = _kind(data)
    if missing := missing_libraries():
        logger.error("No file can be accepted: %s missing. Install django-twofa[documents].", " and ".join(missing))
        raise Unavailable(RETRY_AFTER)
    try:
        ended = process.decode(kind, data, most=answers.MAX_BYTES, max_pages=MAX_PAGES, max_side=MAX_SIDE)
    except process.DecoderUnavailableError as error:
        logger.warning("A file could not be decoded now: %s", error)
        raise Unavailable(RETRY_AFTER) from None
    if ended.too_late:
        raise _refused("file_took_too_long")
    return _read(ended, kind)


def missing_libraries() -> tuple[str, ...]:
    """Return the names of the libraries that are not installed and without which no file can be accepted."""
    return process.missing_libraries()


def _kind(data: bytes) -> str:
    if not data:
        raise _refused("empty_file")
    if len(data) > MAX_BYTES:
        raise _refused("file_too_large")
    kind = formats.kind_of(data)
    if kind is None:
        raise _refused("unsupported_file")
    return kind


def _read(ended: process.Ended, kind: str) -> Sanitised:
    try:
        answer = answers.read(ended.answer, kind)
    except answers.UnreadableAnswerError as error:
        # A parser crashed, or it obeys the file by now: either way nothing of it is used.
        logger.warning("The decoder of a %s file gave no answer (%s, exit status %s).", kind, error, ended.status)
        raise _refused("damaged_file") from None
    if isinstance(answer, Sanitised):
        return answer
    raise _refused(answer if answer in REFUSALS else "damaged_file")


def _refused(code: str) -> Invalid:
    return Invalid.field("file", code, REFUSALS[code])
