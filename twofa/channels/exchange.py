"""One HTTP exchange with a provider: bounded in time and size, to the address that was configured, never redirected.

What channels over HTTP have in common. The outcome is an answer, or the error to raise.
"""

from __future__ import annotations

import http.client
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import urllib3

from twofa.channels import deadlines
from twofa.exceptions import DeliveryError

MAX_ANSWER_BYTES = 64 * 1024
MAX_ID = 200
_PRINTABLE = {chr(code) for code in range(0x21, 0x7F)}

TEMPORARY = frozenset({408, 409, 421, 425, 429})
"""Statuses besides 5xx after which a repetition may succeed. 409: the same key is still being worked on."""
DENIED = frozenset({401, 402, 403, 407})
"""The account's fault: credentials, credit, permission."""
MISCONFIGURED = frozenset({404, 405, 406, 410, 411, 415})
"""The fault of ``OPTIONS``: not the path, the method or the format of this provider."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    whole: bool
    """False where the answer broke off, or was longer than ``MAX_ANSWER_BYTES``."""

    @property
    def is_too_long(self) -> bool:
        """Whether it went on beyond what is read."""
        return len(self.body) > MAX_ANSWER_BYTES


class Exchange:
    """The connections to one provider. Shared by threads; its connections are kept for the next message.

    ``connect_timeout``, ``read_timeout``, ``total_timeout``: seconds. ``ca_certs``: a file of certificates to trust
    instead of the system's.
    """

    def __init__(
        self, *, connect_timeout: float, read_timeout: float, total_timeout: float, ca_certs: str | None
    ) -> None:
        if min(connect_timeout, read_timeout, total_timeout) <= 0:
            raise ValueError("a timeout is a number of seconds above zero")
        self._timeout = urllib3.Timeout(total=total_timeout, connect=connect_timeout, read=read_timeout)
        self._total_timeout = total_timeout
        self._ca_certs = ca_certs

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        # Made by the first message, hence in the worker process that sends it: a pool made before a fork would share
        # its connections, and two messages could be answered by each other's answer. No proxy of the environment.
        return deadlines.PoolManager(maxsize=8, retries=False, ca_certs=self._ca_certs)

    def ask(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer | DeliveryError:
        """Send one request. The error is returned, for its caller to raise where no exception is being handled."""
        with deadlines.within(self._total_timeout) as deadline:
            try:
                return self._request(method, url, body, headers)
            except urllib3.exceptions.SSLError:
                return DeliveryError("timeout" if deadline.passed else "tls", retryable=True)
            except urllib3.exceptions.NewConnectionError:
                # A kind of timeout to urllib3, but mostly a refusal.
                return DeliveryError("connection", retryable=True)
            except (urllib3.exceptions.TimeoutError, TimeoutError):
                return DeliveryError("timeout", retryable=True)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
                return DeliveryError("timeout" if deadline.passed else "connection", retryable=True)
            except ValueError:
                # A header has a value that HTTP does not allow.
                return DeliveryError("message_invalid", retryable=False)

    def _request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        response = self._pool.request(
            method,
            url,
            body=body,
            headers=headers,
            timeout=self._timeout,
            # A redirect would take the credentials and the token to whoever the answer names.
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        return _read(response)


def ensure_fixed_url(url: str) -> None:
    """Raise where requests would not all go to one plain address. Raises: ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url is an http or https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials belong into headers, not into the url")
    # URLs are logged by every proxy and by urllib3 itself: no token, no address in them.
    if "{" in url or "}" in url:
        raise ValueError("the url takes no placeholders: put them into the body")


def failure_of(status: int, temporary: Collection[int] = TEMPORARY) -> DeliveryError:
    """Return what a refusing status means, in a word of ours: never the provider's text, which may echo the message."""
    if status in temporary or status >= 500:
        return DeliveryError("provider_busy" if status == 429 else "provider_unavailable", retryable=True)
    if status in DENIED:
        return DeliveryError("provider_denied", retryable=False)
    if status in MISCONFIGURED or status < 400:
        return DeliveryError("provider_misconfigured", retryable=False)
    return DeliveryError("message_refused", retryable=False)


def id_of(value: Any) -> str | None:
    """Return a provider's id for a message as it may be stored, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= MAX_ID and set(text) <= _PRINTABLE else None


def _read(response: urllib3.BaseHTTPResponse) -> Answer:
    """Read a bounded answer. One that breaks off after its status is still the provider's yes or no."""
    body, whole = b"", False
    try:
        # To the very end: only the read after the last byte tells an answer that broke off from a short one.
        while len(body) <= MAX_ANSWER_BYTES and not whole:
            piece = response.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False)
            body += piece
            whole = not piece
        whole = whole and not deadlines.is_past()
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        whole = False
    finally:
        # Only a connection that was read to its end may serve the next message.
        if whole:
            response.release_conn()
        else:
            response.close()
    return Answer(status=response.status, body=body, whole=whole)
