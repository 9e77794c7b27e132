"""Answers without a message: codes of an authenticator app, of a host's own django-otp device, and recovery codes.

None of them is bound to what it approves, so whoever hears one over the phone may use it for anything. What is left is
that each is good once, and that each guess is charged in the commit that brings its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.views.decorators.debug import sensitive_variables
from django_otp import device_classes
from django_otp.models import Device as OTPDevice

from twofa import correlation
from twofa.exceptions import (
    NotFound,
    OnboardingIncomplete,
    Throttled,
    TokenInvalid,
    TokenMalformed,
    TwoFactorError,
    Unavailable,
)
from twofa.flows import authenticators, recovery_codes
from twofa.flows.history import Trail
from twofa.flows.issuing import Source
from twofa.flows.next_actions import HELD
from twofa.models import (
    DIGESTS_OF_ORDERS,
    Authenticator,
    Challenge,
    Device,
    Method,
    Participant,
    Purpose,
    RecoveryCode,
    Unbound,
    Verdict,
)
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

APP, OTHER = Source(Unbound.TOTP.value), Source(Unbound.OTP.value)
RETRY_AFTER = 5
"""Seconds after which a code may be tried again, where a device of the host's failed."""
_NO_CODES = (Purpose.DEVICE, Purpose.CONTACT, *DIGESTS_OF_ORDERS)


def wanted(
    participant: Participant, contacts: Sequence[Device], *, channel: str | None, device: UUID | None
) -> Source | None:
    """Return what answers without a message: what the storefront named, or else the participant's way; None: neither.

    Whoever has nothing but an app is asked for its code, whatever method they chose.

    Raises: NotFound where they have none of what was named; OnboardingIncomplete where it is held.
    """
    if channel == Unbound.OTP:
        if device is not None or not any(True for _one in others(participant, lock=False)):
            raise NotFound(resource="device")
        return OTHER
    is_named = channel == Unbound.TOTP or (device is not None and all(known.uuid != device for known in contacts))
    is_own_way = channel is None and device is None and (participant.two_factor_method == Method.TOTP or not contacts)
    if not (is_named or is_own_way):
        return None
    app = authenticators.active(participant)
    if app is None or device not in (None, app.uuid):
        if channel == Unbound.TOTP:
            raise NotFound(resource="device")
        return None
    if _is_ready(app, contacts):
        return APP
    if is_named:
        raise OnboardingIncomplete(missing=["device"], next_action=HELD)
    return None


def _is_ready(app: Authenticator, contacts: Sequence[Device]) -> bool:
    """Tell whether a challenge may be opened on an app; on a held one only for who has but recovery codes beside it."""
    return not app.is_held or (not contacts and recovery_codes.left(app.participant) > 0)


def for_order(
    participant: Participant, contacts: Sequence[Device], at: datetime
) -> Source | OnboardingIncomplete | None:
    """Return what approves an order without a message, where participant and campaign chose that; else None.

    An app that cools off leaves it to the contacts; where there is none, the reason to wait is returned.
    """
    if participant.two_factor_method != Method.TOTP or not participant.campaign.unbound_devices_approve:
        return None
    app = authenticators.active(participant)
    if app is None or app.is_held:
        return None
    if app.is_cooling_off(at):
        return None if contacts else authenticators.cools_off(app)
    return APP


def as_recovery_code(challenge: Challenge, given: object) -> str:
    """Return a recovery code by its form, where one may answer the challenge; else an empty text. Never an order.

    It is as long as no token is, so that nothing is held against two things.
    """
    if challenge.purpose in _NO_CODES:
        return ""
    try:
        return RecoveryCode.normalise(given)
    except TokenMalformed:
        return ""


@sensitive_variables()
def judge(challenge: Challenge, token: str, trail: Trail) -> Verdict | TwoFactorError:
    """Hold a token against what the challenge of a locked participant is answered by; an error costs nothing.

    Raises: Unavailable.
    """
    participant = challenge.participant
    if participant is None:  # none: only contact verifications have nobody, and they go by message
        raise NotFound(resource="participant")
    error = (
        authenticators.attempt(participant, token, trail, of_order=challenge.purpose in DIGESTS_OF_ORDERS)
        if challenge.channel == Unbound.TOTP
        else _attempt_others(participant, token)
    )
    if error is None:
        return Verdict.RIGHT
    return Verdict.WRONG if isinstance(error, TokenInvalid) else error


@sensitive_variables()
def _attempt_others(participant: Participant, token: str) -> TwoFactorError | None:
    """Ask the user's other devices one after another, each under its own lock and its own pause after wrong codes."""
    paused: list[int | None] = []
    asked = 0
    try:
        # Theirs is code of others: what breaks in it must not break the transaction that charges the attempt.
        with transaction.atomic():
            for device in others(participant, lock=True):
                allowed, why = device.verify_is_allowed()
                if not allowed:
                    paused.append(_seconds(why))
                    continue
                asked += 1
                if device.verify_token(token):
                    return None
    except Exception as error:  # noqa: BLE001 - whatever a plugin of the host's raises
        logger.error("a django-otp device failed: %s", type(error).__name__)
        return Unavailable(RETRY_AFTER)
    if asked or not paused:
        return TokenInvalid()
    return Throttled(min((wait for wait in paused if wait is not None), default=None))


def _seconds(why: dict[str, Any] | None) -> int | None:
    """Return how long a device of django-otp takes no code, where it says so."""
    until = (why or {}).get("locked_until")
    return None if until is None else max(math.ceil((until - now()).total_seconds()), 1)


def others(participant: Participant, *, lock: bool = False) -> Iterator[OTPDevice]:
    """Yield the confirmed django-otp devices of the user that are not ours, and that send no message of their own.

    As django-otp's ``devices_for_user`` with ``for_verify`` does, but without locking our own.
    """
    for model in device_classes():
        if issubclass(model, (Device, Authenticator)):
            continue
        rows = model.objects.devices_for_user(participant.user, confirmed=True)
        for device in rows.select_for_update() if lock else rows:
            if not device.is_interactive():
                yield device
