"""Alerts: what somebody should look at now. One logger, stable codes, ids only.

A log line and not a row: a refusal rolls its transaction back, and the hot path writes nothing for an alert.
"""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum

from twofa import correlation

LOGGER = "twofa.security"
QUIET = 3600.0
"""Seconds for which one process says one thing once: an attack repeats itself, and its noise must not hide others."""
_REMEMBERED = 10_000

logger = correlation.get_logger(LOGGER)
_lock = threading.Lock()
_told: dict[tuple[object, ...], float] = {}


class Alert(StrEnum):
    """The codes; each is documented in ``docs/reference/alerts.md``."""

    TOKEN_REUSED = "token_reused"
    TRANSACTION_TAMPERED = "transaction_tampered"
    BUDGET_REFUSED = "budget_refused"
    FOUR_EYES_BYPASS = "four_eyes_bypass"
    STAFF_PASSWORD_REFUSED = "staff_password_refused"
    AUDIT_TRAIL_BROKEN = "audit_trail_broken"
    RECEIPT_REFUSED = "receipt_refused"
    DOCUMENT_REUSED = "document_reused"
    DOCUMENT_NOT_ERASED = "document_not_erased"
    PURGE_FAILED = "purge_failed"
    CONTACT_REFUSED = "contact_refused"
    MESSAGE_TEXT_FAILED = "message_text_failed"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint_disabled"
    REPORTED_NOT_ME = "reported_not_me"
    PREFIX_PAUSED = "prefix_paused"
    NUMBER_AT_RISK = "number_at_risk"
    TOO_MANY_FAILURES = "too_many_failures"
    NUMBER_UNCHECKED = "number_unchecked"


LEVELS: dict[Alert, int] = {
    Alert.TOKEN_REUSED: logging.WARNING,
    Alert.TRANSACTION_TAMPERED: logging.ERROR,
    Alert.BUDGET_REFUSED: logging.WARNING,
    Alert.FOUR_EYES_BYPASS: logging.ERROR,
    Alert.STAFF_PASSWORD_REFUSED: logging.WARNING,
    Alert.AUDIT_TRAIL_BROKEN: logging.ERROR,
    Alert.RECEIPT_REFUSED: logging.WARNING,
    Alert.DOCUMENT_REUSED: logging.WARNING,
    Alert.DOCUMENT_NOT_ERASED: logging.ERROR,
    Alert.PURGE_FAILED: logging.ERROR,
    Alert.CONTACT_REFUSED: logging.WARNING,
    Alert.MESSAGE_TEXT_FAILED: logging.ERROR,
    Alert.WEBHOOK_ENDPOINT_DISABLED: logging.ERROR,
    Alert.REPORTED_NOT_ME: logging.ERROR,
    Alert.PREFIX_PAUSED: logging.ERROR,
    Alert.NUMBER_AT_RISK: logging.ERROR,
    Alert.TOO_MANY_FAILURES: logging.ERROR,
    Alert.NUMBER_UNCHECKED: logging.ERROR,
}
"""WARNING: look at it today. ERROR: look at it now."""


def sound(alert: Alert, **ids: object) -> None:
    """Tell it once an hour and process for the same ``ids``; each record carries them as attributes, and ``alert``.

    Never an address, a token or a person's text: alerts are sent on to places of which we know nothing.
    """
    given = {name: str(value) for name, value in ids.items() if value is not None}
    if _is_news((alert, *sorted(given.items()))):
        listed = " ".join(f"{name}={value}" for name, value in given.items())
        logger.log(LEVELS[alert], "%s %s", alert.value, listed, extra={"alert": alert.value, "alert_ids": given})


def forget() -> None:
    """Forget what was told: for tests."""
    with _lock:
        _told.clear()


def _is_news(fact: tuple[object, ...]) -> bool:
    at = time.monotonic()
    with _lock:
        if at - _told.get(fact, -QUIET) < QUIET:
            return False
        if len(_told) >= _REMEMBERED:
            _told.clear()
        _told[fact] = at
    return True
