"""Deliveries: one sending of one generation, and the outbox row that makes sure of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.db import models
from django.db.models import Case, F, Min, Q, When
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import TransitionRefused
from twofa.models.challenge import Challenge
from twofa.models.device import Device
from twofa.models.message import MESSAGES
from twofa.models.policy import Channel
from twofa.models.states import StateMachine

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

COST_PLACES = 6
MOST_COST = Decimal(10**6)
"""Of one message, and never reached."""
_NOTICE = "notice"
_LONGEST_NUMBER = 19
"""Digits of a bigint, which no longer number fits."""


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def to(self, address: str) -> Self:
        """Those to one address; capitals make no other mailbox."""
        return self.filter(address__iexact=address)

    def due(self, at: datetime) -> Self:
        """Rows that a worker may take at ``at``: queued and due, or left behind by a worker that lost its lease."""
        queued = Q(status=Delivery.Status.QUEUED, due_at__lte=at)
        abandoned = Q(status=Delivery.Status.SENDING, leased_until__lte=at)
        return self.filter(queued | abandoned)

    def oldest_due(self, at: datetime) -> datetime | None:
        """Return since when the oldest row has been :meth:`due` at ``at``; each of them by its ``due_since``."""
        since = Case(When(status=Delivery.Status.SENDING, then=F("leased_until")), default=F("due_at"))
        oldest: datetime | None = self.due(at).aggregate(oldest=Min(since))["oldest"]
        return oldest

    def claim(self, pk: int, *, at: datetime, lease: timedelta) -> Delivery | None:
        """Take one due row for ``lease`` and return it, or None where another worker was first.

        One conditional UPDATE: of two workers, the second finds the condition false, on every database.
        """
        taken = (
            self.due(at)
            .filter(pk=pk)
            .update(status=Delivery.Status.SENDING, leased_until=at + lease, tries=F("tries") + 1)
        )
        return self.for_sending().get(pk=pk) if taken else None

    def renew(self, row: Delivery, *, at: datetime, lease: timedelta) -> Delivery:
        """Hold a claimed row for another ``lease``, and return it as it is now. Raises: TransitionRefused."""
        held = self.filter(pk=row.pk, status=Delivery.Status.SENDING, leased_until=row.leased_until)
        if not held.update(leased_until=at + lease):
            raise TransitionRefused
        return self.for_sending().get(pk=row.pk)

    def for_sending(self) -> Self:
        """Rows with all that a message speaks of."""
        return self.select_related(
            "campaign", "participant", "challenge__redemption", "challenge__batch", "challenge__subject"
        )

    def open(self) -> Self:
        """Rows that are still to be sent."""
        return self.filter(status__in=Delivery.OPEN)

    def of_key(self, key: str) -> Self:
        """Rows, one at most, with this ``idempotency_key``."""
        name, _colon, number = key.partition(":")
        if not (number.isascii() and number.isdecimal() and len(number) < _LONGEST_NUMBER):
            return self.none()
        if name == _NOTICE:
            return self.filter(pk=int(number), challenge=None)
        try:
            return self.filter(challenge_id=UUID(name), generation=int(number))
        except ValueError:
            return self.none()


class Delivery(StateMachine):
    """One sending of one generation over one channel to one contact."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("accepted by the provider")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")
        SUPERSEDED = "superseded", _("superseded")
        EXPIRED = "expired", _("expired")

    MACHINES = {
        "status": {
            Status.QUEUED: frozenset({Status.SENDING, Status.FAILED, Status.SUPERSEDED, Status.EXPIRED}),
            Status.SENDING: frozenset(
                {Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED, Status.SUPERSEDED, Status.EXPIRED}
            ),
            Status.SENT: frozenset({Status.DELIVERED, Status.FAILED}),
            Status.DELIVERED: frozenset(),
            Status.FAILED: frozenset(),
            Status.SUPERSEDED: frozenset(),
            Status.EXPIRED: frozenset(),
        }
    }
    OPEN = (Status.QUEUED, Status.SENDING)
    UNDELIVERED = (Status.FAILED, Status.EXPIRED)

    challenge = models.ForeignKey(
        Challenge,
        models.CASCADE,
        null=True,
        related_name="deliveries",
        verbose_name=_("challenge"),
        help_text=_("Empty for a notice, which carries no token."),
    )
    # Copied from the challenge, because the budgets of 24 hours are counted over them.
    campaign = models.ForeignKey(
        "twofa.Campaign", models.PROTECT, db_index=False, related_name="+", verbose_name=_("campaign")
    )
    participant = models.ForeignKey(
        "twofa.Participant", models.PROTECT, null=True, db_index=False, related_name="+", verbose_name=_("participant")
    )
    device = models.ForeignKey(Device, models.SET_NULL, null=True, related_name="+", verbose_name=_("device"))
    generation = models.PositiveSmallIntegerField(_("token number"), default=0)
    context = models.JSONField(_("context"), default=dict, help_text=_("What a notice speaks of; never a token."))
    event = models.CharField(_("message"), max_length=64)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    address = models.CharField(_("address"), max_length=254, editable=False)
    destination = models.CharField(_("destination"), max_length=254)
    # Of a phone that a provider charges for: the address without its last four digits. A column of its own, because
    # what is counted in the hot path must be found by an index.
    prefix = models.CharField(_("prefix"), max_length=16, blank=True, default="", db_default="")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(_("reason"), max_length=64, blank=True)
    reminted = models.BooleanField(_("made anew"), default=False)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    due_at = models.DateTimeField(_("due at"))
    leased_until = models.DateTimeField(_("leased until"), null=True)
    # Defaults of the database as well: during an upgrade, workers of the release before insert without these columns.
    provider = models.CharField(_("provider"), max_length=64, blank=True, default="", db_default="")
    provider_message_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    cost = models.DecimalField(
        _("cost"),
        max_digits=12,
        decimal_places=COST_PLACES,
        null=True,
        help_text=_("Of the list, or as the provider told it. Empty where nobody knows."),
    )
    # What the provider reported before we had recorded that it took the message; null once it is applied.
    early_report = models.JSONField(_("early report"), null=True, editable=False)
    correlation_id = models.CharField(_("correlation id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    sent_at = models.DateTimeField(_("sent at"), null=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-id",)
        indexes = [
            models.Index(fields=("due_at",), condition=Q(status__in=("queued", "sending")), name="twofa_delivery_due"),
            # Capitals make no other mailbox: whoever varies them would have a budget for each spelling.
            # In capitals, because that is how ``iexact`` asks.
            models.Index(Upper("address"), "created_at", name="twofa_delivery_contact"),
            models.Index(fields=("participant", "created_at"), name="twofa_delivery_participant"),
            # With the channel, so that the SMS of a day are counted in the index alone.
            models.Index(fields=("campaign", "created_at", "channel"), name="twofa_delivery_campaign"),
            # By the first the messages to one prefix are counted, by the second those prefixes are found that got any.
            models.Index(fields=("prefix", "created_at"), condition=~Q(prefix=""), name="twofa_delivery_prefix"),
            models.Index(fields=("created_at", "prefix"), condition=~Q(prefix=""), name="twofa_delivery_dialled"),
            # Receipts name a message by it.
            models.Index(
                fields=("provider_message_id",),
                condition=~Q(provider_message_id=""),
                name="twofa_delivery_provider_id",
            ),
            # For the list of staff. A message that goes out never enters it, and a waiting one has the first above.
            models.Index(
                fields=("status", "id"),
                condition=Q(status__in=("failed", "expired", "superseded")),
                name="twofa_delivery_unsent",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=("challenge", "generation"), name="twofa_delivery_generation"),
            models.CheckConstraint(
                condition=~Q(status="sending") | Q(leased_until__isnull=False), name="twofa_delivery_lease"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.destination} #{self.generation}"

    @property
    def message_label(self) -> StrOrPromise:
        """Return what staff call the message; one without a name is called by its event."""
        return MESSAGES.get(self.event, self.event)

    @property
    def due_since(self) -> datetime | None:
        """Return from when on a worker may take it: of one that a worker has, from the end of that worker's lease."""
        return self.leased_until if self.status == self.Status.SENDING else self.due_at

    @property
    def idempotency_key(self) -> str:
        """Return what a provider may use to drop a repeated message: one per generation, the same on every try."""
        return f"{self.challenge_id}:{self.generation}" if self.challenge_id else f"{_NOTICE}:{self.pk}"
