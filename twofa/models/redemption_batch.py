"""Batches: several redemptions of one participant, approved by one token."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from twofa import tokens
from twofa.models.campaign import Campaign
from twofa.models.ids import uuid7
from twofa.models.participant import Participant
from twofa.models.policy import Reason
from twofa.models.states import StateMachine, final_states
from twofa.models.storefront import Storefront

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models.fields.related_descriptors import RelatedManager

    from twofa.models.challenge import Challenge
    from twofa.models.redemption import Redemption

MOST_LINES = 100


class RedemptionBatch(StateMachine):
    """Several redemptions and the one decision about them, owned by the storefront that opened it."""

    class Status(models.TextChoices):
        PENDING = "pending_2fa_approval", _("waits for its token")
        COMPLETING = "completing", _("being completed")
        COMPLETED = "completed", _("completed")
        PARTLY_COMPLETED = "partly_completed", _("partly completed")
        FAILED = "failed", _("failed")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.COMPLETING, Status.REJECTED, Status.EXPIRED, Status.CANCELLED}),
            Status.COMPLETING: frozenset({Status.COMPLETED, Status.PARTLY_COMPLETED, Status.FAILED}),
            Status.COMPLETED: frozenset(),
            Status.PARTLY_COMPLETED: frozenset(),
            Status.FAILED: frozenset(),
            Status.REJECTED: frozenset(),
            Status.EXPIRED: frozenset(),
            Status.CANCELLED: frozenset(),
        }
    }
    FINAL = final_states(MACHINES["status"])

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    storefront = models.ForeignKey(Storefront, models.PROTECT, related_name="batches", verbose_name=_("storefront"))
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="batches", verbose_name=_("campaign"))
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="batches", verbose_name=_("participant"))
    approver = models.ForeignKey(
        Participant, models.PROTECT, null=True, related_name="batches_to_approve", verbose_name=_("approver")
    )
    request_id = models.CharField(_("request id"), max_length=128)
    count = models.PositiveSmallIntegerField(_("lines"))
    total = models.DecimalField(_("total"), max_digits=16, decimal_places=2)
    unit = models.CharField(_("unit"), max_length=20)
    test = models.BooleanField(_("test"), default=False)

    status = models.CharField(_("status"), max_length=20, choices=Status.choices)
    failure_code = models.CharField(_("failure code"), max_length=64, blank=True)
    two_factor_required = models.BooleanField(_("two-factor required"))
    two_factor_reason = models.CharField(_("reason"), max_length=24, choices=Reason.choices)
    two_factor_inputs = models.JSONField(_("inputs of the decision"), default=dict)
    policy_version = models.PositiveIntegerField(_("policy version"))
    approved_digest = models.BinaryField(_("approved digest"), max_length=32, null=True, editable=False)

    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    correlation_id = models.CharField(_("correlation id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))
    approved_at = models.DateTimeField(_("approved at"), null=True)
    completed_at = models.DateTimeField(_("completed at"), null=True)

    challenge: Challenge
    redemptions: RelatedManager[Redemption]
    lines: list[Redemption]
    """Its redemptions in the order in which they were asked for; set by the flow that locks or reads this row."""
    read_at: datetime
    """The database's time when a flow read or changed this row."""

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("campaign", "-created_at"), name="twofa_batch_campaign"),
            models.Index(fields=("updated_at",), condition=Q(status="completing"), name="twofa_batch_completing"),
        ]
        constraints = [
            models.UniqueConstraint(fields=("request_id", "storefront", "campaign"), name="twofa_batch_request"),
            models.CheckConstraint(condition=Q(count__gte=1, count__lte=MOST_LINES), name="twofa_batch_count"),
            models.CheckConstraint(condition=Q(total__gt=0, total__lt=10**14), name="twofa_batch_total"),
            models.CheckConstraint(
                condition=Q(approver__isnull=True) | ~Q(approver=F("participant")), name="twofa_batch_not_oneself"
            ),
            models.CheckConstraint(
                condition=~Q(status="pending_2fa_approval") | Q(two_factor_required=True),
                name="twofa_batch_pending_required",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=("completing", "completed", "partly_completed"))
                | Q(approved_digest__isnull=False),
                name="twofa_batch_approved_digest",
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

    def digest(self, lines: Iterable[Redemption]) -> bytes:
        """Return the digest of all that the token approves: the batch, and each of its lines as it stands.

        Over every line's own digest, in the order of their ids: a line that is changed, taken away or slipped in
        between the message and the token makes it another batch (RTS (EU) 2018/389 Art. 5(3)(b)).
        """
        in_order = sorted(lines, key=lambda line: line.pk)
        return tokens.digest(
            "batch/1",
            self.campaign_id,
            self.participant_id,
            self.storefront_id,
            self.request_id,
            self.approver_id,
            self.count,
            Decimal(self.total),
            self.unit,
            [line.digest() for line in in_order],
        )

    def move(self, *, at: datetime, **changes: Any) -> None:
        """Change state at ``at``, and count the version by which clients drop what they see out of order."""
        self.change(updated_at=at, version=self.version + 1, guard=("version",), **changes)

    @property
    def is_final(self) -> bool:
        """Tell whether its status can no longer change."""
        return self.status in self.FINAL
