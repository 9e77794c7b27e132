"""The correlation id: one per request, carried through logs, events, jobs and answers."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_current: ContextVar[str] = ContextVar("twofa_correlation_id", default="")

# The set is closed because the value is echoed in a header and written to logs: a line break in it would split both
# (OWASP ASVS 16.4.1). ``\Z`` and not ``$``, which would let a trailing newline through.
_ALLOWED = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


def current() -> str:
    """Return the correlation id of this request or job, or an empty text outside of both."""
    return _current.get()


def accept(offered: str | None) -> str:
    """Return the caller's id where it is well formed, else a new one."""
    if offered is not None and _ALLOWED.match(offered):
        return offered
    return secrets.token_hex(16)


@contextmanager
def bound(correlation_id: str) -> Iterator[str]:
    """Make ``correlation_id`` the current one inside the block."""
    reset = _current.set(correlation_id)
    try:
        yield correlation_id
    finally:
        _current.reset(reset)


class CorrelationFilter(logging.Filter):
    """Put ``correlation_id`` on every record that passes: for the host's handlers, so that all apps' lines have it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = current()
        return True


class CorrelationAdapter(logging.LoggerAdapter[logging.Logger]):
    """Put ``correlation_id`` on this package's own records, whatever the host's logging configuration is."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), "correlation_id": current()}
        return msg, kwargs


def get_logger(name: str) -> CorrelationAdapter:
    """Return this module's logger; each record carries ``correlation_id``."""
    return CorrelationAdapter(logging.getLogger(name))
