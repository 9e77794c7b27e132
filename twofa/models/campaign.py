"""Campaigns, and the two-factor policy that staff edit."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa.conf import conf
from twofa.models.message import is_switched_on
from twofa.models.policy import (
    HOST_NAME,
    LEAST_USEFUL_LIFE,
    MAX_ATTEMPTS_CAP,
    MAX_TOKEN_LENGTH,
    TOKEN_LIFE_CAP,
    Channel,
    CompletionMode,
    Method,
    TokenAlphabet,
    TwoFactorMode,
    conflicts,
    default_channels,
    is_document,
    shortest_token,
)
from twofa.tokens import ALPHABETS

POLICY_FIELDS = (
    "two_factor_mode",
    "threshold",
    "default_method",
    "allowed_channels",
    "links_in_messages",
    "token_length",
    "token_alphabet",
    "token_ttl",
    "max_attempts",
    "max_resends",
    "resend_cooldown",
    "redemption_ttl",
    "max_open_challenges",
    "failed_attempts_per_day",
    "sends_per_destination_per_day",
    "sends_per_participant_per_day",
    "sends_per_campaign_per_day",
    "sends_per_prefix_per_day",
    "sms_per_day",
    "identity_required",
    "required_documents",
    "device_cooling_off",
    "unbound_devices_approve",
    "completion_mode",
    "allowed_countries",
    "autofill_domain",
    "approver_threshold",
    "schedule_max_ahead",
    "schedule_grace",
    "unit",
    "is_active",
)
"""The columns whose every change is an event with a name (I13)."""


class Campaign(models.Model):
    """A client's loyalty programme: the boundary of participants and devices, and the owner of the policy."""

    slug = models.SlugField(_("slug"), max_length=64, unique=True, help_text=_("Its name in the API."))
    name = models.CharField(_("name"), max_length=150)
    is_active = models.BooleanField(_("active"), default=True)
    test = models.BooleanField(
        _("test campaign"),
        default=False,
        help_text=_("Its messages never reach a real provider: read them in the sandbox."),
    )
    unit = models.CharField(_("unit"), max_length=20, default="points", help_text=_("What the amounts count."))

    two_factor_mode = models.CharField(
        _("two-factor"), max_length=10, choices=TwoFactorMode.choices, default=TwoFactorMode.OFF
    )
    threshold = models.DecimalField(
        _("threshold"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text=_("Compared with the participant's redemptions of the last 24 hours together with this one."),
    )
    default_method = models.CharField(
        _("default method"),
        max_length=10,
        choices=Method.choices,
        default=Method.NONE,
        help_text=_("Given to new participants only; those who exist keep theirs."),
    )
    allowed_channels = models.JSONField(
        _("allowed channels"), default=default_channels, help_text=_("In the order of failover.")
    )
    links_in_messages = models.BooleanField(_("links in SMS and WhatsApp"), default=False, db_default=False)

    token_length = models.PositiveSmallIntegerField(_("token length"), default=6)
    token_alphabet = models.CharField(
        _("token alphabet"), max_length=12, choices=TokenAlphabet.choices, default=TokenAlphabet.ALPHANUMERIC
    )
    token_ttl = models.DurationField(_("token life"), default=timedelta(minutes=5))
    max_attempts = models.PositiveSmallIntegerField(
        _("attempts"), default=5, validators=[MinValueValidator(1), MaxValueValidator(MAX_ATTEMPTS_CAP)]
    )
    max_resends = models.PositiveSmallIntegerField(_("resends"), default=3, validators=[MaxValueValidator(10)])
    resend_cooldown = models.DurationField(_("pause between messages"), default=timedelta(seconds=30))
    redemption_ttl = models.DurationField(_("time to confirm"), default=timedelta(minutes=30))

    max_open_challenges = models.PositiveSmallIntegerField(_("open challenges"), default=3)
    failed_attempts_per_day = models.PositiveIntegerField(_("wrong tokens per day"), default=15)
    sends_per_destination_per_day = models.PositiveIntegerField(_("messages per address and day"), default=50)
    sends_per_participant_per_day = models.PositiveIntegerField(_("messages per participant and day"), default=50)
    sends_per_campaign_per_day = models.PositiveIntegerField(_("messages per campaign and day"), null=True, blank=True)
    sends_per_prefix_per_day = models.PositiveIntegerField(_("messages per prefix and day"), null=True, blank=True)
    sms_per_day = models.PositiveIntegerField(_("SMS per day"), null=True, blank=True)

    identity_required = models.BooleanField(_("identity required"), default=False)
    required_documents = models.JSONField(_("required documents"), default=list, blank=True)
    device_cooling_off = models.DurationField(_("cooling-off of a new device"), default=timedelta(0))
    unbound_devices_approve = models.BooleanField(
        _("codes of authenticator apps approve"), default=False, db_default=False
    )
    completion_mode = models.CharField(
        _("completion"), max_length=5, choices=CompletionMode.choices, default=CompletionMode.SYNC
    )
    allowed_countries = models.JSONField(
        _("allowed countries"), default=list, blank=True, help_text=_("ISO codes, like BR. Empty: all.")
    )

    approver_threshold = models.DecimalField(
        _("approver from"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text=_("From this amount on, another person must approve. Empty: only where the storefront asks for it."),
    )
    schedule_max_ahead = models.DurationField(
        _("schedules reach"),
        default=timedelta(days=90),
        db_default=timedelta(days=90),
        help_text=_("How far ahead a redemption may be scheduled. Zero: not at all."),
    )
    schedule_grace = models.DurationField(
        _("lateness of schedules"),
        default=timedelta(hours=6),
        db_default=timedelta(hours=6),
        help_text=_("What could not be executed this long after its time fails, and its points are given back."),
    )

    autofill_domain = models.CharField(
        _("domain of autofill"),
        max_length=253,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(HOST_NAME, _("Give a host name alone, like shop.example.com."))],
        help_text=_("Where tokens are typed. Phones then offer the token of an SMS on pages of this domain alone."),
    )
    message_switches = models.JSONField(
        _("switches of messages"), default=dict, db_default={}, blank=True, editable=False
    )

    policy_version = models.PositiveIntegerField(_("policy version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ("name",)
        permissions = [
            ("change_policy", _("Can change a campaign's two-factor policy")),
            ("change_messages", _("Can change a campaign's messages")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(max_attempts__gte=1, max_attempts__lte=MAX_ATTEMPTS_CAP), name="twofa_campaign_max_attempts"
            ),
            models.CheckConstraint(
                condition=Q(token_ttl__gt=timedelta(0), token_ttl__lte=TOKEN_LIFE_CAP), name="twofa_campaign_token_ttl"
            ),
            models.CheckConstraint(
                condition=Q(token_length__lte=MAX_TOKEN_LENGTH)
                & (
                    Q(token_alphabet=TokenAlphabet.NUMERIC, token_length__gte=shortest_token(TokenAlphabet.NUMERIC))
                    | Q(
                        token_alphabet=TokenAlphabet.ALPHANUMERIC,
                        token_length__gte=shortest_token(TokenAlphabet.ALPHANUMERIC),
                    )
                ),
                name="twofa_campaign_token_space",
            ),
            models.CheckConstraint(
                condition=Q(
                    resend_cooldown__gte=timedelta(0),
                    device_cooling_off__gte=timedelta(0),
                    redemption_ttl__gt=timedelta(0),
                    schedule_max_ahead__gte=timedelta(0),
                    schedule_grace__gt=timedelta(0),
                ),
                name="twofa_campaign_durations",
            ),
            models.CheckConstraint(
                condition=Q(threshold__isnull=True) | Q(threshold__gt=0), name="twofa_campaign_threshold"
            ),
            models.CheckConstraint(
                condition=Q(approver_threshold__isnull=True) | Q(approver_threshold__gt=0),
                name="twofa_campaign_approver_threshold",
            ),
            models.CheckConstraint(
                condition=Q(two_factor_mode__in=TwoFactorMode.values, completion_mode__in=CompletionMode.values),
                name="twofa_campaign_modes",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what the caps, the floors of ``TWOFA_POLICY_LIMITS`` or plain sense do not allow.

        Here and not in a form, so that no form, no flow and no command gets past it.
        """
        errors: dict[str, Any] = {}
        # Django calls this after the columns' own checks failed as well: what is here may be None, or of no alphabet.
        given = self.policy()
        alphabet, length = given["token_alphabet"], given["token_length"]
        if alphabet in ALPHABETS and self.token_length_floor() > MAX_TOKEN_LENGTH:
            errors["token_alphabet"] = _("Its longest token is too short for the limits of this installation.")
        elif alphabet in ALPHABETS and length is not None and not self._long_enough():
            errors["token_length"] = _("Use between %(least)d and %(most)d characters with this alphabet.") % {
                "least": self.token_length_floor(),
                "most": MAX_TOKEN_LENGTH,
            }
        if given["token_ttl"] is not None and not timedelta(0) < self.token_ttl <= self.token_ttl_limit():
            errors["token_ttl"] = _("A token lives at most %(seconds)d seconds.") % {
                "seconds": self.token_ttl_limit().total_seconds()
            }
        if given["max_attempts"] is not None and self.max_attempts > self.max_attempts_limit():
            errors["max_attempts"] = _("At most %(limit)d attempts.") % {"limit": self.max_attempts_limit()}
        errors.update(self._list_errors())
        for name, reason in conflicts(given):
            errors.setdefault(name, reason)
        if errors:
            raise ValidationError(errors)

    def _long_enough(self) -> bool:
        return self.token_length_floor() <= self.token_length <= MAX_TOKEN_LENGTH

    def _list_errors(self) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        channels = self.allowed_channels
        if not isinstance(channels, list) or len(set(map(str, channels))) != len(channels):
            errors["allowed_channels"] = _("Name each channel once.")
        elif any(channel not in Channel.values for channel in channels):
            errors["allowed_channels"] = _("Known channels: %(channels)s.") % {"channels": ", ".join(Channel.values)}
        elif not channels and (self.two_factor_mode != TwoFactorMode.OFF or self.approver_threshold is not None):
            errors["allowed_channels"] = _("Two-factor needs at least one channel to send the token.")
        countries = self.allowed_countries
        if not isinstance(countries, list) or any(
            not isinstance(code, str) or len(code) != 2 or not code.isascii() or not code.isupper()
            for code in countries
        ):
            errors["allowed_countries"] = _("Give two-letter codes in capitals, like BR.")
        errors.update(self._document_errors())
        return errors

    def _document_errors(self) -> dict[str, Any]:
        """Refuse what nobody could send, and so nobody could be approved for."""
        documents = self.required_documents
        if not isinstance(documents, list) or len(set(map(str, documents))) != len(documents):
            return {"required_documents": _("Name each document once.")}
        unknown = [str(document) for document in documents if not is_document(document)]
        if unknown:
            return {"required_documents": _("Not a document: %(names)s.") % {"names": ", ".join(unknown)}}
        return {}

    @staticmethod
    def token_ttl_limit() -> timedelta:
        """Return the longest life of a token: the product's cap, or the host's if that is shorter.

        Never less than a token needs to be of use: no policy could be saved at all, not even a stricter one.
        """
        limit: timedelta = conf.policy_limits.get("token_ttl", TOKEN_LIFE_CAP)
        return max(LEAST_USEFUL_LIFE, min(TOKEN_LIFE_CAP, limit))

    @staticmethod
    def max_attempts_limit() -> int:
        """Return the most attempts: the product's cap, or the host's if that is lower."""
        return min(MAX_ATTEMPTS_CAP, int(conf.policy_limits.get("max_attempts", MAX_ATTEMPTS_CAP)))

    def token_length_floor(self) -> int:
        """Return the least length: the product's floor, or what the host's ``token_bits`` ask for."""
        bits_each = math.log2(len(ALPHABETS[self.token_alphabet]))
        wanted = math.ceil(int(conf.policy_limits.get("token_bits", 0)) / bits_each)
        return max(shortest_token(self.token_alphabet), wanted)

    def snapshot(self) -> dict[str, Any]:
        """Return the columns that a challenge copies, clamped to the limits: later changes do not touch it."""
        return {
            "token_length": max(self.token_length, self.token_length_floor()),
            "token_alphabet": self.token_alphabet,
            "token_ttl": min(self.token_ttl, self.token_ttl_limit()),
            "max_attempts": min(self.max_attempts, self.max_attempts_limit()),
            "max_resends": self.max_resends,
            "resend_cooldown": self.resend_cooldown,
            "allowed_channels": self.allowed_channels,
            "policy_version": self.policy_version,
        }

    def sends(self, event: str, channel: str) -> bool:
        """Tell whether a message goes out on a channel, as staff switched it."""
        return is_switched_on(self.message_switches, event, channel)

    def policy(self) -> dict[str, Any]:
        """Return the policy's columns and their present values."""
        return {name: getattr(self, name) for name in POLICY_FIELDS}
