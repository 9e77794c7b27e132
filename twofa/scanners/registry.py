"""The scanner of ``TWOFA_DOCUMENT_SCANNER``, and the one way to ask it."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from twofa.conf import conf
from twofa.exceptions import ScannerUnavailable
from twofa.scanners.base import Scanner, Verdict

logger = logging.getLogger(__name__)

RETRY_AFTER = 60
"""Seconds after which a caller may try again."""
MAX_REASON = 200
_built: dict[str, Scanner] = {}


def get_scanner() -> Scanner | None:
    """Return the host's scanner, one instance per process, or None. Raises: ImproperlyConfigured."""
    if conf.document_scanner is None:
        return None
    if "" not in _built:
        try:
            _built.setdefault("", build(conf.document_scanner))
        except ValueError as error:
            raise ImproperlyConfigured(f"TWOFA_DOCUMENT_SCANNER: {error}") from error
    return _built[""]


def build(given: Any) -> Scanner:
    """Return the scanner that the setting describes. Raises: ValueError, which says what is wrong."""
    made, options = scanner_of(given)
    try:
        scanner: Scanner = made(**options)
    except Exception as error:
        raise ValueError(f"it cannot be built: {type(error).__name__}: {error}") from error
    return scanner


def scanner_of(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the class that the setting names, and its options. Raises: ValueError."""
    named, options = given, {}
    if isinstance(given, Mapping):
        if not set(given) <= {"BACKEND", "OPTIONS"} or not isinstance(given.get("OPTIONS", {}), Mapping):
            raise ValueError("it has other members than BACKEND, and OPTIONS that are a dictionary")
        named, options = given.get("BACKEND"), given.get("OPTIONS", {})
    if isinstance(named, str):
        try:
            named = import_string(named)
        except Exception as error:
            raise ValueError(f"it cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(named, type):
        raise ValueError("it names no class")
    return named, options


def inspect(data: bytes) -> Verdict:
    """Ask the scanner about a file; without one, every file passes. Raises: ScannerUnavailable.

    Only a verdict counts as one: whatever else a scanner says or raises means that nobody has looked, and a file that
    nobody has looked at is not clean. Otherwise whoever can make the scanner fail has switched it off.
    """
    try:
        scanner = get_scanner()
        verdict = Verdict.clean() if scanner is None else scanner.scan(io.BytesIO(data))
    except ScannerUnavailable:
        raise
    except Exception as error:
        # Without the trace: its frames hold the file, and reporters of errors keep what frames hold.
        logger.error("the scanner failed (TWOFA_DOCUMENT_SCANNER): %s: %s", type(error).__name__, error)
        raise ScannerUnavailable(RETRY_AFTER) from error
    if not _is_verdict(verdict):
        logger.error("the scanner gave a %s, not a verdict (TWOFA_DOCUMENT_SCANNER)", type(verdict).__name__)
        raise ScannerUnavailable(RETRY_AFTER)
    return Verdict(verdict.is_clean, _printable(verdict.reason))


def _is_verdict(given: object) -> bool:
    return isinstance(given, Verdict) and type(given.is_clean) is bool


def _printable(reason: object) -> str:
    # A foreign program's words, which staff read and a column keeps.
    return "".join(character for character in str(reason)[:MAX_REASON] if character.isprintable())


def _forget(*, setting: str, **_signal: Any) -> None:
    # Sent by override_settings alone: a running server's settings do not change.
    if setting == "TWOFA_DOCUMENT_SCANNER":
        _built.clear()


setting_changed.connect(_forget, dispatch_uid="twofa.scanners")
