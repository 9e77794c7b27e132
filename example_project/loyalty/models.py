"""A double-entry ledger of points.

A transfer takes from one account what it gives to another, so the books sum to zero by their shape, and not because
every writer took care. Written by :mod:`example_project.loyalty.ledger` alone.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from twofa.models import Campaign, Participant


class Account(models.Model):
    """Where points are: two accounts of each participant, and two of each campaign.

    A participant's accounts carry their balance. The campaign's do not: every purchase of the campaign would wait for
    that one row. Their balance is the sum of their transfers.
    """

    class Kind(models.TextChoices):
        AVAILABLE = "available", _("available")
        RESERVED = "reserved", _("set aside")
        ISSUED = "issued", _("issued")
        SPENT = "spent", _("spent")

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="+", verbose_name=_("campaign"))
    participant = models.ForeignKey(
        Participant, models.PROTECT, null=True, blank=True, related_name="accounts", verbose_name=_("participant")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    balance = models.DecimalField(_("balance"), max_digits=16, decimal_places=2, null=True, blank=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ("campaign", "participant", "kind")
        constraints = [
            models.UniqueConstraint(
                fields=("participant", "kind"),
                condition=Q(participant__isnull=False),
                name="loyalty_account_participant",
            ),
            models.UniqueConstraint(
                fields=("campaign", "kind"), condition=Q(participant__isnull=True), name="loyalty_account_campaign"
            ),
            models.CheckConstraint(
                condition=Q(participant__isnull=False, kind__in=("available", "reserved"), balance__gte=0)
                | Q(participant__isnull=True, kind__in=("issued", "spent"), balance__isnull=True),
                name="loyalty_account_never_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participant or self.campaign}: {self.get_kind_display()}"


class TransferQuerySet(models.QuerySet["Transfer"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise PermissionDenied(_("Transfers are never changed. Post another one."))

    def delete(self) -> NoReturn:
        raise PermissionDenied(_("Transfers are never deleted. Post another one."))


class Transfer(models.Model):
    """Points that left one account for another. Never changed, never deleted.

    ``key`` is unique, so whatever is posted twice is posted once. Spending and giving back what one redemption set
    aside share a key: only one of them can ever happen.
    """

    class Kind(models.TextChoices):
        GRANT = "grant", _("granted")
        RESERVE = "reserve", _("set aside")
        SPEND = "spend", _("spent")
        RELEASE = "release", _("given back")

    key = models.CharField(_("key"), max_length=150, unique=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    source = models.ForeignKey(Account, models.PROTECT, related_name="outgoing", verbose_name=_("from"))
    target = models.ForeignKey(Account, models.PROTECT, related_name="incoming", verbose_name=_("to"))
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects: ClassVar[models.Manager[Transfer]] = models.Manager.from_queryset(TransferQuerySet)()

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="loyalty_transfer_amount"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="loyalty_transfer_two_accounts"),
        ]

    def __str__(self) -> str:
        return self.key

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise PermissionDenied(_("Transfers are never changed. Post another one."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise PermissionDenied(_("Transfers are never deleted. Post another one."))
