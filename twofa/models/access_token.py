"""Access tokens: what a participant's own app calls the API with, after a login."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.models.participant import Participant
from twofa.models.storefront import Storefront

TOKEN_MARK = "twofa_at"
"""Told apart from a key of a storefront, whose second part is hexadecimal: no text is both."""
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_TOKEN = re.compile(rf"{TOKEN_MARK}_(?P<prefix>[0-9a-f]{{{2 * _PREFIX_BYTES}}})_[A-Za-z0-9_-]{{43}}\Z")


class AccessToken(models.Model):
    """A participant's access token: its public prefix, and a hash of the whole.

    A plain SHA-256, as of a key: 256 random bits leave nothing to guess. ``session_hash`` is of what Django's sessions
    are bound to as well, so that a new password ends the tokens that the old one was given for.
    """

    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="access_tokens", verbose_name=_("participant")
    )
    storefront = models.ForeignKey(
        Storefront, models.PROTECT, related_name="access_tokens", verbose_name=_("storefront")
    )
    prefix = models.CharField(_("prefix"), max_length=24, unique=True, editable=False)
    hashed_token = models.BinaryField(_("hash"), max_length=32, editable=False)
    session_hash = models.BinaryField(_("hash of the session"), max_length=32, editable=False)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        ordering = ("-id",)
        indexes = [models.Index(fields=("expires_at",), name="twofa_access_token_expiry")]

    def __str__(self) -> str:
        return f"{TOKEN_MARK}_{self.prefix}_…"

    @classmethod
    def mint(cls, **columns: Any) -> tuple[AccessToken, str]:
        """Build an unsaved token and its text, which exists only here and is answered once."""
        prefix = secrets.token_hex(_PREFIX_BYTES)
        text = f"{TOKEN_MARK}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        return cls(prefix=prefix, hashed_token=cls.digest(text), **columns), text

    @staticmethod
    def digest(text: str) -> bytes:
        """Return what is stored of a text."""
        return hashlib.sha256(text.encode()).digest()

    @staticmethod
    def prefix_of(text: str) -> str | None:
        """Return the prefix of a token's text, or None where it does not look like one of ours."""
        known = _TOKEN.match(text)
        return known["prefix"] if known else None

    def opens(self, text: str) -> bool:
        """Tell whether ``text`` is this token, in constant time."""
        return hmac.compare_digest(bytes(self.hashed_token), self.digest(text))

    def is_of_session(self, hashes: list[str]) -> bool:
        """Tell whether one of a user's session hashes is the one that this token was given for."""
        kept = bytes(self.session_hash)
        matching = [session for session in hashes if hmac.compare_digest(kept, self.digest(session))]
        return bool(matching)

    def is_live(self, at: datetime) -> bool:
        """Tell whether it is neither revoked nor expired at ``at``."""
        return self.revoked_at is None and self.expires_at > at
