"""All that is kept of one participant, for the participant (LGPD Art. 18, II and V; Art. 19): text and pictures.

What staff write for one another about a document or a case is left out unless it is asked for. It is about the person,
but it may tell how fraud is recognised, which Art. 19, § 1 lets a controller keep to itself: somebody has to read it
and decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import DocumentUnreadable, StorageUnavailable
from twofa.flows import document_files
from twofa.flows.history import Actor, Trail
from twofa.models import (
    AccessToken,
    Approver,
    Authenticator,
    Case,
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    Event,
    IdentityDocument,
    Participant,
    RecoveryCode,
    Redemption,
    RedemptionBatch,
)
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

# Written out: a column that comes later is given out when somebody has thought about it.
PARTICIPANT = (
    "external_id", "name", "document_number", "locale", "two_factor_method", "is_active", "onboarded_at", "created_at",
    "updated_at",
)  # fmt: skip
DEVICES = ("uuid", "name", "channel", "address", "status", "is_default", "created_at", "activated_at", "revoked_at")
# Neither a secret nor a code's digest: whoever gets hold of the export must not get in by it.
AUTHENTICATORS = ("uuid", "name", "status", "created_at", "activated_at", "revoked_at")
RECOVERY_CODES = ("created_at", "used_at")
# Where they are logged in, and were: its text is kept nowhere, and neither digest of it is given.
SESSIONS = ("prefix", "storefront__name", "created_at", "last_used_at", "expires_at", "revoked_at")
REDEMPTIONS = (
    "id", "storefront__name", "order_id", "amount", "unit", "description", "items", "status", "points",
    "two_factor_required", "two_factor_reason", "failure_code", "failure_detail", "created_at", "approved_at",
    "scheduled_for", "completed_at", "batch",
)  # fmt: skip
BATCHES = (
    "id", "storefront__name", "request_id", "count", "total", "unit", "status", "two_factor_required",
    "two_factor_reason", "failure_code", "created_at", "approved_at", "completed_at",
)  # fmt: skip
# Without the other person: that one is somebody else's to ask for.
ENTITLEMENTS = ("id", "max_amount", "valid_until", "is_active", "created_at")
CHALLENGES = (
    "id", "storefront__name", "purpose", "description", "redemption", "batch", "action", "status", "channel", "address",
    "attempts", "resends", "created_at", "ended_at",
)  # fmt: skip
DELIVERIES = (
    "challenge", "event", "channel", "address", "status", "reason", "tries", "provider", "provider_message_id",
    "created_at", "sent_at", "delivered_at",
)  # fmt: skip
DOCUMENTS = (
    "id", "kind", "side", "pages", "source", "status", "decision", "reason", "comment", "is_final", "created_at",
    "decided_at", "replaced_at", "purged_at",
)  # fmt: skip
CASES = ("id", "challenge", "redemption", "status", "outcome", "too_late", "opened_at", "closed_at")
EVENTS = ("id", "type", "created_at", "actor_kind", "redemption", "challenge", "data")
FREE_TEXT = "reason"


@dataclass(frozen=True)
class Picture:
    """One page of a document: the name of its file, and the JPEG."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Export:
    """What is kept of a participant: ``data`` is made of what JSON knows, and of times, numbers and ids."""

    data: dict[str, Any]
    participant: Participant

    @sensitive_variables()
    def pictures(self) -> Iterator[Picture]:
        """Return each page, decrypted when its turn comes; one that cannot be had is listed in ``unreadable``."""
        documents = IdentityDocument.objects.filter(participant=self.participant)
        for document in documents.order_by("created_at", "pk"):
            for row in DocumentFile.objects.kept().filter(document=document).order_by("page"):
                name = f"{document.kind}-{document.side}-{document.pk}-{row.page}.jpg"
                data = _unsealed(row)
                if data is None:
                    self.data["unreadable"].append(name)
                else:
                    yield Picture(name, data)


@sensitive_variables()
def _unsealed(row: DocumentFile) -> bytes | None:
    try:
        return document_files.opened(row)
    except (StorageUnavailable, DocumentUnreadable):
        logger.exception("file %s could not be exported", row.pk)
        return None


@sensitive_variables()
def export(participant: Participant, *, actor: Actor, with_internal_comments: bool = False) -> Export:
    """Return all that is kept of a participant, after an event that says who took it.

    The event is committed first, so that nobody takes it and leaves no trace; an export that breaks off is one as well.
    """
    with transaction.atomic(durable=True):
        trail = Trail(actor, now())
        trail.add("participant.exported", participant, internal_comments=with_internal_comments)
        trail.write()
    return Export({**_read(participant, with_internal_comments), "unreadable": []}, participant)


def _read(participant: Participant, with_internal_comments: bool) -> dict[str, Any]:
    own = {"participant": participant}
    documents = (*DOCUMENTS, "internal_comment") if with_internal_comments else DOCUMENTS
    cases = (*CASES, "note") if with_internal_comments else CASES
    return {
        "exported_at": now(),
        "campaign": participant.campaign.name,
        "participant": _rows(Participant.objects.filter(pk=participant.pk), PARTICIPANT)[0],
        "devices": _rows(Device.objects.filter(**own), DEVICES),
        "authenticators": _rows(Authenticator.objects.filter(**own), AUTHENTICATORS),
        "recovery_codes": _rows(RecoveryCode.objects.filter(**own), RECOVERY_CODES),
        "sessions": _rows(AccessToken.objects.filter(**own), SESSIONS),
        "redemptions": _rows(Redemption.objects.filter(**own), REDEMPTIONS),
        "batches": _rows(RedemptionBatch.objects.filter(**own), BATCHES),
        "may_approve": _rows(Approver.objects.filter(Q(**own) | Q(deputy=participant)), ENTITLEMENTS),
        "approved_for_by_others": _rows(Approver.objects.filter(requester=participant), ENTITLEMENTS),
        "challenges": _challenges(participant),
        "deliveries": _rows(Delivery.objects.filter(**own), DELIVERIES),
        "documents": _rows(IdentityDocument.objects.filter(**own), documents),
        "cases": _rows(Case.objects.filter(**own), cases),
        "events": [_told(event) for event in _rows(Event.objects.filter(participant=participant.pk), EVENTS)],
    }


def _challenges(participant: Participant) -> list[dict[str, Any]]:
    """Return what they asked for; of what another person approves, not where that one was reached."""
    rows = Challenge.objects.filter(participant=participant)
    by_others = Q(redemption__approver__isnull=False) | Q(batch__approver__isnull=False)
    answered = set(rows.filter(by_others).values_list("pk", flat=True))
    return [{**row, "address": ""} if row["id"] in answered else row for row in _rows(rows, CHALLENGES)]


def _rows(rows: QuerySet[Any, Model], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows, the oldest first, under the names of their columns; of a storefront, its name."""
    listed = rows.order_by("pk").values(*columns)
    return [{name.removesuffix("__name"): value for name, value in row.items()} for row in listed]


def _told(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what staff wrote for one another, and without who among them it was."""
    if event["actor_kind"] == "staff":
        event["data"] = {name: value for name, value in event["data"].items() if name != FREE_TEXT}
    return event
