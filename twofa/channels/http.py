"""A generic gateway: any SMS or WhatsApp provider that takes one HTTP request a message."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from twofa.channels import bodies
from twofa.channels.base import Callback, Channel, Message, Receipt, Report
from twofa.channels.exchange import MAX_ANSWER_BYTES, TEMPORARY, Answer, Exchange, ensure_fixed_url, failure_of, id_of
from twofa.channels.signatures import SignedReceipts
from twofa.exceptions import DeliveryError, NotFound

__all__ = ["MAX_ANSWER_BYTES", "HttpChannel"]


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
    ``receipts``: how the provider signs and writes its delivery receipts, as the arguments of
    :class:`twofa.channels.signatures.SignedReceipts`; without it none are taken.
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
        receipts: Mapping[str, Any] | None = None,
        connect_timeout: float = 3.0,
        read_timeout: float = 5.0,
        total_timeout: float = 10.0,
        ca_certs: str | None = None,
    ) -> None:
        ensure_fixed_url(url)
        if encoding not in ("json", "form"):
            raise ValueError("encoding is 'json' or 'form'")
        if encoding == "form" and not all(isinstance(value, str) for value in body.values()):
            raise ValueError("a form's fields are texts")
        self.provider_url, self._method, self._headers = url, method, dict(headers or {})
        self._body = bodies.Template(body)
        self._encoding = encoding
        self._idempotency_header = idempotency_header
        self._success, self._temporary = frozenset(success), frozenset(temporary)
        self._id_path, self._error_path = id_path, error_path
        self._permanent_errors = {str(error) for error in permanent_errors}
        self._receipts = None if receipts is None else SignedReceipts(**receipts)
        self.time_limit = total_timeout
        self._exchange = Exchange(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            total_timeout=total_timeout,
            ca_certs=ca_certs,
        )

    def send(self, message: Message) -> Receipt:
        body, headers = self._request(message)
        outcome = self._exchange.ask(self._method, self.provider_url, body=body, headers=headers)
        # Raised out here, where no exception is being handled: those of the libraries would travel in __context__.
        failure = outcome if isinstance(outcome, DeliveryError) else self._failure(outcome)
        if failure is not None:
            raise failure
        return Receipt(provider_message_id=self._id(outcome) if isinstance(outcome, Answer) else None)

    def read_receipt(self, callback: Callback) -> Report:
        if self._receipts is None:
            raise NotFound
        return self._receipts.read(callback)

    def _request(self, message: Message) -> tuple[bytes, dict[str, str]]:
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
        return body, headers

    def _failure(self, answer: Answer) -> DeliveryError | None:
        """Tell why the message was not accepted."""
        if answer.status in self._success:
            return self._failure_in_body(answer)
        return failure_of(answer.status, self._temporary)

    def _failure_in_body(self, answer: Answer) -> DeliveryError | None:
        if self._error_path is None:
            # The status is all that is known of this provider's yes. However long its answer: one that sends much, and
            # were taken for none, would be given the message again and again, while the short page of a portal between
            # us passes all the same. Against that helps ``error_path``, and https.
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

    def _id(self, answer: Answer) -> str | None:
        if self._id_path is None or not answer.whole:
            return None
        return id_of(bodies.look_up(bodies.parse(answer.body), self._id_path))
