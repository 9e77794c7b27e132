"""Signed delivery receipts of the generic gateway: HMAC-SHA256 over the time and the body, as most providers have it.

Unsigned receipts would be open to abuse: whoever guesses a message's id could make a sent message fail, which skips
the pause between messages, or hide from staff that messages do not arrive.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from twofa.channels import bodies
from twofa.channels.base import DELIVERED, FAILED, Callback, Report
from twofa.channels.exchange import id_of
from twofa.exceptions import ReceiptRefused, ReceiptUnreadable

NOT_DELIVERED = "not_delivered"
_MIN_SECRET = 16
_MILLISECONDS = 13
_BETWEEN = re.compile(r"[,\s]+")


class SignedReceipts:
    """How a provider signs and writes its receipts.

    ``secrets``: what it signs with; two while one replaces the other. ``signature_header``, ``timestamp_header``: the
    names of its headers; the time is in seconds (or milliseconds) since 1970. What is signed is the time,
    ``separator`` and the body; ``encoding`` of the signature: "hex" or "base64", ``prefix`` stands before it.
    ``tolerance``: seconds that a receipt may be old; an older one is a replay.
    ``id_path``, ``status_path``, ``reference_path``, ``reason_path``: where in the JSON body the provider's id of the
    message, its status, our ``{idempotency_key}`` and the provider's code of a failure stand. One of id and reference
    is needed. ``delivered``, ``failed``: the statuses that mean so; all others mean "on its way".
    ``reasons``: maps the provider's codes to words of ours.
    """

    def __init__(
        self,
        *,
        secrets: Collection[str],
        status_path: str,
        id_path: str = "",
        reference_path: str = "",
        reason_path: str = "",
        delivered: Collection[str] = ("delivered", "read"),
        failed: Collection[str] = ("failed", "undelivered", "rejected", "expired"),
        reasons: Mapping[str, str] | None = None,
        signature_header: str = "X-Signature",
        timestamp_header: str = "X-Timestamp",
        separator: str = ".",
        encoding: str = "hex",
        prefix: str = "",
        tolerance: float = 300.0,
    ) -> None:
        self._secrets = [secret.encode() for secret in ([secrets] if isinstance(secrets, str) else secrets)]
        if not self._secrets or min(map(len, self._secrets)) < _MIN_SECRET:
            raise ValueError(f"receipts need secrets, each of {_MIN_SECRET} characters or more")
        if not (id_path or reference_path):
            raise ValueError("receipts need an id_path or a reference_path")
        if encoding not in ("hex", "base64"):
            raise ValueError("the encoding of a signature is 'hex' or 'base64'")
        if tolerance <= 0:
            raise ValueError("tolerance is a number of seconds above zero")
        self._paths = {"status": status_path, "id": id_path, "reference": reference_path, "reason": reason_path}
        self._delivered, self._failed = set(map(str, delivered)), set(map(str, failed))
        self._reasons = {str(code): word for code, word in (reasons or {}).items()}
        self._signature_header, self._timestamp_header = signature_header, timestamp_header
        self._separator, self._prefix = separator.encode(), prefix
        self._encoding, self._tolerance = encoding, tolerance

    def read(self, callback: Callback) -> Report:
        """Return what a receipt says. Raises: ReceiptRefused, ReceiptUnreadable."""
        self._ensure_signed(callback)
        content = bodies.parse(callback.body)
        status = self._text(content, "status")
        message_id, reference = self._text(content, "id"), self._text(content, "reference")
        if not status or not (message_id or reference):
            raise ReceiptUnreadable
        told = DELIVERED if status in self._delivered else FAILED if status in self._failed else status
        reason = self._reasons.get(self._text(content, "reason"), NOT_DELIVERED) if told == FAILED else ""
        return Report(status=told, provider_message_id=message_id, reference=reference, reason=reason)

    def _ensure_signed(self, callback: Callback) -> None:
        timestamp = callback.header(self._timestamp_header)
        if not self._is_recent(timestamp):
            raise ReceiptRefused
        signed = timestamp.encode() + self._separator + callback.body
        given = _BETWEEN.split(callback.header(self._signature_header))
        expected = [self._signature(secret, signed) for secret in self._secrets]
        # Every pair is compared, each in constant time: the answer's time tells nothing of where they differ.
        if not any([matches(right, self._bare(text)) for right in expected for text in given]):  # noqa: C419
            raise ReceiptRefused

    def _is_recent(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MILLISECONDS):
            return False
        at = int(timestamp) / (1000 if len(timestamp) == _MILLISECONDS else 1)
        return abs(time.time() - at) <= self._tolerance

    def _signature(self, secret: bytes, signed: bytes) -> str:
        digest = hmac.new(secret, signed, sha256).digest()
        return digest.hex() if self._encoding == "hex" else base64.b64encode(digest).decode()

    def _bare(self, text: str) -> str:
        text = text.removeprefix(self._prefix)
        return text.lower() if self._encoding == "hex" else text

    def _text(self, content: Any, name: str) -> str:
        path = self._paths[name]
        return (id_of(bodies.look_up(content, path)) or "") if path else ""


def matches(expected: str, given: str) -> bool:
    """Compare a signature in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
