"""Watches for tokens where none may be (I8): remembers each one that was derived, and knows its disguises."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from twofa import tokens

_SHORTEST = 6


class Canary:
    """Every token derived since it began to watch."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()

    def disguises(self) -> Iterator[str]:
        """Each token in the forms in which one leaks unnoticed."""
        for token in self.tokens:
            yield from disguises(token)

    def found_in(self, texts: Iterable[str]) -> list[str]:
        """The disguises that occur in ``texts``: must be empty."""
        joined = "\n".join(texts)
        return [disguise for disguise in self.disguises() if disguise in joined]


def secret_of(key: str) -> str:
    """The part of a storefront's key that opens: the alphabet of its base64 has an underscore too."""
    _mark, _prefix, secret = key.split("_", 2)
    return secret


def disguises(token: str) -> list[str]:
    raw = token.encode()
    return [
        token,
        token.lower(),
        f"{token[:3]}-{token[3:]}",
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        hashlib.sha256(raw).hexdigest(),
        hashlib.sha256(token.lower().encode()).hexdigest(),
        hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        "".join(f"%{byte:02X}" for byte in raw),
        quote(token),
        token[::-1],
    ]


@contextmanager
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """Remember each alphanumeric token derived in the block; six digits alone occur in any row."""
    canary = Canary()
    derive = tokens.derive

    def remembering(*args: Any, **kwargs: Any) -> str:
        token = derive(*args, **kwargs)
        if not token.isdigit():
            canary.tokens.add(token)
        return token

    monkeypatch.setattr(tokens, "derive", remembering)
    yield canary


def texts_of(records: Iterable[logging.LogRecord]) -> Iterator[str]:
    """All that a handler could write of these records: message, arguments, traceback, extras."""
    formatter = logging.Formatter()
    for record in records:
        yield formatter.format(record)
        yield repr(vars(record))
