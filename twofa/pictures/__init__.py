"""Interim, until the worker is merged."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Page:
    data: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True)
class Sanitised:
    pages: tuple[Page, ...]
    content_digest: bytes
    source: str


MAX_BYTES = 10 * 1024 * 1024
MAX_PAGES = 5


def sanitise(data: bytes) -> Sanitised:
    from PIL import Image  # noqa: PLC0415

    image = Image.open(io.BytesIO(data)).convert("RGB")
    out = io.BytesIO()
    image.save(out, "JPEG")
    page = Page(out.getvalue(), *image.size)
    return Sanitised((page,), hashlib.sha256(image.tobytes()).digest(), "jpeg")
