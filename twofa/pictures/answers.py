"""The answer of the decoder, which is believed in nothing: a file may have taken it over. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_PAGES = 5
MAX_SIDE = 4000
MAX_PAGE_BYTES = 16 * 1024 * 1024
MAX_BYTES = 40 * 1024 * 1024
"""Five pages of a PDF made of noise, the worst that the decoder writes, are 30 MiB."""

_DIGEST = 32
_PAGE = struct.Struct("!HHI")
_LONGEST_CODE = 32


@dataclass(frozen=True)
class Page:
    """One inert JPEG; width and height are in pixels."""

    data: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True)
class Sanitised:
    """What is left of an upload: its pages, and what tells that two uploads show the same.

    ``content_digest`` is SHA-256 over the upright pixels and sizes of all pages: another name, other metadata or
    another lossless format do not change it. ``source`` is what the file really was: "jpeg", "png", "webp" or "pdf".
    """

    pages: tuple[Page, ...]
    content_digest: bytes = field(repr=False)
    source: str


class UnreadableAnswerError(Exception):
    """The decoder did not keep to the form of its answers."""


def read(answer: bytes, source: str) -> Sanitised | str:
    """Return the pages, or the code of a refusal, from the form that ``worker.py`` describes.

    Raises: UnreadableAnswerError.
    """
    if answer[:1] == b"R" and len(answer) <= _LONGEST_CODE:
        return answer[1:].decode("ascii", "replace")
    if answer[:1] != b"K" or len(answer) > MAX_BYTES:
        raise UnreadableAnswerError(f"{len(answer)} bytes of something else")
    pages = tuple(_pages(answer, 1 + _DIGEST))
    if not pages:
        raise UnreadableAnswerError("no page")
    return Sanitised(pages=pages, content_digest=answer[1 : 1 + _DIGEST], source=source)


def _pages(answer: bytes, at: int) -> Iterator[Page]:
    for _ in range(MAX_PAGES + 1):
        if at == len(answer):
            return
        try:
            width, height, length = _PAGE.unpack_from(answer, at)
        except struct.error:
            break
        at += _PAGE.size
        page = Page(data=answer[at : at + length], width=width, height=height)
        if len(page.data) != length or not _is_plain(page):
            break
        at += length
        yield page
    raise UnreadableAnswerError("bad pages")


def _is_plain(page: Page) -> bool:
    """Tell whether these are the bytes of a JPEG from its start to its end, of a size that was asked for.

    Begin and end are no proof of the rest: who decodes it again does so in a browser's sandbox.
    """
    return (
        0 < page.width <= MAX_SIDE
        and 0 < page.height <= MAX_SIDE
        and len(page.data) <= MAX_PAGE_BYTES
        and page.data.startswith(b"\xff\xd8\xff")
        and page.data.endswith(b"\xff\xd9")
    )
