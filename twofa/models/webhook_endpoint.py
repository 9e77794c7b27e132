"""Endpoints of webhooks: where a storefront is told of what happens, and the seeds of the secrets that sign it."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa import networks, tokens
from twofa.conf import conf
from twofa.models.ids import uuid7
from twofa.models.storefront import Storefront

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

WEBHOOKS: dict[str, StrOrPromise] = {
    "redemption.pending": _("Redemption waits for its token"),
    "redemption.approved": _("Redemption approved"),
    "redemption.scheduled": _("Redemption scheduled"),
    "redemption.completed": _("Redemption completed"),
    "redemption.failed": _("Redemption failed"),
    "redemption.rejected": _("Redemption rejected"),
    "redemption.expired": _("Redemption expired"),
    "redemption.cancelled": _("Redemption cancelled"),
    "batch.pending": _("Batch waits for its token"),
    "batch.approved": _("Batch approved"),
    "batch.completed": _("Batch completed"),
    "batch.partly_completed": _("Batch completed in part"),
    "batch.failed": _("Batch failed"),
    "batch.rejected": _("Batch rejected"),
    "batch.expired": _("Batch expired"),
    "batch.cancelled": _("Batch cancelled"),
    "challenge.approved": _("Challenge approved"),
    "challenge.rejected": _("Challenge rejected"),
    "challenge.expired": _("Challenge expired"),
    "challenge.cancelled": _("Challenge cancelled"),
    "token.undeliverable": _("Token cannot be delivered"),
    "device.activated": _("Device verified"),
    "device.revoked": _("Device revoked"),
    "device.held": _("Device held: it was reported"),
    "device.released": _("Device released by staff"),
    "document.approved": _("Identity document approved"),
    "document.rejected": _("Identity document rejected"),
    "participant.onboarded": _("Onboarding complete"),
}
"""What storefronts are told of, and what staff call it."""
PING = "ping.test"
"""What the test button sends: to the endpoint that asks for it, whatever else it wants to hear of."""


SUBJECTS: dict[str, StrOrPromise] = {
    "redemption": _("redemptions"),
    "batch": _("batches"),
    "challenge": _("challenges"),
    "token": _("tokens"),
    "device": _("devices"),
    "document": _("identity documents"),
    "participant": _("participants"),
}
"""The first words of the types: each stands for all that begin with it, those that are added later too."""


_EXCEPTION = _("In development, TWOFA_WEBHOOK_PRIVATE_HOSTS may name its host: that one is called over http too.")
_FLAWS: dict[networks.Flaw, StrOrPromise] = {
    networks.Flaw.SCHEME: format_lazy("{} {}", _("The URL must begin with “https://”."), _EXCEPTION),
    networks.Flaw.PORT: format_lazy("{} {}", _("Leave the port out: webhooks go to port 443."), _EXCEPTION),
    networks.Flaw.USER: _("Leave user and password out: what arrives is verified by its signature."),
    networks.Flaw.FRAGMENT: _("Leave out “#” and what follows: it is never sent."),
    networks.Flaw.PRIVATE: format_lazy("{} {}", _("Its host is a private address, not a public one."), _EXCEPTION),
    networks.Flaw.OTHER: _("Give a plain URL such as https://shop.example/webhooks, without spaces and accents."),
}
"""What is wrong with a URL, to whoever typed it."""


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def told(self, *, storefront_id: int | None, campaign_id: int | None) -> WebhookEndpointQuerySet:
        """Those of a storefront, or without one those of every storefront that serves a campaign."""
        active = self.filter(is_active=True)
        if storefront_id is not None:
            return active.filter(storefront=storefront_id)
        return active.filter(storefront__campaigns=campaign_id)


class WebhookEndpoint(models.Model):
    """One URL of a storefront.

    Its secret is derived from ``seed`` and a key of the ring, so that a dump of the database signs nothing. After a
    rotation the former seed signs as well until ``previous_until``: the storefront changes over without a gap.
    """

    class Disabled(models.TextChoices):
        GONE = "gone", _("it said that it is gone for good (410)")
        DEAD = "dead", _("it took nothing for five days")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    storefront = models.ForeignKey(
        Storefront, models.CASCADE, related_name="webhook_endpoints", verbose_name=_("storefront")
    )
    url = models.CharField(
        _("URL"), max_length=500, help_text=_("https on port 443, on a public address. Without secrets in it.")
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    events = models.JSONField(
        _("what it is told"),
        default=list,
        blank=True,
        help_text=_("Types, or their first words, as a JSON list: [“redemption”, “device.revoked”]. Empty: all."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("An endpoint that is switched off is told nothing, then or later.")
    )
    disabled_at = models.DateTimeField(_("disabled by the machine"), null=True, editable=False)
    disabled_reason = models.CharField(
        pgettext_lazy("webhook endpoint", "disabled because"),
        max_length=8,
        choices=Disabled.choices,
        blank=True,
        editable=False,
    )
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, editable=False)
    seed = models.BinaryField(_("seed"), max_length=tokens.SEED_BYTES, editable=False)
    kid = models.CharField(_("key id"), max_length=64, editable=False)
    secret_number = models.PositiveIntegerField(_("secret number"), default=1, editable=False)
    previous_seed = models.BinaryField(_("former seed"), max_length=tokens.SEED_BYTES, null=True, editable=False)
    previous_kid = models.CharField(_("former key id"), max_length=64, blank=True, editable=False)
    previous_until = models.DateTimeField(_("former secret signs until"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = WebhookEndpointQuerySet.as_manager()
    SECRET_COLUMNS = ("seed", "previous_seed")
    """What no page shows, so that none reads it."""

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=("storefront", "url"),
                name="twofa_endpoint_url",
                violation_error_message=_("This storefront has an endpoint with this URL already."),
            ),
            models.CheckConstraint(
                condition=Q(disabled_at__isnull=True, disabled_reason="")
                | Q(disabled_at__isnull=False) & ~Q(disabled_reason=""),
                name="twofa_endpoint_disabled",
            ),
            models.CheckConstraint(
                condition=Q(previous_seed__isnull=True) | Q(previous_until__isnull=False), name="twofa_endpoint_former"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Refuse a URL where no webhook may go, and types that do not exist. Raises: ValidationError."""
        errors: dict[str, Any] = {}
        try:
            networks.target_of(self.url, private_hosts=conf.webhook_private_hosts)
        except networks.NoTarget as refusal:
            errors["url"] = _FLAWS[refusal.flaw]
        known = {*WEBHOOKS, *SUBJECTS}
        if not isinstance(self.events, list) or not all(isinstance(type_, str) for type_ in self.events):
            errors["events"] = _("Give a list of types, such as [“redemption”, “device.revoked”].")
        elif unknown := sorted(set(self.events) - known):
            errors["events"] = _("There are no webhooks of this type: %(types)s.") % {"types": ", ".join(unknown)}
        if errors:
            raise ValidationError(errors)

    def hears(self, type_: str) -> bool:
        """Tell whether it wants to be told of a type."""
        return not self.events or type_ in self.events or type_.partition(".")[0] in self.events

    def is_open(self) -> bool:
        """Tell whether anything is sent to it: switched off neither by staff nor by the machine."""
        return self.is_active and self.disabled_at is None

    def is_paused(self, at: datetime) -> bool:
        """Tell whether it is left alone for a while at ``at``, because it failed."""
        return self.paused_until is not None and self.paused_until > at

    def renew_secret(self) -> None:
        """Take a new seed, under the key that issues now."""
        self.seed, self.kid = secrets.token_bytes(tokens.SEED_BYTES), tokens.issuing_kid()

    def secret(self) -> bytes:
        """Return what signs. Raises: tokens.UnknownKey."""
        return tokens.webhook_secret(self.id, bytes(self.seed), kid=self.kid)

    def secrets(self, at: datetime) -> list[bytes]:
        """Return all that sign at ``at``: after a rotation the former one as well. Raises: tokens.UnknownKey.

        Not for the former one: it may have been rotated because its key is gone, and the new one signs by itself.
        """
        signing = [self.secret()]
        if self.previous_seed is not None and self.previous_until is not None and self.previous_until > at:
            with suppress(tokens.UnknownKey):
                signing.append(tokens.webhook_secret(self.id, bytes(self.previous_seed), kid=self.previous_kid))
        return signing
