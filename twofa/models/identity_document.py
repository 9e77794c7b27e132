"""Identity documents: what a participant sent to prove who they are, and what staff decided about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.models.campaign import Campaign
from twofa.models.ids import uuid7
from twofa.models.participant import Participant
from twofa.models.policy import DocumentKind, DocumentSide
from twofa.models.states import StateMachine
from twofa.models.storefront import Storefront


class IdentityDocumentQuerySet(models.QuerySet["IdentityDocument"]):
    def waiting(self) -> Self:
        """Rows that staff have to decide."""
        return self.filter(status=IdentityDocument.Status.PENDING, replaced_at__isnull=True)

    def current(self) -> Self:
        """Rows that count for onboarding: those that the participant has not replaced by another picture."""
        return self.filter(replaced_at__isnull=True)

    def same_picture(self, fingerprints: Iterable[tuple[str, bytes]]) -> Self:
        """Rows of one picture, by its keyed digests."""
        return self.filter(fingerprint__in=[digest for _kid, digest in fingerprints])

    def with_duplicates(self) -> Self:
        """Annotate ``is_duplicate``: whether another participant of the same campaign sent the same picture."""
        others = (
            IdentityDocument.objects.filter(fingerprint=OuterRef("fingerprint"), campaign=OuterRef("campaign"))
            .exclude(participant=OuterRef("participant"))
            .order_by()
        )
        return self.annotate(is_duplicate=Exists(others))


class IdentityDocument(StateMachine):
    """One picture, or the pages of one PDF, sent by a participant and decided by a person."""

    Kind, Side = DocumentKind, DocumentSide

    class Status(models.TextChoices):
        PENDING = "pending", pgettext_lazy("document", "under review")
        APPROVED = "approved", pgettext_lazy("document", "approved")
        REJECTED = "rejected", pgettext_lazy("document", "rejected")
        EXPIRED = "expired", pgettext_lazy("document", "no longer valid")
        PURGED = "purged", pgettext_lazy("document", "file erased")

    class Decision(models.TextChoices):
        NONE = "", pgettext_lazy("document", "not decided")
        APPROVED = "approved", pgettext_lazy("document", "approved")
        REJECTED = "rejected", pgettext_lazy("document", "rejected")
        EXPIRED = "expired", pgettext_lazy("document", "no longer valid")

    class Reason(models.TextChoices):
        UNREADABLE = "unreadable", _("cannot be read")
        EXPIRED = "expired", _("the document has expired")
        WRONG_KIND = "wrong_kind", _("another kind of document, or another side, was asked for")
        NAME_MISMATCH = "name_mismatch", _("name or number differ from what was declared")
        SUSPECTED_FRAUD = "suspected_fraud", _("could not be accepted as genuine")
        OTHER = "other", pgettext_lazy("reason", "other")

    # What was decided outlives the file: ``purged`` says that the picture is gone, ``decision`` what was seen on it.
    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.APPROVED, Status.REJECTED, Status.PURGED}),
            Status.APPROVED: frozenset({Status.EXPIRED, Status.PURGED}),
            Status.REJECTED: frozenset({Status.PURGED}),
            Status.EXPIRED: frozenset({Status.PURGED}),
            Status.PURGED: frozenset(),
        },
        "decision": {
            Decision.NONE: frozenset({Decision.APPROVED, Decision.REJECTED}),
            Decision.APPROVED: frozenset({Decision.EXPIRED}),
            Decision.REJECTED: frozenset(),
            Decision.EXPIRED: frozenset(),
        },
    }

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="documents", verbose_name=_("campaign"))
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="documents", verbose_name=_("participant")
    )
    storefront = models.ForeignKey(
        Storefront, models.PROTECT, null=True, related_name="documents", verbose_name=_("storefront")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    side = models.CharField(_("side"), max_length=6, choices=Side.choices, default=Side.SINGLE)
    pages = models.PositiveSmallIntegerField(_("pages"), default=1)
    source = models.CharField(_("sent as"), max_length=8)
    # Of the pixels, under a key: who has the table alone cannot ask whether a picture they hold is in it.
    fingerprint = models.BinaryField(_("fingerprint"), max_length=32, editable=False)
    fingerprint_kid = models.CharField(max_length=64, editable=False)

    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    decision = models.CharField(
        _("decision"), max_length=10, choices=Decision.choices, default=Decision.NONE, blank=True
    )
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices, blank=True)
    comment = models.CharField(_("comment for the applicant"), max_length=500, blank=True)
    internal_comment = models.CharField(_("internal comment"), max_length=500, blank=True)
    is_final = models.BooleanField(_("final"), default=False)

    # Protected, as in a proposal: a member of staff who has left is deactivated, and the trail keeps its names.
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("being reviewed by")
    )
    claimed_until = models.DateTimeField(_("claimed until"), null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    replaced_at = models.DateTimeField(_("replaced at"), null=True)
    purged_at = models.DateTimeField(_("file erased at"), null=True)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    correlation_id = models.CharField(_("correlation id"), max_length=128, blank=True)
    created_at = models.DateTimeField(_("sent at"))

    objects = IdentityDocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("identity document")
        verbose_name_plural = _("identity documents")
        ordering = ("-created_at", "-id")
        default_permissions = ("view",)
        permissions = [("review_identitydocument", _("Can look at and decide identity documents"))]
        indexes = [
            # The queue of staff: what waits, oldest first; of a campaign too.
            models.Index(
                fields=("created_at", "id"),
                condition=Q(status="pending", replaced_at__isnull=True),
                name="twofa_document_queue",
            ),
            models.Index(
                fields=("campaign", "created_at"),
                condition=Q(status="pending", replaced_at__isnull=True),
                name="twofa_document_campaign_queue",
            ),
            models.Index(fields=("participant", "created_at"), name="twofa_document_participant"),
            models.Index(fields=("campaign", "decided_at"), name="twofa_document_decided"),
            models.Index(fields=("fingerprint",), name="twofa_document_fingerprint"),
            models.Index(
                fields=("decided_at",),
                condition=Q(decided_at__isnull=False) & ~Q(status="purged"),
                name="twofa_document_purge",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("participant", "kind", "side"),
                condition=Q(status="pending", replaced_at__isnull=True),
                name="twofa_document_one_pending",
            ),
            models.CheckConstraint(
                condition=Q(decision="", decided_at__isnull=True, decided_by__isnull=True)
                | (~Q(decision="") & Q(decided_at__isnull=False)),
                name="twofa_document_decided_with_time",
            ),
            models.CheckConstraint(
                condition=~Q(decision="rejected") | ~Q(reason=""), name="twofa_document_rejected_reason"
            ),
            models.CheckConstraint(
                condition=Q(status="purged", purged_at__isnull=False)
                | (~Q(status="purged") & Q(purged_at__isnull=True)),
                name="twofa_document_purged_at",
            ),
            # A decision is in the status until the file is gone.
            models.CheckConstraint(
                condition=Q(status="purged") | Q(status="pending", decision="") | Q(status=models.F("decision")),
                name="twofa_document_status_decision",
            ),
        ]

    def __str__(self) -> str:
        kind = str(self.get_kind_display())
        return kind if self.side == self.Side.SINGLE else f"{kind}, {self.get_side_display()}"

    @property
    def is_waiting(self) -> bool:
        """Tell whether staff have to decide it."""
        return self.status == self.Status.PENDING and self.replaced_at is None

    @property
    def is_valid(self) -> bool:
        """Tell whether it counts as a proof: approved and not voided since, whether or not its file is still there."""
        return self.decision == self.Decision.APPROVED

    def holder(self, at: datetime) -> Any:
        """Return the id of the member of staff who reviews it at ``at``, or None."""
        held = self.claimed_until is not None and self.claimed_until > at
        return self.claimed_by_id if held else None

    @property
    def is_refused_for_good(self) -> bool:
        """Tell whether staff take no other picture of this kind."""
        return self.decision == self.Decision.REJECTED and self.is_final

    @property
    def has_successor(self) -> bool:
        """Tell whether the participant sent a later picture of the same kind and side."""
        rows = IdentityDocument.objects.filter(participant=self.participant_id, kind=self.kind, side=self.side)
        return rows.filter(created_at__gte=self.created_at).exclude(pk=self.pk).exists()

    def meets(self, requirement: str) -> bool:
        """Tell whether it is what a campaign asks for by ``kind`` or ``kind:side``; a kind alone takes any side."""
        kind, _colon, side = requirement.partition(":")
        return self.kind == kind and side in ("", self.side)

    def move(self, **changes: Any) -> None:
        """Change state, and count the version by which clients drop what they see out of order."""
        self.change(version=self.version + 1, guard=("version",), **changes)


CLAIM_LIFE = timedelta(minutes=15)
"""How long a review that was begun keeps others from deciding: somebody who went to lunch holds nobody up."""
