"""Approvers: participants whom staff entitled to approve what another one redeems."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from twofa.models.campaign import Campaign
from twofa.models.participant import Participant


class Approver(models.Model):
    """One entitlement: who approves, for whom, up to which amount, until when, and who stands in."""

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, db_index=False, related_name="approvers", verbose_name=_("campaign")
    )
    participant = models.ForeignKey(
        Participant,
        models.PROTECT,
        related_name="entitlements",
        verbose_name=_("approver"),
        help_text=_("Who receives the token and decides."),
    )
    requester = models.ForeignKey(
        Participant,
        models.PROTECT,
        related_name="approvers",
        verbose_name=_("requester"),
        help_text=_("Whose redemptions they may approve."),
    )
    deputy = models.ForeignKey(
        Participant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="deputised_entitlements",
        verbose_name=_("deputy"),
        help_text=_(
            "Stands in with the same limits: named by the storefront, or where the approver cannot be reached."
        ),
    )
    max_amount = models.DecimalField(
        _("up to"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text=_("The largest redemption, or batch as a whole. Empty: any."),
    )
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True, help_text=_("Empty: until revoked."))
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("approver")
        verbose_name_plural = _("approvers")
        ordering = ("-id",)
        indexes = [models.Index(fields=("campaign", "-id"), name="twofa_approver_campaign")]
        constraints = [
            models.UniqueConstraint(
                fields=("requester", "participant"),
                condition=Q(is_active=True),
                name="twofa_approver_once",
                violation_error_message=_("This approver is entitled for this requester already."),
            ),
            # Whoever approves what they ask for themselves is no second person. That all of them are of one campaign is
            # held on PostgreSQL by foreign keys of two columns: see the migration.
            models.CheckConstraint(
                condition=~Q(participant=F("requester")),
                name="twofa_approver_not_oneself",
                violation_error_message=_("Nobody approves their own redemptions: choose another participant."),
            ),
            models.CheckConstraint(
                condition=Q(deputy__isnull=True) | ~Q(deputy=F("requester")) & ~Q(deputy=F("participant")),
                name="twofa_approver_deputy",
                violation_error_message=_("The deputy is a third person: neither the requester nor the approver."),
            ),
            models.CheckConstraint(
                condition=Q(max_amount__isnull=True) | Q(max_amount__gt=0, max_amount__lt=10**12),
                name="twofa_approver_max_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participant} → {self.requester}"

    def clean(self) -> None:
        """Refuse people of different campaigns."""
        people = {"participant": self.participant_id, "requester": self.requester_id, "deputy": self.deputy_id}
        known = dict(
            Participant.objects.filter(pk__in=[pk for pk in people.values() if pk]).values_list("pk", "campaign_id")
        )
        errors = {
            name: _("They are not a member of this campaign.")
            for name, pk in people.items()
            if pk is not None and known.get(pk) != self.campaign_id
        }
        if errors:
            raise ValidationError(errors)
