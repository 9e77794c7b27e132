"""Logs: one record is one line for machines, and carries the correlation id of what it belongs to.

What others send is in many records: paths, user agents, order ids, the texts of errors. Unescaped, a line break in it
would end one record and forge the next, and an escape sequence would rewrite the terminal of whoever reads it (OWASP
ASVS 16.4.1). And what is personal stays out: the route of a request is logged and not its path, which names people.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from pythonjsonlogger.json import JsonFormatter

from twofa import correlation

HEADER = "X-Correlation-Id"
ROUTE = "example.route"
"""Where the route of a request stands in its WSGI environment, for the server's access log."""

# C0, DEL and C1 control characters, and what Unicode breaks lines at.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# PostgreSQL quotes the row that it refuses, with the contacts in it.
_QUOTED_ROW = re.compile(r"DETAIL:.*?(?=\n\n|\nCONTEXT:|\nHINT:|\Z)", re.DOTALL)


def configured(*, style: str, level: str) -> dict[str, Any]:
    """Return ``LOGGING``. Raises: ImproperlyConfigured for a style that is neither ``json`` nor ``line``."""
    formatters = {"json": JsonLines, "line": Lines}
    if style not in formatters:
        raise ImproperlyConfigured(f"LOG_FORMAT is json or line, not {style!r}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": ContextFilter}},
        "formatters": {style: {"()": formatters[style]}},
        "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["context"], "formatter": style}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django gives these two handlers of their own, without the correlation id.
            "django": {"level": "INFO"},
            "django.server": {"level": "INFO", "propagate": True},
            # Logs each job when it arrives, without its correlation id. That it ran is logged elsewhere, with the id.
            "celery.worker.strategy": {"level": "WARNING"},
            # Every few seconds that it is time to sweep.
            "celery.beat": {"level": "WARNING"},
        },
    }


class ContextFilter(logging.Filter):
    """Puts the correlation id on every record, and in place of a request's path its route."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        # Django logs what was refused after the middleware has ended: then the request still knows.
        record.correlation_id = correlation.current() or getattr(request, "correlation_id", "")
        if isinstance(request, HttpRequest) and isinstance(record.args, tuple):
            record.args = tuple(_without_path(value, request) for value in record.args)
        return True


def _without_path(value: object, request: HttpRequest) -> object:
    path = request.path.encode("unicode_escape").decode("ascii")
    return route_of(request) if isinstance(value, str) and value in {request.path, path} else value


def route_of(request: HttpRequest) -> str:
    """Return the pattern that a request met, such as ``api/v1/redemptions/<str:pk>/``; nothing where it met none."""
    match = getattr(request, "resolver_match", None)
    return "" if match is None else str(match.route)


class CorrelationMiddleware:
    """Gives each request an id, its caller's where that is well formed, and the answer the same one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        identifier = correlation.accept(request.headers.get(HEADER))
        request.correlation_id = identifier  # type: ignore[attr-defined]  # for ContextFilter
        with correlation.bound(identifier):
            response = self._get_response(request)
        request.META[ROUTE] = route_of(request)
        response[HEADER] = identifier
        return response


class JsonLines(JsonFormatter):
    """One JSON object a line, of a closed set of members: what libraries add to records does not all belong in logs."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data |= {
            "time": moment_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": getattr(record, "correlation_id", ""),
        }
        if message_dict.get("exc_info"):
            log_data["exception"] = without_rows(message_dict["exc_info"])


class Lines(logging.Formatter):
    """One line for people; the further lines of a traceback are marked, so that none passes for a record."""

    def format(self, record: logging.LogRecord) -> str:
        identifier = getattr(record, "correlation_id", "")
        head = f"{moment_of(record)} {record.levelname} {record.name} [{identifier}] {record.getMessage()}"
        rows = [escaped(head)]
        if record.exc_info:
            rows += [f"  | {escaped(row)}" for row in without_rows(self.formatException(record.exc_info)).split("\n")]
        return "\n".join(rows)


def moment_of(record: logging.LogRecord) -> str:
    """Return when it was written, in UTC as RFC 3339 writes it."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def escaped(text: str) -> str:
    """Return ``text`` as one line without control characters."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def without_rows(text: str) -> str:
    """Return a traceback without the rows that PostgreSQL quotes in it."""
    return _QUOTED_ROW.sub("DETAIL: left out, it quotes a row", text)
