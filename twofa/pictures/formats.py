"""What a file is, by its first bytes. Names and headers say what the sender wants to be believed. Pure."""

from __future__ import annotations

# Some programs write a mark of the byte order or an empty line in front of a PDF.
_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n"
_LOOKED_AT = 1024


def kind_of(data: bytes) -> str | None:
    """Return "jpeg", "png", "webp" or "pdf"; None for anything else.

    It chooses the one decoder that is asked, and proves nothing more: a file that is something else besides (an
    archive, HTML after the picture) is made inert by being drawn anew.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data[:_LOOKED_AT].lstrip(_BEFORE_PDF).startswith(b"%PDF-"):
        return "pdf"
    return None
