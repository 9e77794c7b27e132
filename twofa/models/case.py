"""Cases: somebody who received a message said "it was not me", and staff look into it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.models.campaign import Campaign
from twofa.models.challenge import Challenge
from twofa.models.device import Device
from twofa.models.ids import uuid7
from twofa.models.participant import Participant
from twofa.models.redemption import Redemption
from twofa.models.states import StateMachine

DENIAL_LIFE = timedelta(days=30)
"""How long after the end of its challenge a link "it was not me" is valid: people read their mail late, and a link in
an old mailbox must not hold devices for ever."""


class Case(StateMachine):
    """One report, with what it is about. ``too_late``: the token had approved already, and nothing could be stopped."""

    class Status(models.TextChoices):
        OPEN = "open", pgettext_lazy("case", "open")
        CLOSED = "closed", pgettext_lazy("case", "closed")

    class Outcome(models.TextChoices):
        """What staff found."""

        FRAUD = "fraud", _("fraud: it was somebody else")
        MISTAKE = "mistake", _("mistake: it was the participant")
        OTHER = "other", _("something else")

    MACHINES = {"status": {Status.OPEN: frozenset({Status.CLOSED}), Status.CLOSED: frozenset()}}

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    campaign = models.ForeignKey(
        Campaign, models.PROTECT, db_index=False, related_name="cases", verbose_name=_("campaign")
    )
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="cases", verbose_name=_("participant"))
    challenge = models.ForeignKey(Challenge, models.PROTECT, related_name="cases", verbose_name=_("challenge"))
    redemption = models.ForeignKey(
        Redemption, models.PROTECT, null=True, related_name="cases", verbose_name=_("redemption")
    )
    device = models.ForeignKey(
        Device, models.SET_NULL, null=True, related_name="cases", verbose_name=_("device that is held")
    )
    # Where the link came from: after a failover it is another one than the device that the last token went to.
    reported_from = models.ForeignKey(
        Device, models.SET_NULL, null=True, db_index=False, related_name="+", verbose_name=_("reported from")
    )
    too_late = models.BooleanField(_("after the approval"), default=False)
    status = models.CharField(_("status"), max_length=6, choices=Status.choices, default=Status.OPEN)
    outcome = models.CharField(_("outcome"), max_length=7, choices=Outcome.choices, blank=True)
    note = models.TextField(_("note"), max_length=2000, blank=True)
    correlation_id = models.CharField(_("correlation id"), max_length=128)
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("closed at"), null=True)
    # Protected: a member of staff who has left is deactivated, as Django advises, and the trail keeps its names.
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("closed by")
    )

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = [("close_case", _("Can close a case"))]
        indexes = [
            # The queue: those who lost points first, then whoever has waited longest.
            models.Index(fields=("-too_late", "id"), condition=Q(status="open"), name="twofa_case_queue"),
            models.Index(fields=("closed_at",), condition=~Q(note=""), name="twofa_case_note"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("challenge",), condition=Q(status="open"), name="twofa_case_one_open_per_challenge"
            ),
            models.CheckConstraint(
                condition=Q(status="open", closed_at__isnull=True, closed_by__isnull=True, outcome="", note="")
                | Q(status="closed", closed_at__isnull=False, closed_by__isnull=False) & ~Q(outcome=""),
                name="twofa_case_closed",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)
