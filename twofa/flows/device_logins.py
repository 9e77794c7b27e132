"""Logins of a host's own with a device of ours: what django-otp asks of it.

django-otp calls from inside a transaction of its own, with all of the user's devices locked, and asks each of them. So
nothing here is durable or raises, which would undo what it counted for the others; and nothing waits: our flows lock
the participant before any device, and whoever waits the other way around waits in a circle. In the instant in which one
of them has the participant the answer is no, and the same token is right a moment later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import TwoFactorError
from twofa.flows import authenticators, facts, verdicts
from twofa.flows.devices import locked_device
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import is_given_up
from twofa.models import ActorKind, Authenticator, Challenge, Device, Participant, Purpose

Factor = TypeVar("Factor", Device, Authenticator)

_LOCKED_BY_ANOTHER = "55P03"


def _at_once(answer: Callable[[Factor, object], bool]) -> Callable[[Factor, object], bool]:
    """Give the answer in a savepoint with the participant locked; no where they are locked by another, or are gone."""

    @wraps(answer)
    def wrapper(factor: Factor, token: object) -> bool:
        try:
            with transaction.atomic():
                Participant.objects.select_for_update(no_key=True, nowait=True).get(pk=factor.participant_id)
                return answer(factor, token)
        except TwoFactorError:  # erased or switched off a moment ago, or its key is gone
            return False
        except OperationalError as error:
            if not is_given_up(error, _LOCKED_BY_ANOTHER):
                raise
            return False

    return wrapper


@sensitive_variables()
def answer_login(device: Device, token: object) -> bool:
    """Judge a token against this device's open login challenge, if it has one (django-otp's ``verify_token``)."""
    if not _logins(device).exists():
        return False
    return _answer_login(device, token)


@_at_once
@sensitive_variables()
def _answer_login(device: Device, token: object) -> bool:
    locked = locked_device(device.pk)
    rows = _logins(locked).select_for_update(no_key=True, of=("self",)).select_related("campaign", "device")
    challenge = rows.first()
    if challenge is None:
        return False
    standing = facts.standing(challenge)
    trail = Trail(_owner(locked), standing.at)
    error = verdicts.attempt(challenge, token, digest=challenge.digest(), standing=standing, trail=trail)
    trail.write()
    return error is None


@_at_once
@sensitive_variables()
def answer(authenticator: Authenticator, token: object) -> bool:
    """Take a code of an app (django-otp's ``verify_token``)."""
    return authenticators.take(authenticator, token, actor=_owner(authenticator))


def _logins(device: Device) -> QuerySet[Challenge]:
    return Challenge.objects.filter(device=device, purpose=Purpose.LOGIN, status=Challenge.Status.PENDING)


def _owner(factor: Device | Authenticator) -> Actor:
    return Actor(ActorKind.PARTICIPANT, factor.participant.external_id)
