"""Safe numbers: those of the host's own phones and partners, which the breaker never stops."""

from __future__ import annotations

from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, OuterRef, Q
from django.db.models.functions import Left, Length
from django.utils.translation import gettext_lazy as _


class SafeNumberQuerySet(models.QuerySet["SafeNumber"]):
    def living(self) -> Self:
        """Rows that nobody has removed."""
        return self.filter(removed_at=None)

    def of(self, column: str) -> Self:
        """Living rows that an outer query's number begins with; ``column`` is where that one keeps it."""
        return self.living().annotate(beginning=Left(OuterRef(column), Length("prefix"))).filter(beginning=F("prefix"))


class SafeNumber(models.Model):
    """A number, or the beginning of numbers, exempt from the breaker and from the budget of prefixes.

    From these two alone: the budgets of a participant, a destination and a campaign count what is sent there as well.
    """

    prefix = models.CharField(
        _("number, or its beginning"),
        max_length=16,
        validators=[RegexValidator(r"^\+[1-9][0-9]{3,14}\Z", _("Write it like +55119, with the country code."))],
        help_text=_("With the country code, and without spaces: +551199999 stands for all numbers that begin so."),
    )
    reason = models.CharField(_("reason"), max_length=200, help_text=_("Kept in the audit trail, with your name."))
    created_by = models.CharField(_("added by"), max_length=150)
    created_at = models.DateTimeField(_("created at"))
    removed_at = models.DateTimeField(_("removed at"), null=True)

    objects = SafeNumberQuerySet.as_manager()

    class Meta:
        verbose_name = _("safe number")
        verbose_name_plural = _("safe numbers")
        ordering = ("-id",)
        default_permissions = ("view", "add", "change")
        constraints = [
            models.UniqueConstraint(fields=("prefix",), condition=Q(removed_at=None), name="twofa_safe_number_once"),
        ]

    def __str__(self) -> str:
        return str(self.prefix)
