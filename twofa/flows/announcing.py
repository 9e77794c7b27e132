"""What storefronts are told of an event: which webhook it is, whose, and which ids and states are in it.

From columns that the row has loaded anyway: the hot path reads nothing for it. Never a contact, a token, a name or a
document: a webhook is kept by whoever receives it, under rules that are not ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import models

from twofa import jobs
from twofa.flows.transactions import after_commit
from twofa.models import (
    Challenge,
    Delivery,
    Device,
    Failure,
    IdentityDocument,
    Participant,
    Redemption,
    RedemptionBatch,
)
from twofa.models import webhook as webhooks
from twofa.models.ids import uuid7

EVENTS: dict[str, str] = {
    "redemption.pending": "redemption.pending",
    # What needs no token is approved from the start.
    "redemption.exempted": "redemption.approved",
    "redemption.approved": "redemption.approved",
    "redemption.scheduled": "redemption.scheduled",
    "redemption.completed": "redemption.completed",
    "redemption.failed": "redemption.failed",
    "redemption.rejected": "redemption.rejected",
    "redemption.expired": "redemption.expired",
    "redemption.cancelled": "redemption.cancelled",
    "batch.pending": "batch.pending",
    "batch.exempted": "batch.approved",
    "batch.approved": "batch.approved",
    "batch.completed": "batch.completed",
    "batch.partly_completed": "batch.partly_completed",
    "batch.failed": "batch.failed",
    "batch.rejected": "batch.rejected",
    "batch.expired": "batch.expired",
    "batch.cancelled": "batch.cancelled",
    "challenge.approved": "challenge.approved",
    "challenge.rejected": "challenge.rejected",
    "challenge.expired": "challenge.expired",
    "challenge.cancelled": "challenge.cancelled",
    "delivery.failed": "token.undeliverable",
    "delivery.expired": "token.undeliverable",
    "device.activated": "device.activated",
    "device.revoked": "device.revoked",
    "device.held": "device.held",
    "device.released": "device.released",
    "document.approved": "document.approved",
    "document.rejected": "document.rejected",
    "participant.onboarded": "participant.onboarded",
}
"""The webhook of each event that storefronts are told of."""
RENEWED = "challenge.renewed"
SILENCE = 2.0
"""Seconds for which a process remembers that a storefront had no endpoint when its key was read: those of a request.

Whoever has no endpoint pays nothing, and one that is added is told of what happens from the next request on.
"""
_silent: dict[int, float] = {}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Announcements:
    """The webhooks of one transaction."""

    def __init__(self) -> None:
        self._gathered: list[dict[str, Any]] = []

    def note(self, event: Mapping[str, Any], row: models.Model) -> None:
        """Note what storefronts are told of an event about ``row``, if anything."""
        if event["type"] == RENEWED:
            # A message that failed, and whose successor is under way in the same transaction, keeps nobody waiting.
            self._gathered = [told for told in self._gathered if told["undelivered"] != row.pk]
        type_, tell = EVENTS.get(event["type"]), _TELL.get(type(row).__name__)
        told = None if type_ is None or tell is None else tell(row, event)
        if told is not None:
            self._gathered.append(
                {
                    "message_id": uuid7(),
                    "type": type_,
                    "at": event["created_at"],
                    "correlation_id": event["correlation_id"],
                    "campaign_id": event.get("campaign_id"),
                    "storefront_id": event.get("storefront_id"),
                    "test": getattr(row, "test", None),
                    "undelivered": None,
                    **told,
                }
            )

    def record(self, events: list[dict[str, Any]]) -> None:
        """Store the events, and the webhooks with them."""
        webhooks.record(events, [told for told in self._gathered if not _is_silent(told["storefront_id"])], _hint)
        self._gathered = []


def remember(storefront_id: int, *, hears: bool) -> None:
    """Remember for a moment whether a storefront has an endpoint: whoever reads its key reads that as well."""
    if hears:
        _silent.pop(storefront_id, None)
    else:
        _silent[storefront_id] = time.monotonic() + SILENCE


def _is_silent(storefront_id: int | None) -> bool:
    return storefront_id is not None and _silent.get(storefront_id, 0.0) > time.monotonic()


def _hint(endpoints: Collection[UUID]) -> None:
    for endpoint in endpoints:
        after_commit(jobs.publish, jobs.PUSH, endpoint)


def _moved(row: Any, version: int, **data: Any) -> dict[str, Any]:
    """Return what is told of a row that changed: ``version`` grows with each change of it."""
    return {
        "subject": _subject(row),
        "subject_id": str(row.pk),
        "version": version,
        "data": {"id": str(row.pk), "version": version, **data},
    }


def _subject(row: models.Model) -> str:
    return _NAMES[type(row).__name__]


def _redemption(row: Redemption, _event: Mapping[str, Any]) -> dict[str, Any]:
    about = {"order_id": row.order_id, "batch": _optional(row.batch_id)}
    return _moved(row, row.version, status=row.status, **about, failure=_failure(row))


def _batch(row: RedemptionBatch, _event: Mapping[str, Any]) -> dict[str, Any]:
    return _moved(row, row.version, status=row.status, request_id=row.request_id, failure=_failure(row))


def _failure(row: Redemption | RedemptionBatch) -> dict[str, str] | None:
    return {"code": row.failure_code} if row.failure_code else None


def _challenge(row: Challenge, event: Mapping[str, Any]) -> dict[str, Any]:
    # What staff wrote stays with them: it may be anything.
    reason = event["data"].get("reason")
    ended = {"purpose": row.purpose, "status": row.status, "reason": reason if isinstance(reason, Failure) else None}
    # Above that of every token of it that could not be delivered.
    return _moved(row, row.generation + 1, **ended, **_approves(row))


def _undeliverable(row: Delivery, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is told of a message that did not arrive: only of the token that counts now, and is waited for."""
    challenge = row.challenge
    if challenge is None or challenge.is_final or challenge.generation != row.generation:
        return None
    told = _moved(challenge, row.generation, reason=event["data"]["reason"], **_approves(challenge))
    return {**told, "undelivered": challenge.pk}


def _approves(challenge: Challenge) -> dict[str, str | None]:
    batch = _optional(getattr(challenge, "batch_id", None))
    return {"redemption": _optional(challenge.redemption_id), "batch": batch}


def _device(row: Device, event: Mapping[str, Any]) -> dict[str, Any]:
    version = _microseconds(event["created_at"])
    data = {"id": str(row.uuid), "version": version, "status": row.status, "held": row.is_held}
    told = {**_moved(row, version), "subject_id": str(row.uuid), "data": data}
    return {**told, **_shared(row.participant.campaign_id)}


def _document(row: IdentityDocument, event: Mapping[str, Any]) -> dict[str, Any]:
    told = _moved(row, row.version, status=row.status, reason=event["data"].get("reason"))
    return {**told, **_shared(row.participant.campaign_id)}


def _participant(row: Participant, event: Mapping[str, Any]) -> dict[str, Any]:
    version = _microseconds(event["created_at"])
    # By what the storefront calls them, which is why an erasure deletes these rows.
    data = {"id": row.external_id, "version": version, "campaign": row.campaign.slug}
    return {**_moved(row, version), "data": data, **_shared(row.campaign_id)}


def _shared(campaign_id: int) -> dict[str, int | None]:
    """Return whose it is: no storefront's own, but that of all who serve the campaign."""
    return {"campaign_id": campaign_id, "storefront_id": None}


def _optional(pk: object) -> str | None:
    return None if pk is None else str(pk)


def _microseconds(at: datetime) -> int:
    """Return a time as a version, for rows that count none: two changes of one row are never at the same time."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_NAMES = {
    "Redemption": "redemption",
    "RedemptionBatch": "batch",
    "Challenge": "challenge",
    "Device": "device",
    "IdentityDocument": "document",
    "Participant": "participant",
}
_TELL: dict[str, Callable[[Any, Mapping[str, Any]], dict[str, Any] | None]] = {
    "Redemption": _redemption,
    "RedemptionBatch": _batch,
    "Challenge": _challenge,
    "Delivery": _undeliverable,
    "Device": _device,
    "IdentityDocument": _document,
    "Participant": _participant,
}
