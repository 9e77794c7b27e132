"""A generic gateway: any SMS or WhatsApp provider that takes one HTTP request a message."""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from twofa.channels import bodies, deadlines
from twofa.channels.base import Channel, Message, Receipt
from twofa.exceptions import DeliveryError

MAX_ANSWER_BYTES = 64 * 1024
_MAX_ID = 200
_PRINTABLE = {chr(code) for code in range(0x21, 0x7F)}

TEMPORARY = frozenset({408, 409, 421, 425, 429})
"""Statuses besides 5xx after which a repetition may succeed. 409: the same key is still being worked on."""
DENIED = frozenset({401, 402, 403, 407})
"""The account's fault: credentials, credit, permission."""
MISCONFIGURED = frozenset({404, 405, 406, 410, 411, 415})
"""The fault of ``OPTIONS``: not the path, the method or the format of this provider."""


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    whole: bool
    """False where the answer broke off, or was longer than anybody reads."""


class HttpChannel(Channel):
    """POST each message to a provider.

    ``url``, ``method``, ``headers``: of the request; credentials belong into ``headers``.
    ``body``: a template of dicts, lists and texts, in which ``{recipient}`` and its like (``bodies.NAMES``) are
    replaced; ``encoding`` "json" sends it as JSON, "form" as form fields.
    ``idempotency_header``: where the message's key goes, or None.
    ``success``: the statuses that accept a message (default: 200 to 299). ``id_path``: where its id stands in the JSON
    answer, like ``messages.0.id``. ``error_path``: what stands there only where a message was *not* accepted, whatever
    the status; ``permanent_errors``: its values that no repetition mends.
    ``temporary``: the statuses, besides 5xx, that a repetition may mend.
    ``connect_timeout``, ``read_timeout``, ``total_timeout``: seconds. ``ca_certs``: a file of certificates to trust
    instead of the system's.
    """

    def __init__(
        self,
        *,
        url: str,
        body: Mapping[str, Any],
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        encoding: str = "json",
        idempotency_header: str | None = "Idempotency-Key",
        success: Collection[int] = range(200, 300),
        temporary: Collection[int] = TEMPORARY,
        id_path: str | None = None,
        error_path: str | None = None,
        permanent_errors: Collection[str | int] = (),
        connect_timeout: float = 3.0,
        read_timeout: float = 5.0,
        total_timeout: float = 10.0,
        ca_certs: str | None = None,
    ) -> None:
        _ensure_fixed_url(url)
        if encoding not in ("json", "form"):
            raise ValueError("encoding is 'json' or 'form'")
        if encoding == "form" and not all(isinstance(value, str) for value in body.values()):
            raise ValueError("a form's fields are texts")
        self._url, self._method, self._headers = url, method, dict(headers or {})
        self._body = bodies.Template(body)
        self._encoding = encoding
        self._idempotency_header = idempotency_header
        self._success, self._temporary = frozenset(success), frozenset(temporary)
        self._id_path, self._error_path = id_path, error_path
        self._permanent_errors = {str(error) for error in permanent_errors}
        self._timeout = urllib3.Timeout(total=total_timeout, connect=connect_timeout, read=read_timeout)
        self._total_timeout = total_timeout
        self._ca_certs = ca_certs

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        # Made by the first message, hence in the worker process that sends it: a pool made before a fork would share
        # its connections, and two messages could be answered by each other's answer. No proxy of the environment.
        return deadlines.PoolManager(maxsize=8, retries=False, ca_certs=self._ca_certs)

    def send(self, message: Message) -> Receipt:
        outcome = self._exchange(message)
        # Raised out here, where no exception is being handled: those of the libraries would travel in __context__.
        if isinstance(outcome, DeliveryError):
            raise outcome
        failure = self._failure(outcome)
        if failure is not None:
            raise failure
        return Receipt(provider_message_id=self._id(outcome))

    def _exchange(self, message: Message) -> _Answer | DeliveryError:
        with deadlines.within(self._total_timeout) as deadline:
            try:
                return self._request(message)
            except urllib3.exceptions.SSLError:
                return DeliveryError("tls", retryable=True)
            except urllib3.exceptions.NewConnectionError:
                # A kind of timeout to urllib3, but mostly a refusal.
                return DeliveryError("connection", retryable=True)
            except (urllib3.exceptions.TimeoutError, TimeoutError):
                return DeliveryError("timeout", retryable=True)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
                return DeliveryError("timeout" if deadline.passed else "connection", retryable=True)
            except ValueError:
                # What no header can hold.
                return DeliveryError("message_invalid", retryable=False)

    def _request(self, message: Message) -> _Answer:
        fields = self._body.fill(message)
        headers = {**self._headers}
        if self._encoding == "json":
            body = json.dumps(fields, ensure_ascii=True).encode()
            headers.setdefault("Content-Type", "application/json")
        else:
            body = urlencode(fields, doseq=True, errors="replace").encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self._idempotency_header:
            headers[self._idempotency_header] = message.idempotency_key
        response = self._pool.request(
            self._method,
            self._url,
            body=body,
            headers=headers,
            timeout=self._timeout,
            # A redirect would take the credentials and the token to whoever the answer names.
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        return _read(response)

    def _failure(self, answer: _Answer) -> DeliveryError | None:
        """Tell why the message was not accepted, by a word of ours: never by the provider's, which may echo it."""
        status = answer.status
        if status in self._success:
            return self._failure_in_body(answer)
        if status in self._temporary or status >= 500:
            return DeliveryError("provider_busy" if status == 429 else "provider_unavailable", retryable=True)
        if status in DENIED:
            return DeliveryError("provider_denied", retryable=False)
        if status in MISCONFIGURED or status < 400:
            return DeliveryError("provider_misconfigured", retryable=False)
        return DeliveryError("message_refused", retryable=False)

    def _failure_in_body(self, answer: _Answer) -> DeliveryError | None:
        if self._error_path is None:
            return None
        content = bodies.parse(answer.body) if answer.whole else None
        if content is None:
            # This provider says no in the body, so that without a readable one nobody knows.
            return DeliveryError("answer_unreadable", retryable=True)
        error = bodies.look_up(content, self._error_path)
        if error in (None, False, "", 0, "0", [], {}):
            return None
        permanent = str(error) in self._permanent_errors
        return DeliveryError("message_refused" if permanent else "provider_unavailable", retryable=not permanent)

    def _id(self, answer: _Answer) -> str | None:
        if self._id_path is None or not answer.whole:
            return None
        value = bodies.look_up(bodies.parse(answer.body), self._id_path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = str(value)
        return text if 0 < len(text) <= _MAX_ID and set(text) <= _PRINTABLE else None


def _ensure_fixed_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url is an http or https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials belong into headers, not into the url")
    # URLs are logged by every proxy and by urllib3 itself: no token, no address in them.
    if "{" in url or "}" in url:
        raise ValueError("the url takes no placeholders: put them into the body")


def _read(response: urllib3.BaseHTTPResponse) -> _Answer:
    """Read a bounded answer. One that breaks off after its status is still the provider's yes or no."""
    body, whole = b"", False
    try:
        body = response.read(MAX_ANSWER_BYTES + 1, decode_content=False)
        whole = len(body) <= MAX_ANSWER_BYTES and not deadlines.is_past()
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        whole = False
    finally:
        # Only a connection that was read to its end may serve the next message.
        if whole:
            response.release_conn()
        else:
            response.close()
    return _Answer(status=response.status, body=body, whole=whole)
