"""Idempotency keys: the first answer to a key, given again (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from twofa import tokens
from twofa.conf import conf
from twofa.exceptions import IdempotencyInProgress, IdempotencyKeyReused
from twofa.models import IdempotencyRecord, Storefront
from twofa.models.clock import now
from twofa.models.idempotency import CLAIM_LIFE

BATCH = 1000
"""Records deleted in one transaction."""


@dataclass(frozen=True)
class Answer:
    """A rendered answer; ``stored`` tells whether the contract keeps it for the key's next use."""

    status: int
    body: str
    content_type: str
    stored: bool


def run(call: Callable[[], Answer], *, storefront: Storefront, path: str, key: str, body: Any) -> tuple[Answer, bool]:
    """Call once for this key, or return the first answer again; tell which.

    ``body`` is the parsed body; only its keyed digest is kept, because a confirm's holds the token.

    Raises: IdempotencyKeyReused, IdempotencyInProgress, and whatever ``call`` raises (the key is free again then).
    """
    record = _claim(storefront, path, key, body)
    if record.answered_at is not None:
        return Answer(record.status or 200, record.body, record.content_type, stored=True), True
    try:
        answer = call()
    except BaseException:
        _release(record)
        raise
    if answer.stored:
        _store(record, answer)
    else:
        _release(record)
    return answer, False


def purge(at: datetime) -> int:
    """Delete the next of the records that are over; return how many."""
    chunk = list(outdated(at).order_by("claimed_at").values_list("pk", flat=True)[:BATCH])
    # The condition again: one of them may have been claimed anew meanwhile.
    deleted, _by_model = outdated(at).filter(pk__in=chunk).delete()
    return deleted


def outdated(at: datetime) -> QuerySet[IdempotencyRecord]:
    """Return records that are older than a key is remembered."""
    return IdempotencyRecord.objects.filter(claimed_at__lte=at - conf.retention["idempotency"])


def _claim(storefront: Storefront, path: str, key: str, body: Any) -> IdempotencyRecord:
    """Return the record that is ours to fill, or the one that has been answered."""
    at = now()
    kid = tokens.issuing_kid()
    record = IdempotencyRecord(
        storefront=storefront, path=path, key=key, kid=kid, fingerprint=_fingerprint(body, kid), claimed_at=at
    )
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:
        return _known(record, body, at)
    return record


def _known(claim: IdempotencyRecord, body: Any, at: datetime) -> IdempotencyRecord:
    rows = IdempotencyRecord.objects.filter(storefront=claim.storefront, path=claim.path, key=claim.key)
    forgotten = Q(claimed_at__lte=at - conf.retention["idempotency"])
    expired = forgotten | Q(answered_at__isnull=True, claimed_at__lte=at - CLAIM_LIFE)
    # The condition is in the UPDATE: of two that find a dead claim, one takes it over.
    taken = rows.filter(expired).update(
        claimed_at=at, answered_at=None, status=None, body="", fingerprint=claim.fingerprint, kid=claim.kid
    )
    record = rows.first()
    if record is None or (record.answered_at is None and not taken):
        raise IdempotencyInProgress(retry_after=1)
    if not taken and not _is_same(record, body):
        raise IdempotencyKeyReused
    return record


def _is_same(record: IdempotencyRecord, body: Any) -> bool:
    try:
        candidate = _fingerprint(body, record.kid)
    except tokens.UnknownKey:
        return False
    return tokens.is_sealed([bytes(record.fingerprint)], candidate)


def _store(record: IdempotencyRecord, answer: Answer) -> None:
    """Fill our claim, if it is still ours: one older than its life may have been taken over."""
    IdempotencyRecord.objects.filter(pk=record.pk, claimed_at=record.claimed_at).update(
        answered_at=now(), status=answer.status, body=answer.body, content_type=answer.content_type
    )


def _release(record: IdempotencyRecord) -> None:
    IdempotencyRecord.objects.filter(pk=record.pk, claimed_at=record.claimed_at, answered_at__isnull=True).delete()


def _fingerprint(body: Any, kid: str) -> bytes:
    return tokens.fingerprint("idempotency", tokens.plain(body), kid=kid)
