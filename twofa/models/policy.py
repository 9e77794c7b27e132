"""Choices, defaults and hard caps of a campaign's two-factor policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.tokens import ALPHABETS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

TOKEN_LIFE_CAP = timedelta(minutes=10)
"""No token lives longer, whatever the policy (NIST SP 800-63B-4, 3.1.3.2; OWASP ASVS 6.5.5)."""
MAX_ATTEMPTS_CAP = 5
MAX_FAILURES_CAP = 100
"""Wrong tokens in a row on one device, over all challenges, whatever the policy (NIST SP 800-63B-4, 3.2.2)."""
TOKEN_SPACE_FLOOR = 10**6
MAX_TOKEN_LENGTH = 12
HOST_NAME = r"\A(?=.{1,253}\Z)(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+(?!-)(?!\d+\Z)[a-z0-9-]{2,63}(?<!-)\Z"
"""A name of DNS in lower case, international ones in their ASCII form (RFC 1123, 2.1; RFC 5890, 2.3.1)."""
LEAST_USEFUL_LIFE = timedelta(seconds=60)
"""A token that would reach its owner with less left than this is not sent."""


class TwoFactorMode(models.TextChoices):
    OFF = "off", _("off: nobody is asked")
    OPTIONAL = "optional", _("optional: those who chose a method are asked")
    REQUIRED = "required", _("required: everybody is asked")


class Channel(models.TextChoices):
    SMS = "sms", _("SMS")
    WHATSAPP = "whatsapp", _("WhatsApp")
    EMAIL = "email", _("e-mail")


class Method(models.TextChoices):
    NONE = "none", _("none")
    SMS = "sms", _("SMS")
    EMAIL = "email", _("e-mail")
    WHATSAPP = "whatsapp", _("WhatsApp")
    TOTP = "totp", _("authenticator app")


class Unbound(models.TextChoices):
    """Ways without a message: by what makes codes on its own, which are bound to nothing that they approve."""

    TOTP = "totp", _("authenticator app")
    OTP = "otp", _("one-time password")


class TokenAlphabet(models.TextChoices):
    ALPHANUMERIC = "alphanumeric", _("letters and digits (no I, L, O, U)")
    NUMERIC = "numeric", _("digits")


class CompletionMode(models.TextChoices):
    SYNC = "sync", _("at once, in the confirming request")
    ASYNC = "async", _("in the background, by a worker")


class DocumentKind(models.TextChoices):
    CPF = "cpf", _("CPF")
    RG = "rg", _("identity card (RG)")
    CNH = "cnh", _("driving licence (CNH)")
    PASSPORT = "passport", _("passport")
    SELFIE = "selfie", _("selfie")
    PROOF_OF_ADDRESS = "proof_of_address", _("proof of address")
    OTHER = "other", pgettext_lazy("document", "other")


class DocumentSide(models.TextChoices):
    FRONT = "front", _("front")
    BACK = "back", _("back")
    SINGLE = "single", _("whole document")


def is_document(requirement: object) -> bool:
    """Tell whether a campaign may ask for it: a known ``kind``, or ``kind:side``. Pure."""
    if not isinstance(requirement, str):
        return False
    kind, colon, side = requirement.partition(":")
    return kind in DocumentKind.values and (not colon or side in DocumentSide.values)


class Reason(models.TextChoices):
    """Why a second factor was asked for, or not."""

    CAMPAIGN_REQUIRED = "campaign_required", _("the campaign requires it")
    PARTICIPANT_OPTED_IN = "participant_opted_in", _("the participant chose it")
    ABOVE_THRESHOLD = "above_threshold", _("the points reach the campaign's threshold")
    APPROVER_REQUIRED = "approver_required", _("another person must approve")
    CAMPAIGN_OFF = "campaign_off", _("the campaign does not ask for it")
    BELOW_THRESHOLD = "below_threshold", _("the points are below the campaign's threshold")
    PARTICIPANT_OPTED_OUT = "participant_opted_out", _("the participant chose none")


def shortest_token(alphabet: str) -> int:
    """Return the least length whose token space is 10^6 or more (20 bits: OWASP ASVS 6.5.4)."""
    length, space = 0, 1
    while space < TOKEN_SPACE_FLOOR:
        length, space = length + 1, space * len(ALPHABETS[alphabet])
    return length


def default_channels() -> list[str]:
    """Return the channels in the order of failover."""
    return [Channel.SMS.value, Channel.WHATSAPP.value, Channel.EMAIL.value]


_NEEDS_CHANNEL = {Method.SMS, Method.EMAIL, Method.WHATSAPP}
# With a limit of 0 a campaign could send or open nothing: an error of whoever wrote it, not a strict policy.
_AT_LEAST_ONE = (
    "max_open_challenges",
    "failed_attempts_per_day",
    "sends_per_destination_per_day",
    "sends_per_participant_per_day",
    "sends_per_campaign_per_day",
    "sends_per_prefix_per_day",
    "sms_per_day",
)


def conflicts(policy: Mapping[str, Any]) -> Iterator[tuple[str, StrOrPromise]]:
    """Tell which columns of a policy contradict one another, and why. Pure."""
    yield from _channel_conflicts(policy)
    yield from _time_conflicts(policy)
    for name in _AT_LEAST_ONE:
        if policy.get(name) == 0:
            yield name, _("With 0 nobody could redeem. To ask nobody for a token, switch two-factor off.")
    if policy.get("identity_required") and not policy.get("required_documents"):
        yield "required_documents", _("Say which documents prove the identity.")


def _channel_conflicts(policy: Mapping[str, Any]) -> Iterator[tuple[str, StrOrPromise]]:
    method, channels = policy.get("default_method"), policy.get("allowed_channels")
    if method == Method.TOTP:
        yield "default_method", _("A new participant has no authenticator app set up.")
    if method in _NEEDS_CHANNEL and isinstance(channels, list) and method not in channels:
        yield "default_method", _("New participants would get a method whose channel is not allowed.")


def _time_conflicts(policy: Mapping[str, Any]) -> Iterator[tuple[str, StrOrPromise]]:
    life, pause, whole = (_span(policy, name) for name in ("token_ttl", "resend_cooldown", "redemption_ttl"))
    if life is not None and timedelta(0) < life < LEAST_USEFUL_LIFE:
        yield "token_ttl", _("Nobody can type a token that lives less than a minute: it would never be sent.")
    if life is not None and whole is not None and whole < life:
        yield "redemption_ttl", _("Shorter than the life of a token: a token would end before its time.")
    if pause is not None and whole is not None and policy.get("max_resends") and pause >= whole:
        yield "resend_cooldown", _("Not shorter than the time to confirm: nobody could ask for another token.")


def _span(policy: Mapping[str, Any], name: str) -> timedelta | None:
    value = policy.get(name)
    return value if isinstance(value, timedelta) else None
