"""Words that were left in English on a page in another language."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PLACEHOLDER = re.compile(r"%\\\((\w+)\\\)[sdi]|%[sdi]|\\\{\w*\\\}")


def leftovers(texts: Iterable[str], language: str, *packages: str) -> list[str]:
    """Return the texts that are an original of a catalogue which has other words for it in ``language``."""
    originals = re.compile("|".join(pattern for package in packages for pattern in _originals(package, language)), re.I)
    return sorted({text for text in texts if originals.fullmatch(text)})


def _originals(package: str, language: str) -> Iterable[str]:
    catalogue = gettext.translation("django", str(_ROOT / package / "locale"), [language])
    entries: dict[object, str] = catalogue._catalog  # the one way to read all of it
    for key, translated in entries.items():
        original = (key[0] if isinstance(key, tuple) else str(key)).rpartition("\x04")[2]
        words = re.sub(r"\s+", " ", original).strip()
        # A placeholder alone fits everything.
        if words and original != translated and re.search(r"[a-z]{2}", _PLACEHOLDER.sub("", re.escape(words)), re.I):
            yield _PLACEHOLDER.sub(".+", re.escape(words))
