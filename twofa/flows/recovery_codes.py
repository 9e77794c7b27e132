"""Recovery codes: ten of them on paper, each good once, for a participant who lost every device.

80 random bits each: nobody guesses one in any number of tries, so wrong ones have no budget that somebody could use up
to keep the owner out. A set replaces the one before it, and every contact is told of a new set and of each use.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.views.decorators.debug import sensitive_variables

from twofa import tokens
from twofa.exceptions import TokenInvalid, TokenMalformed, TwoFactorError
from twofa.flows import agreements, alarms
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import retried_once
from twofa.models import CODES, Agreement, Authenticator, Challenge, Device, Participant, RecoveryCode, Storefront
from twofa.models.clock import now

GROUPS, GROUP = 4, 4
ISSUED = "recovery_codes.issued"
USED = "recovery_codes.used"


@sensitive_variables()
def issue(
    participant: Participant, *, storefront: Storefront, actor: Actor, authorization: UUID | None = None
) -> list[str]:
    """Return ten new codes, told this once; those before them are worth nothing any more.

    ``authorization`` is an answered challenge of purpose ``step_up:recovery_codes``, where a factor stands.
    Raises: NotFound, NotActive, Invalid.
    """
    with transaction.atomic(durable=True):
        locked = agreements.locked_participant(participant.pk)
        trail = Trail(actor, now())
        last = RecoveryCode.objects.filter(participant=locked).aggregate(at=Max("created_at"))["at"]
        agreements.ensure(locked, Agreement.MAKE_CODES, authorization, storefront=storefront, at=trail.at, since=last)
        codes = _replace(locked, trail)
        trail.write()
    return codes


@sensitive_variables()
def first(participant: Participant, trail: Trail) -> list[str]:
    """Return the first ten codes of a locked participant, or none where some were issued before."""
    return [] if RecoveryCode.objects.filter(participant=participant).exists() else _replace(participant, trail)


def forget_unagreed(participant: Participant) -> None:
    """Delete codes of a locked participant that no factor agreed to, now that one is about to stand.

    Whoever held a session before there was any factor could have printed them, and would come in past each later one.
    """
    codes = RecoveryCode.objects.filter(participant=participant)
    at = codes.aggregate(at=Max("created_at"))["at"]
    if at is not None and not any(agreements.stood(model, participant.pk, at) for model in (Device, Authenticator)):
        codes.delete()


def forget_denied(challenge: Challenge) -> None:
    """Delete the codes of a locked participant that a challenge let be made, where its owner says "it was not me".

    Whoever had the phone and a session for a minute would come in by them, past each factor that follows. Older ones
    stay, and those that a later challenge let be made: whoever reads the owner's mail takes no paper away.
    """
    codes = RecoveryCode.objects.filter(participant=challenge.participant_id)
    at = codes.aggregate(at=Max("created_at"))["at"]
    if challenge.purpose != Agreement.MAKE_CODES or at is None:
        return
    answered = Challenge.objects.filter(
        participant=challenge.participant_id,
        purpose=Agreement.MAKE_CODES,
        status=Challenge.Status.APPROVED,
        ended_at__lte=at,
    )
    if answered.order_by("-ended_at").first() == challenge:
        codes.delete()


@sensitive_variables()
def use(participant: Participant, *, token: object, actor: Actor) -> int:
    """Take a code, once; return how many are left. Raises: NotFound, NotActive, TokenMalformed, TokenInvalid."""
    left, error = _take(participant.pk, token, actor)
    if error is not None:
        raise error
    return left


@retried_once
@sensitive_variables()
def _take(pk: int, token: object, actor: Actor) -> tuple[int, TwoFactorError | None]:
    with transaction.atomic(durable=True):
        participant = agreements.locked_participant(pk)
        try:
            code = RecoveryCode.normalise(token)
        except TokenMalformed as error:
            return 0, error
        trail = Trail(actor, now())
        is_taken = take(participant, code, trail)
        trail.write()
        return (left(participant), None) if is_taken else (0, TokenInvalid())


@sensitive_variables()
def take(participant: Participant, code: str, trail: Trail) -> bool:
    """Take a normalised code of a locked participant, once, as part of what the caller judges; tell every contact."""
    row = find(participant.pk, code)
    if row is None or not _mark(row, trail.at):
        trail.add("recovery_codes.refused", participant)
        return False
    trail.add(USED, participant, left=left(participant))
    alarms.tell(USED, participant, trail, destination="")
    return True


def left(participant: Participant) -> int:
    """Return how many codes were not used yet."""
    return RecoveryCode.objects.filter(participant=participant, used_at=None).count()


@sensitive_variables()
def find(participant: int, code: str) -> RecoveryCode | None:
    """Return an unused code. By its keyed digest, so the time of the search tells nothing of any code."""
    digests = RecoveryCode.digests(participant, code)
    return RecoveryCode.objects.filter(participant=participant, hash__in=digests, used_at=None).first()


def _mark(row: RecoveryCode, at: datetime) -> bool:
    """Tell whether this call was the one that used it: the database decides, whoever read it unused before."""
    return RecoveryCode.objects.filter(pk=row.pk, used_at=None).update(used_at=at) == 1


@sensitive_variables()
def _replace(participant: Participant, trail: Trail) -> list[str]:
    RecoveryCode.objects.filter(participant=participant).delete()
    codes = [_random() for _number in range(CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(
            participant=participant,
            hash=RecoveryCode.digest(participant.pk, code),
            created_at=trail.at,
        )
        for code in codes
    )
    trail.add(ISSUED, participant, number=len(codes))
    alarms.tell(ISSUED, participant, trail, destination="")
    return ["-".join(code[place : place + GROUP] for place in range(0, len(code), GROUP)) for code in codes]


def _random() -> str:
    symbols = tokens.ALPHABETS[tokens.ALPHANUMERIC]
    return "".join(secrets.choice(symbols) for _place in range(GROUPS * GROUP))
