"""HTTP to the API: one key, bounded waits, safe repetitions. Knows nothing of orders or devices."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

logger = logging.getLogger(__name__)

# Their sum stays below what a person, or a proxy in front of this server, waits.
_TIMEOUT = urllib3.Timeout(connect=2.0, read=10.0)
_PAUSES = (0.3, 0.7, 1.0)
"""Seconds between repetitions where the same call is still running: the second half of a double click."""
_QUEUE_SECONDS = 0.25
_UPLOAD_TIMEOUT = urllib3.Timeout(connect=2.0, read=25.0)
"""Of a file: the programme looks at all of it before it answers, and says so itself where that takes too long."""

# Redirects are not followed: the key goes to the address that it was given for, and to no other.
_http = urllib3.PoolManager(maxsize=16, retries=False, timeout=_TIMEOUT)


class ApiError(Exception):
    """The call brought no answer to go on with; never raised itself."""


class NotConnected(ApiError):
    """The shop has no address or no key."""


class Unreachable(ApiError):
    """No answer, or none of the API's: the outcome is unknown, and the same call may be repeated."""


class Refused(ApiError):
    """The API said no: ``code`` is its stable word, ``members`` everything that it said."""

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(members.get("code", "unknown"))
        self.members = members
        super().__init__(self.code)


@dataclass(frozen=True)
class Content:
    """The body of a request: kept out of every representation, because it may be a token or somebody's papers."""

    data: bytes = field(repr=False)
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """How it is sent, where that differs from every other call."""


@dataclass(frozen=True)
class Connection:
    """Where the API is and what the shop shows there."""

    url: str
    key: str = field(repr=False)


def connection() -> Connection:
    """Return the shop's connection. Raises: NotConnected.

    The key is in the environment, or in a file that ``manage.py seed`` or the platform writes: that one is read on each
    call, so that a key can be given, or changed, while the shop runs.
    """
    key = settings.SHOP_API_KEY or _read(Path(settings.SHOP_API_KEY_FILE))
    if not settings.SHOP_API_URL or not key:
        raise NotConnected
    return Connection(settings.SHOP_API_URL.rstrip("/"), key)


def _read(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""


class _Lines:
    """Calls at the same time, at most. Where shop and API are one server, each waiting page needs a second thread.

    Without a limit as many pages as there are threads would each wait for an answer that no thread is left to give.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one of the calls inside the block. Raises: Unreachable where none becomes free in time."""
        if not self._free.acquire(timeout=_QUEUE_SECONDS):
            logger.warning("no line to the API became free")
            raise Unreachable
        try:
            yield
        finally:
            self._free.release()


_lines = _Lines(settings.SHOP_API_CALLS)


@dataclass(frozen=True)
class Client:
    """Calls on behalf of one page: in its visitor's language, under its correlation id."""

    language: str
    correlation_id: str

    # The body may hold a token, and the headers hold the key: reports of an error show neither.
    @sensitive_variables()
    def call(
        self, operation: str, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """Return the answer's members. ``operation`` names the call in the log, ``key`` makes a POST safe to repeat.

        Raises: Refused, Unreachable, NotConnected.
        """
        content = None if body is None else Content(json.dumps(body).encode(), "application/json")
        return self._send(operation, method, path, content, key)

    @sensitive_variables()
    def send_file(
        self, operation: str, path: str, members: Mapping[str, str], file: bytes, *, key: str | None
    ) -> dict[str, Any]:
        """Post a form with a file, and return the answer's members.

        The file's own name and type stay here: the API decides by what is in it, and a name may tell a lot.
        Raises: Refused, Unreachable, NotConnected.
        """
        data, kind = urllib3.encode_multipart_formdata({**members, "file": ("file", file, "application/octet-stream")})
        return self._send(operation, "POST", path, Content(data, kind, {"timeout": _UPLOAD_TIMEOUT}), key)

    @sensitive_variables()
    def _send(self, operation: str, method: str, path: str, content: Content | None, key: str | None) -> dict[str, Any]:
        target = connection()
        headers = self._headers(target, key)
        repeatable = key is not None or method in {"GET", "PATCH", "DELETE"}
        for pause in (*_PAUSES, None):
            try:
                with _lines.one():
                    return _exchange(operation, method, target.url + path, content, headers, repeatable=repeatable)
            except Refused as refused:
                if refused.code != "idempotency_in_progress" or pause is None:
                    raise
                time.sleep(pause)
        raise Unreachable

    def _headers(self, target: Connection, key: str | None) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Language": self.language,
            "Authorization": f"Bearer {target.key}",
            "User-Agent": "points-shop",
            "X-Correlation-Id": self.correlation_id,
        }
        return headers if key is None else {**headers, "Idempotency-Key": key}


@sensitive_variables()
def _exchange(
    operation: str,
    method: str,
    url: str,
    content: Content | None,
    headers: Mapping[str, str],
    *,
    repeatable: bool,
) -> dict[str, Any]:
    started = time.perf_counter()
    response = _send(method, url, content, headers, repeatable=repeatable)
    members = _members(response)
    code = members.get("code", "-") if response.status >= 400 else "-"
    # The operation and never the path, in which ids and members' names are.
    milliseconds = (time.perf_counter() - started) * 1000
    logger.info("%s %d %s %.0f ms", operation, response.status, code, milliseconds)
    if response.status >= 400:
        raise Refused(response.status, members)
    return members


@sensitive_variables()
def _send(
    method: str, url: str, content: Content | None, headers: Mapping[str, str], *, repeatable: bool
) -> urllib3.BaseHTTPResponse:
    try:
        if content is None:
            return _http.request(method, url, headers=headers)
        sent = {**headers, "Content-Type": content.kind}
        return _http.request(method, url, body=content.data, headers=sent, **content.options)
    except urllib3.exceptions.HTTPError as error:
        logger.warning("no answer from the API: %s", type(error).__name__)
        # After a wait in vain not again: the visitor has waited long enough, and decides. (What urllib3 calls a new
        # connection that failed is one of its timeouts, though nobody has waited.)
        slow = isinstance(error, urllib3.exceptions.TimeoutError)
        if not repeatable or (slow and not isinstance(error, urllib3.exceptions.NewConnectionError)):
            raise Unreachable from None
    # Most often a kept connection that the server has closed meanwhile.
    return _send(method, url, content, headers, repeatable=False)


def _members(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    if response.status == 204:
        return {}
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    try:
        members = json.loads(response.data) if kind.endswith("json") else None
    except ValueError:
        members = None
    if not isinstance(members, dict) or 300 <= response.status < 400:
        # A proxy's page, a redirect, another service at that address.
        logger.warning("status %d and %r is no answer of the API", response.status, kind[:40])
        raise Unreachable
    return members
