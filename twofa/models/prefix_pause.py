"""Pauses of number prefixes: many messages went there, and hardly a token came back."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class PrefixPauseQuerySet(models.QuerySet["PrefixPause"]):
    def open(self) -> Self:
        """Pauses that nobody has ended, though their time may be over."""
        return self.filter(ended_at=None)

    def running(self, at: datetime) -> Self:
        """Pauses that keep messages back at ``at``."""
        return self.open().filter(paused_until__gt=at)

    def overdue(self, at: datetime) -> Self:
        """Pauses whose time is over and that the sweeper has not ended yet."""
        return self.open().filter(paused_until__lte=at)


class PrefixPause(models.Model):
    """A prefix that gets no message until ``paused_until``, or until staff lift it.

    A prefix is a phone number without its last four digits: the 10^4 numbers that a fraud ring rents as one range.
    """

    prefix = models.CharField(_("prefix"), max_length=16)
    sends = models.PositiveIntegerField(_("messages"))
    confirmations = models.PositiveIntegerField(_("confirmed"))
    paused_at = models.DateTimeField(_("paused at"))
    paused_until = models.DateTimeField(_("paused until"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    lifted_by = models.CharField(_("lifted by"), max_length=150, blank=True)

    objects = PrefixPauseQuerySet.as_manager()

    class Meta:
        verbose_name = _("pause of a prefix")
        verbose_name_plural = _("pauses of prefixes")
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = [("lift_prefixpause", _("Can let messages go to a paused prefix again"))]
        indexes = [models.Index(fields=("prefix", "-ended_at"), name="twofa_prefix_pause_ended")]
        constraints = [
            # Two sweepers find the same prefix at the same moment: one of them pauses it.
            models.UniqueConstraint(fields=("prefix",), condition=Q(ended_at=None), name="twofa_prefix_pause_one_open"),
            models.CheckConstraint(
                condition=Q(lifted_by="") | Q(ended_at__isnull=False), name="twofa_prefix_pause_lifted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def is_running(self, at: datetime) -> bool:
        """Tell whether it keeps messages back at ``at``."""
        return self.ended_at is None and self.paused_until > at
