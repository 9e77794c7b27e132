"""Authenticator apps and recovery codes: factors that no message travels to."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device as OTPDevice

from twofa import tokens
from twofa.models.participant import Participant
from twofa.models.states import StateMachine

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

CODES = 10
"""Recovery codes of one set."""
_CODE_LENGTH = 16
_LONGEST_PAUSE = timedelta(minutes=15)


class AuthenticatorAnswers(Protocol):
    """What ``flows.authenticators`` offers to django-otp, which calls from below, where flows may not be imported."""

    def answer(self, authenticator: Authenticator, token: object) -> bool: ...


class AuthenticatorQuerySet(models.QuerySet["Authenticator"]):
    def active(self) -> Self:
        """Those whose owner proved that the app has the secret."""
        return self.filter(status=Authenticator.Status.ACTIVE)

    def devices_for_user(self, user: AbstractBaseUser, confirmed: bool | None = None) -> Self:
        """Answer django-otp, as :meth:`DeviceQuerySet.devices_for_user` does: a held one counts as confirmed."""
        rows = self.filter(user=user)
        if confirmed is None:
            return rows
        return rows.active() if confirmed else rows.exclude(status=Authenticator.Status.ACTIVE)


class Authenticator(StateMachine, OTPDevice):
    """An authenticator app of a participant (RFC 6238).

    A django-otp device of our own, not one of ``otp_totp``, which keeps the secret in clear and shows it in the admin.
    Nor with django-otp's ``ThrottlingMixin``: it reads the clock of the machine, and its pause doubles without an end,
    so that whoever knows a password could keep the owner out for years. Here the pause has a ceiling, and 100 wrong
    codes in a row end it for good (NIST SP 800-63B-4, 3.2.2).
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        ACTIVE = "active", _("active")
        REVOKED = "revoked", _("revoked")

    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.ACTIVE, Status.REVOKED}),
            Status.ACTIVE: frozenset({Status.REVOKED}),
            Status.REVOKED: frozenset(),
        }
    }
    answers: ClassVar[AuthenticatorAnswers | None] = None
    """Set by ``apps.ready``: the flow that answers for an authenticator."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="twofa_authenticators", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    confirmed = models.BooleanField(_("confirmed"), default=False)
    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    participant = models.ForeignKey(
        Participant, models.CASCADE, related_name="authenticators", verbose_name=_("participant")
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    kid = models.CharField(max_length=64, editable=False)
    secret = models.BinaryField(null=True, editable=False)
    # The last step whose code was taken: none up to it is taken again (RFC 6238, section 5.2).
    last_step = models.BigIntegerField(null=True, editable=False)
    failures = models.PositiveSmallIntegerField(_("wrong tokens in a row"), default=0, editable=False)
    failed_at = models.DateTimeField(null=True, editable=False)
    held_at = models.DateTimeField(_("held since"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"))
    activated_at = models.DateTimeField(_("activated at"), null=True, blank=True)
    # Of orders alone: its owner signs in by it at once, or a lost phone would shut them out for a day.
    approves_from = models.DateTimeField(_("approves orders from"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = AuthenticatorQuerySet.as_manager()

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=("participant",), condition=Q(status="active"), name="twofa_authenticator_one_active"
            ),
            models.UniqueConstraint(
                fields=("participant",), condition=Q(status="pending"), name="twofa_authenticator_one_pending"
            ),
            # As of a device: django-otp looks at ``confirmed`` alone.
            models.CheckConstraint(
                condition=Q(confirmed=True, status="active", held_at=None)
                | Q(confirmed=False) & (~Q(status="active") | Q(held_at__isnull=False)),
                name="twofa_authenticator_confirmed",
            ),
            # It is activated by a code, whose step is taken.
            models.CheckConstraint(
                condition=~Q(status="active")
                | Q(activated_at__isnull=False, approves_from__isnull=False, last_step__isnull=False),
                name="twofa_authenticator_proved",
            ),
            # A secret that nobody needs is one that somebody can steal.
            models.CheckConstraint(
                condition=Q(status="revoked", secret=None) | ~Q(status="revoked") & Q(secret__isnull=False),
                name="twofa_authenticator_secret",
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(_("authenticator app"))

    @property
    def is_held(self) -> bool:
        """Tell whether it waits for staff, after too many wrong codes in a row."""
        return self.held_at is not None and self.status != self.Status.REVOKED

    def is_cooling_off(self, at: datetime) -> bool:
        """Tell whether it was proved too lately to approve orders at ``at``."""
        return self.approves_from is not None and self.approves_from > at

    def is_newer(self, step: int) -> bool:
        """Tell whether no code of this step, nor of a later one, was taken yet."""
        return self.last_step is None or step > self.last_step

    def pause(self, at: datetime) -> timedelta:
        """Return how long no code is looked at: 1, 2, 4, ... seconds after the last wrong one, at most 15 minutes."""
        if self.failed_at is None or not self.failures:
            return timedelta(0)
        wait = min(timedelta(seconds=2 ** min(self.failures - 1, 20)), _LONGEST_PAUSE)
        return max(self.failed_at + wait - at, timedelta(0))

    def verify_token(self, token: object) -> bool:
        """Take a code of this app, once (django-otp's protocol)."""
        return self.answers is not None and self.answers.answer(self, token)


class RecoveryCode(models.Model):
    """One of the codes that a participant keeps on paper, for when every device is lost.

    80 random bits (OWASP ASVS 6.5.2), of which only a keyed digest is kept: nobody can show them a second time.
    """

    participant = models.ForeignKey(
        Participant, models.CASCADE, related_name="recovery_codes", verbose_name=_("participant")
    )
    hash = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(_("created at"))
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=("participant", "hash"), name="twofa_recovery_code_hash"),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @staticmethod
    def digest(participant: int, code: str) -> bytes:
        """Return what is kept of a normalised code: keyed, and of this participant alone. Raises: UnknownKey."""
        return tokens.fingerprint("recovery-code", (participant, code), kid=tokens.issuing_kid())

    @staticmethod
    def digests(participant: int, code: str) -> list[bytes]:
        """Return the same under every key of the ring: a code outlives the key it was made with."""
        return tokens.fingerprints("recovery-code", (participant, code))

    @staticmethod
    def normalise(code: object) -> str:
        """Return a code as it was made, from what a person typed. Raises: TokenMalformed."""
        return tokens.normalise(code, alphabet=tokens.ALPHANUMERIC, length=_CODE_LENGTH)
