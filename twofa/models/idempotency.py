"""Idempotency records: the first answer to a key, kept for a day or longer."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.models.storefront import Storefront

CLAIM_LIFE = timedelta(seconds=60)
"""After this time a claim is free again: its process may have died."""


class IdempotencyRecord(models.Model):
    """One ``Idempotency-Key`` of one storefront on one path: claimed, then answered."""

    storefront = models.ForeignKey(
        Storefront, models.CASCADE, related_name="+", db_index=False, verbose_name=_("storefront")
    )
    path = models.CharField(_("path"), max_length=512)
    key = models.CharField(_("key"), max_length=255)
    # Keyed: the body of a confirm holds a 30-bit token, and a plain hash of it at rest would give it away.
    fingerprint = models.BinaryField(_("fingerprint"), max_length=32, editable=False)
    kid = models.CharField(_("key id"), max_length=64, editable=False)
    claimed_at = models.DateTimeField(_("claimed at"))
    answered_at = models.DateTimeField(_("answered at"), null=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    content_type = models.CharField(_("content type"), max_length=64, blank=True)
    body = models.TextField(_("body"), blank=True)

    class Meta:
        verbose_name = _("idempotency record")
        verbose_name_plural = _("idempotency records")
        indexes = [models.Index(fields=("claimed_at",), name="twofa_idempotency_claimed")]
        constraints = [
            models.UniqueConstraint(fields=("storefront", "path", "key"), name="twofa_idempotency_key"),
        ]

    def __str__(self) -> str:
        return self.key
