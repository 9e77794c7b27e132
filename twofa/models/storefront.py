"""Storefronts, and the keys by which their backends prove who they are."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.models.policy import CompletionMode

if TYPE_CHECKING:
    from twofa.models.campaign import Campaign

KEY_MARK = "twofa"
MAX_LIVE_KEYS = 2
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
# What a key's text looks like. Strict, because its prefix is looked up: no database takes a NUL in a text.
_KEY = re.compile(rf"{KEY_MARK}_(?P<prefix>[0-9a-f]{{{2 * _PREFIX_BYTES}}})_.")


class Scope(models.TextChoices):
    """What a key, or a token of OAuth2, may be used for: a part of the API. A leaked one opens no other part."""

    CHECKOUT = "checkout", _("checkout: redemptions and batches")
    ONBOARDING = "onboarding", _("onboarding: participants, devices and documents")
    CHALLENGES = "challenges", _("challenges: logins, step-ups and contacts")


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return what stored ``scopes`` open: none named is all. One that is no more opens nothing."""
    named = frozenset(scopes)
    return named & frozenset(Scope.values) if named else frozenset(Scope.values)


class Storefront(models.Model):
    """An integrator: a backend that calls the API with a key. Serves the campaigns that staff gave it."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    campaigns: models.ManyToManyField[Campaign, models.Model] = models.ManyToManyField(
        "twofa.Campaign", related_name="storefronts", blank=True, verbose_name=_("campaigns")
    )
    is_active = models.BooleanField(_("active"), default=True)
    completion_mode = models.CharField(
        _("completion"),
        max_length=5,
        choices=CompletionMode.choices,
        blank=True,
        default="",
        db_default="",
        help_text=_("Empty: as the campaign says."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("storefront")
        verbose_name_plural = _("storefronts")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class StorefrontKeyQuerySet(models.QuerySet["StorefrontKey"]):
    def live(self, at: datetime) -> Self:
        """Keys that open the door at ``at``."""
        unexpired = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=at)
        return self.filter(unexpired, revoked_at__isnull=True)


class StorefrontKey(models.Model):
    """A storefront's key: its public prefix, and a hash of the whole.

    A plain SHA-256 is enough here, where it would not be for a password: the secret is 256 random bits, so there is
    nothing to guess and nothing for a slow hash to slow down.
    """

    storefront = models.ForeignKey(Storefront, models.CASCADE, related_name="keys", verbose_name=_("storefront"))
    prefix = models.CharField(
        _("prefix"), max_length=24, unique=True, validators=[RegexValidator(r"^[0-9a-f]+\Z")], editable=False
    )
    hashed_key = models.BinaryField(_("hash"), max_length=32, editable=False)
    scopes = models.JSONField(
        _("scopes"), default=list, db_default=[], blank=True, editable=False, help_text=_("None named: all.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    objects = StorefrontKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("storefront key")
        verbose_name_plural = _("storefront keys")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{KEY_MARK}_{self.prefix}_…"

    @classmethod
    def mint(
        cls, storefront: Storefront, *, expires_at: datetime | None, scopes: Iterable[str] = ()
    ) -> tuple[StorefrontKey, str]:
        """Build an unsaved key and its text, which exists only here and is shown once."""
        prefix = secrets.token_hex(_PREFIX_BYTES)
        text = f"{KEY_MARK}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        columns = {"prefix": prefix, "hashed_key": cls.digest(text), "expires_at": expires_at, "scopes": list(scopes)}
        return cls(storefront=storefront, **columns), text

    @staticmethod
    def digest(text: str) -> bytes:
        """Return what is stored of a key."""
        return hashlib.sha256(text.encode()).digest()

    @staticmethod
    def prefix_of(text: str) -> str | None:
        """Return the prefix of a key's text, or None where it does not look like one of ours."""
        known = _KEY.match(text)
        return known["prefix"] if known else None

    def opens(self, text: str) -> bool:
        """Tell whether ``text`` is this key, in constant time."""
        return hmac.compare_digest(bytes(self.hashed_key), self.digest(text))

    def is_live(self, at: datetime) -> bool:
        """Tell whether it is neither revoked nor expired at ``at``."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)
