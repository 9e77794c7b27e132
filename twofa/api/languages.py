"""The language of an answer: chosen here, because no middleware may be asked of a host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from django.utils import translation

_SPOKEN = {"pt": "pt-br", "es": "es", "en": "en"}
_MOST = 500
"""Characters of the header that are looked at; real ones have a few dozen."""


@lru_cache(maxsize=128)
def choose(header: str) -> str | None:
    """Return the best of our languages for an ``Accept-Language``, or None where the host's own is to be used."""
    best, best_weight = None, 0.0
    for part in header.split(","):
        tag, _semicolon, parameter = part.partition(";")
        language = _SPOKEN.get(tag.strip().lower().partition("-")[0])
        weight = _weight(parameter)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _equals, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    digits = value.strip()
    return float(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else 0.0


@contextmanager
def activated(header: str) -> Iterator[str]:
    """Activate the caller's language inside the block, and the former one again after it; yields its tag (RFC 5646)."""
    before = translation.get_language()
    chosen = choose(header[:_MOST])
    if chosen is None:
        # Whatever a LocaleMiddleware chose for people in browsers: without a language of ours, the host's setting.
        translation.deactivate()
    else:
        translation.activate(chosen)
    try:
        yield tag_of(translation.get_language() or "en")
    finally:
        if before is None:
            translation.deactivate_all()
        else:
            translation.activate(before)


def tag_of(language: str) -> str:
    """Return a language's tag as the contract writes it: ``pt-BR`` for ``pt-br``."""
    name, dash, region = language.partition("-")
    return f"{name}{dash}{region.upper()}"
