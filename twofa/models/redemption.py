"""Redemptions: one spending of points, and what was decided about it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa import tokens
from twofa.exceptions import TransitionRefused
from twofa.models.campaign import Campaign
from twofa.models.ids import uuid7
from twofa.models.participant import Participant
from twofa.models.policy import Reason
from twofa.models.redemption_batch import RedemptionBatch
from twofa.models.states import StateMachine, final_states
from twofa.models.storefront import Storefront

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from twofa.models.challenge import Challenge


_UNTAKEN = Q(status="scheduled", due_at=F("scheduled_for"))


class RedemptionQuerySet(models.QuerySet["Redemption"]):
    def due(self, at: datetime) -> Self:
        """Rows whose next call of the points system is due at ``at``."""
        return self.filter(due_at__lte=at)

    def first_due(self, at: datetime) -> Self:
        """Rows among those whose scheduled time has come, and that nobody has taken yet."""
        return self.due(at).filter(_UNTAKEN)

    def due_again(self, at: datetime) -> Self:
        """Rows among all others that are due."""
        return self.due(at).exclude(_UNTAKEN)

    def parked(self) -> Self:
        """Rows whose completion waits for staff; one of them alone: ``Redemption.is_parked``."""
        return self.filter(parked_at__isnull=False, status__in=Redemption.COMPLETABLE)


class Redemption(StateMachine):
    """A purchase with points, owned by the storefront that opened it."""

    class Status(models.TextChoices):
        PENDING = "pending_2fa_approval", _("waits for its token")
        APPROVED = "approved", _("approved")
        SCHEDULED = "scheduled", _("scheduled")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    class Points(models.TextChoices):
        NONE = "none", pgettext_lazy("points", "none")
        RESERVED = "reserved", pgettext_lazy("points", "set aside")
        COMPLETED = "completed", pgettext_lazy("points", "spent")
        RELEASED = "released", pgettext_lazy("points", "given back")

    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.APPROVED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED}),
            Status.APPROVED: frozenset({Status.SCHEDULED, Status.COMPLETED, Status.FAILED}),
            Status.SCHEDULED: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
            Status.COMPLETED: frozenset(),
            Status.FAILED: frozenset(),
            Status.REJECTED: frozenset(),
            Status.EXPIRED: frozenset(),
            Status.CANCELLED: frozenset(),
        },
        "points": {
            Points.NONE: frozenset({Points.RESERVED}),
            Points.RESERVED: frozenset({Points.COMPLETED, Points.RELEASED}),
            Points.COMPLETED: frozenset(),
            Points.RELEASED: frozenset(),
        },
    }
    FINAL = final_states(MACHINES["status"])
    COMPLETABLE = (Status.APPROVED, Status.SCHEDULED)
    """From where it may be completed: of what is scheduled, once its time has come."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    storefront = models.ForeignKey(Storefront, models.PROTECT, related_name="redemptions", verbose_name=_("storefront"))
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="redemptions", verbose_name=_("campaign"))
    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="redemptions", verbose_name=_("participant")
    )
    # The indexes of these two are below: few redemptions have either.
    approver = models.ForeignKey(
        Participant,
        models.PROTECT,
        null=True,
        db_index=False,
        related_name="redemptions_to_approve",
        verbose_name=_("approver"),
    )
    batch = models.ForeignKey(
        RedemptionBatch,
        models.PROTECT,
        null=True,
        db_index=False,
        related_name="redemptions",
        verbose_name=_("batch"),
    )
    order_id = models.CharField(_("order id"), max_length=128)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    unit = models.CharField(_("unit"), max_length=20)
    description = models.CharField(_("description"), max_length=200)
    items = models.JSONField(_("items"), default=list)
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True)
    test = models.BooleanField(_("test"), default=False)

    status = models.CharField(_("status"), max_length=20, choices=Status.choices)
    points = models.CharField(_("points"), max_length=10, choices=Points.choices, default=Points.NONE)
    failure_code = models.CharField(_("failure code"), max_length=64, blank=True)
    failure_detail = models.CharField(_("failure detail"), max_length=200, blank=True)

    two_factor_required = models.BooleanField(_("two-factor required"))
    two_factor_reason = models.CharField(_("reason"), max_length=24, choices=Reason.choices)
    two_factor_inputs = models.JSONField(_("inputs of the decision"), default=dict)
    policy_version = models.PositiveIntegerField(_("policy version"))
    approved_digest = models.BinaryField(_("approved digest"), max_length=32, null=True, editable=False)

    completion_tries = models.PositiveSmallIntegerField(_("failed calls"), default=0)
    due_at = models.DateTimeField(_("due at"), null=True, editable=False)
    parked_at = models.DateTimeField(_("parked at"), null=True, blank=True)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    correlation_id = models.CharField(_("correlation id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))
    approved_at = models.DateTimeField(_("approved at"), null=True)
    completed_at = models.DateTimeField(_("completed at"), null=True)

    objects = RedemptionQuerySet.as_manager()
    challenge: Challenge
    is_active: bool
    """Whether campaign and participant are; set by the flow that locks this row for its completion."""
    is_confirmed: bool
    """Whether a token approved it, its own or its batch's, or none was asked for; set by the same flow."""
    is_asked_alone: bool
    """Whether it has a challenge of its own, which no line of a batch has; set by the flow that locks a batch."""
    executable_until: datetime | None
    """When it is too late for the first try of what was scheduled; set by the same flow."""
    message_switches: dict[str, bool]
    """Its campaign's; set by the same flow."""
    read_at: datetime
    """The database's time when a flow read or changed this row: what an answer about it is true for."""

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        ordering = ("-created_at", "-id")
        permissions = [
            ("cancel_redemption", _("Can cancel a redemption")),
            ("retry_completion", _("Can retry a parked completion")),
            ("fail_completion", _("Can fail a parked completion")),
            ("resend_token", _("Can send the token of a redemption again")),
            ("export_redemptions", _("Can export redemptions")),
        ]
        indexes = [
            models.Index(fields=("storefront", "campaign", "-created_at", "-id"), name="twofa_redemption_list"),
            models.Index(fields=("participant", "created_at"), name="twofa_redemption_sum"),
            models.Index(fields=("due_at",), condition=Q(due_at__isnull=False), name="twofa_redemption_due"),
            models.Index(fields=("parked_at",), condition=Q(parked_at__isnull=False), name="twofa_redemption_parked"),
            # Staff look for what did not end well, newest first, and it is rare: without this the list walks them all.
            # A checkout and an approval write one small entry each; what is completed, nearly all, is not in it.
            models.Index(
                fields=("status", "id"), condition=~Q(status="completed"), name="twofa_redemption_not_completed"
            ),
            models.Index(fields=("approver",), condition=Q(approver__isnull=False), name="twofa_redemption_approver"),
            models.Index(fields=("batch", "id"), condition=Q(batch__isnull=False), name="twofa_redemption_batch"),
            # For the days of staff's schedule: what waits for its time alone is in it.
            models.Index(fields=("scheduled_for",), condition=Q(status="scheduled"), name="twofa_redemption_scheduled"),
            # Free for real redemptions: those of test campaigns alone are in it.
            models.Index(fields=("id",), condition=Q(test=True), name="twofa_redemption_test"),
        ]
        constraints = [
            # The order id first, so that staff find one by it alone: the same index, for nothing more to write.
            models.UniqueConstraint(fields=("order_id", "storefront", "campaign"), name="twofa_redemption_order"),
            # Below, too: to PostgreSQL NaN and Infinity are numbers, and greater than any other.
            models.CheckConstraint(condition=Q(amount__gt=0, amount__lt=10**12), name="twofa_redemption_amount"),
            models.CheckConstraint(
                condition=~Q(status="completed") | Q(points="completed", completed_at__isnull=False),
                name="twofa_redemption_completed_spent",
            ),
            models.CheckConstraint(
                condition=~Q(points="completed") | Q(status="completed"), name="twofa_redemption_spent_completed"
            ),
            models.CheckConstraint(
                condition=~Q(status="pending_2fa_approval") | Q(two_factor_required=True),
                name="twofa_redemption_pending_required",
            ),
            models.CheckConstraint(
                condition=Q(approver__isnull=True) | ~Q(approver=F("participant")), name="twofa_redemption_not_oneself"
            ),
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(scheduled_for__isnull=False),
                name="twofa_redemption_scheduled_for",
            ),
            # What goes beyond waiting was approved by a token for a digest, or is exempt by the stored decision.
            models.CheckConstraint(
                condition=~Q(status__in=("approved", "scheduled", "completed"))
                | Q(two_factor_required=False)
                | Q(approved_digest__isnull=False),
                name="twofa_redemption_approved_digest",
            ),
        ]

    def __str__(self) -> str:
        return self.order_id

    def digest(self) -> bytes:
        """Return the digest of all that the token approves, from the row as it stands.

        Recomputed at confirm and before completion, so that nobody who can write to the table, by injection, in the
        admin or by a bug, spends other points than those in the message (RTS (EU) 2018/389 Art. 5(1)(d)).
        """
        return tokens.digest(
            "redemption/1",
            self.campaign_id,
            self.participant_id,
            self.storefront_id,
            self.order_id,
            Decimal(self.amount),
            self.unit,
            self.description,
            tokens.plain(self.items),
            self.approver_id,
            self.scheduled_for,
        )

    def is_as_approved(self) -> bool:
        """Tell whether this is the content that a token approved, or that the stored decision exempted from one."""
        return self.approved_digest is not None and tokens.is_sealed([bytes(self.approved_digest)], self.digest())

    def move(self, *, at: datetime, **changes: Any) -> None:
        """Change state at ``at``, and count the version by which clients drop what they see out of order."""
        self.change(updated_at=at, version=self.version + 1, guard=("version",), **changes)

    @classmethod
    def move_all(
        cls,
        rows: Sequence[Redemption],
        *,
        at: datetime,
        each: Mapping[str, Mapping[UUID, Any]] | None = None,
        **changes: Any,
    ) -> None:
        """Change several rows, which the caller has locked, as :meth:`move` changes one: in one statement.

        ``each`` gives a column a value of its own for each row, by its key. Raises: TransitionRefused.
        """
        if not rows:
            return
        for row in rows:
            row.ensure_may(changes)
        keys, varied = [row.pk for row in rows], each or {}
        present = {"status__in": {row.status for row in rows}, "points__in": {row.points for row in rows}}
        changed = cls.objects.filter(pk__in=keys, **present).update(
            version=F("version") + 1,
            updated_at=at,
            **changes,
            **{name: _by_key(cls._meta.get_field(name), values) for name, values in varied.items()},
        )
        if changed != len(rows):
            raise TransitionRefused(expected=present)
        for row in rows:
            for name, value in {**changes, **{name: values[row.pk] for name, values in varied.items()}}.items():
                setattr(row, name, value)
            row.version, row.updated_at = row.version + 1, at

    @property
    def deciding_challenge(self) -> Challenge | None:
        """Return the challenge that decides about it, of a line its batch's; None where no token is asked for."""
        if not self.two_factor_required:
            return None
        # Nor where somebody took a line out of its batch by hand: it has none of its own.
        return getattr(self if self.batch is None else self.batch, "challenge", None)

    @property
    def is_final(self) -> bool:
        """Tell whether its status can no longer change."""
        return self.status in self.FINAL

    @property
    def is_time(self) -> bool:
        """Tell whether, when it was read, the time had come that it is scheduled for."""
        return self.scheduled_for is None or self.scheduled_for <= self.read_at

    @property
    def is_parked(self) -> bool:
        """Tell whether its completion waits for staff: the machine has given up, and no deadline ends it."""
        return self.parked_at is not None and self.status in self.COMPLETABLE

    @property
    def owes_release(self) -> bool:
        """Tell whether its points must still be given back; of many rows: :meth:`owing_release`."""
        return self.points == self.Points.RESERVED and self.is_final and self.status != self.Status.COMPLETED

    @classmethod
    def owing_release(cls) -> Q:
        """Return the condition of rows whose points must still be given back."""
        return Q(points=cls.Points.RESERVED, status__in=[s for s in cls.FINAL if s != cls.Status.COMPLETED])


def _by_key(field: Any, values: Mapping[UUID, Any]) -> Case:
    return Case(*(When(pk=key, then=Value(value, output_field=field)) for key, value in values.items()))
