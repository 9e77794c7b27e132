"""Proposals to loosen a policy: what one member of staff asks for, and another one decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.models.campaign import Campaign

PROPOSAL_LIFE = timedelta(days=7)
"""After this time a proposal expires: it must not be approved when its reason may be forgotten or out of date."""


class PolicyChange(models.Model):
    """One proposal, with the values before and after as JSON: the requester and the approver are never one person."""

    class Status(models.TextChoices):
        PENDING = "pending", _("waits for a second person")
        APPROVED = "approved", pgettext_lazy("proposal", "approved")
        REJECTED = "rejected", pgettext_lazy("proposal", "rejected")
        WITHDRAWN = "withdrawn", pgettext_lazy("proposal", "withdrawn")
        EXPIRED = "expired", pgettext_lazy("proposal", "expired")

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="policy_changes", verbose_name=_("campaign"))
    policy_version = models.PositiveIntegerField(_("policy version"))
    before = models.JSONField(_("before"))
    after = models.JSONField(_("after"))
    loosens = models.JSONField(_("loosens"))
    reason = models.CharField(_("reason"), max_length=200)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    # Protected: a member of staff who has left is deactivated, as Django advises, and the trail keeps its names.
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("proposed by")
    )
    requested_at = models.DateTimeField(_("proposed at"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)

    class Meta:
        verbose_name = _("policy proposal")
        verbose_name_plural = _("policy proposals")
        ordering = ("-pk",)
        default_permissions = ("view",)
        permissions = [("approve_policy", _("Can approve what another person proposes for a campaign's policy"))]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status__in=("approved", "rejected"))
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("requested_by"))),
                name="twofa_policy_change_two_people",
            ),
            models.CheckConstraint(
                condition=Q(status="pending", decided_at__isnull=True, decided_by__isnull=True)
                | (~Q(status="pending") & Q(decided_at__isnull=False)),
                name="twofa_policy_change_decided",
            ),
            models.UniqueConstraint(
                fields=("campaign",), condition=Q(status="pending"), name="twofa_policy_change_one_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} #{self.pk}"

    def is_overdue(self, at: datetime) -> bool:
        """Tell whether nobody has decided for so long that it must be asked anew."""
        return self.requested_at <= at - PROPOSAL_LIFE

    def is_outdated(self, campaign: Campaign) -> bool:
        """Tell whether ``campaign`` is not any more what this was proposed against."""
        present = {name: plain(getattr(campaign, name)) for name in self.before}
        return campaign.policy_version != self.policy_version or present != self.before

    def values(self) -> dict[str, Any]:
        """Return the proposed values as the columns of a campaign hold them."""
        return {name: _parsed(name, value) for name, value in self.after.items()}


def plain(value: Any) -> Any:
    """Return a policy value as JSON keeps it: durations in seconds, decimals as texts."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if value is None or isinstance(value, bool | int | str | list) else str(value)


def _parsed(name: str, value: Any) -> Any:
    column: Any = Campaign._meta.get_field(name)
    if isinstance(column, models.DurationField) and value is not None:
        return timedelta(seconds=value)
    return column.to_python(value)
