"""Authenticator apps: enrol, confirm, verify, revoke.

A code of an app is bound to no transaction: whoever reads one over a shoulder, or is told one over the phone, may use
it for anything. What keeps it worth having is that each is taken once (RFC 6238, section 5.2, MUST NOT accept the
second attempt), under the row's lock and by a conditional UPDATE, and that wrong ones in a row have an end.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import alerts, tokens, totp
from twofa.alerts import Alert
from twofa.exceptions import (
    OnboardingIncomplete,
    PolicyRefused,
    Throttled,
    TokenInvalid,
    TokenMalformed,
    TwoFactorError,
    WrongState,
)
from twofa.flows import access_tokens, agreements, alarms, onboarding, recovery_codes
from twofa.flows.failures import TOO_MANY
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import HELD, NextAction
from twofa.flows.transactions import after_commit, retried_once
from twofa.models import MAX_FAILURES_CAP, ActorKind, Authenticator, Device, Participant, Storefront
from twofa.models.clock import now
from twofa.vault import open_secret, seal_secret

Status = Authenticator.Status


@dataclass(frozen=True)
class Enrolment:
    """A pending authenticator, and what its app reads: told this once, and never again."""

    authenticator: Authenticator
    uri: str = field(repr=False)


@dataclass(frozen=True)
class Confirmation:
    """An active authenticator; ``codes`` are its owner's recovery codes where they had none, told this once."""

    authenticator: Authenticator
    codes: list[str] = field(repr=False)


@sensitive_variables()
def enrol(
    participant: Participant,
    *,
    storefront: Storefront,
    actor: Actor,
    name: str = "",
    authorization: UUID | None = None,
) -> Enrolment:
    """Make the secret of a new app, which proves itself by a code; one that waited for that is given up.

    ``authorization`` is an answered challenge of purpose ``step_up:authenticator_add``, where a factor stands.
    Raises: NotFound, NotActive, Invalid, Unavailable.
    """
    with transaction.atomic(durable=True):
        locked = agreements.locked_participant(participant.pk)
        trail = Trail(actor, now())
        own = Authenticator.objects.filter(participant=locked)
        last = own.aggregate(at=Max("created_at"))["at"]
        agreements.ensure(locked, agreements.ADD, authorization, storefront=storefront, at=trail.at, since=last)
        for pending in own.filter(status=Status.PENDING):
            pending.participant = locked
            _end(pending, trail, reason="replaced")
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        row = Authenticator(participant=locked, user_id=locked.user_id, name=name, created_at=trail.at)
        row.kid, row.secret = seal_secret(secret, owner=locked.pk, name=row.uuid)
        row.save(force_insert=True)
        trail.add("authenticator.enrolled", row)
        trail.write()
    account = {"issuer": locked.campaign.name, "account": locked.external_id}
    return Enrolment(row, totp.provisioning_uri(secret, **account))


@sensitive_variables()
def confirm(authenticator: Authenticator, *, token: object, actor: Actor) -> Confirmation:
    """Activate a pending app by its first code; it takes the place of the one that was active.

    Raises: NotFound, NotActive, WrongState, Throttled, TokenMalformed, TokenInvalid, OnboardingIncomplete, Unavailable.
    """
    codes: list[str] = []

    def activate(row: Authenticator, step: int, trail: Trail) -> None:
        recovery_codes.forget_unagreed(row.participant)
        for old in Authenticator.objects.active().filter(participant=row.participant):
            _end(old, trail, reason="replaced")
        row.change(
            status=Status.ACTIVE,
            confirmed=True,
            last_step=step,
            activated_at=trail.at,
            approves_from=agreements.trusted_from(row.participant, trail.at),
            failures=0,
            failed_at=None,
        )
        trail.add("authenticator.activated", row)
        alarms.tell("authenticator.activated", row.participant, trail, destination=str(row))
        codes.extend(recovery_codes.first(row.participant, trail))

    row, error = _judge(authenticator.pk, Status.PENDING, token, actor, activate)
    if error is not None:
        raise error
    return Confirmation(row, codes)


@sensitive_variables()
def verify(authenticator: Authenticator, *, token: object, actor: Actor) -> Authenticator:
    """Take a code of an active app, once. Not idempotent: the same code a second time is a wrong one.

    Raises: as :func:`confirm`.
    """
    row, error = _judge(authenticator.pk, Status.ACTIVE, token, actor, _take)
    if error is not None:
        raise error
    return row


@sensitive_variables()
def answer(authenticator: Authenticator, token: object) -> bool:
    """Take a code for django-otp (``verify_token``), which calls inside a transaction and must never see an error."""
    participant = Participant.objects.get(pk=authenticator.participant_id)
    actor = Actor(ActorKind.PARTICIPANT, participant.external_id)
    try:
        with transaction.atomic():
            return _judge_in(authenticator.pk, Status.ACTIVE, token, actor, _take)[1] is None
    except TwoFactorError:  # erased or switched off a moment ago, or its key is gone
        return False


@sensitive_variables()
def attempt(participant: Participant, code: str, trail: Trail, *, of_order: bool) -> TwoFactorError | None:
    """Take a code of a locked participant's active app, once, as part of what the caller judges; None means right.

    The verdict is a value: a wrong one is charged in the caller's transaction. An order may have been opened before the
    app that is asked now was proved, so its cooling-off is asked for here. Raises: Unavailable.
    """
    row = active(participant, lock=True)
    if row is None:
        return OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))
    if of_order and row.is_cooling_off(trail.at):
        return cools_off(row)
    return _judged(row, Status.ACTIVE, code, trail, _take)


def cools_off(app: Authenticator) -> OnboardingIncomplete:
    """Return why an app approves no order yet, and from when it will."""
    return OnboardingIncomplete(
        _("The participant's new authenticator app may not approve redemptions yet."),
        missing=["device"],
        next_action=NextAction("wait", available_at=app.approves_from),
    )


def active(participant: Participant, *, lock: bool = False) -> Authenticator | None:
    """Return the app that a participant proved, or None."""
    rows = Authenticator.objects.active()
    row = (rows.select_for_update(no_key=True) if lock else rows).filter(participant=participant).first()
    if row is not None:
        row.participant = participant
    return row


@retried_once
def _judge(
    pk: int,
    status: Authenticator.Status,
    token: object,
    actor: Actor,
    accept: Callable[[Authenticator, int, Trail], None],
) -> tuple[Authenticator, TwoFactorError | None]:
    """Judge one code in one transaction: a wrong one is charged in the commit that brings the verdict."""
    with transaction.atomic(durable=True):
        return _judge_in(pk, status, token, actor, accept)


@sensitive_variables()
def _judge_in(
    pk: int,
    status: Authenticator.Status,
    token: object,
    actor: Actor,
    accept: Callable[[Authenticator, int, Trail], None],
) -> tuple[Authenticator, TwoFactorError | None]:
    row = locked(pk)
    trail = Trail(actor, now())
    error = _judged(row, status, token, trail, accept)
    trail.write()
    return row, error


@sensitive_variables()
def _judged(
    row: Authenticator,
    status: Authenticator.Status,
    token: object,
    trail: Trail,
    accept: Callable[[Authenticator, int, Trail], None],
) -> TwoFactorError | None:
    error = _refusal(row, status, trail.at)
    if error is not None:
        return error
    try:
        code = tokens.normalise(token, alphabet=tokens.NUMERIC, length=totp.DIGITS)
    except TokenMalformed as malformed:
        return malformed
    secret = open_secret(bytes(row.secret or b""), kid=row.kid, owner=row.participant_id, name=row.uuid)
    step = totp.matching_step(secret, code, at=trail.at)
    if step is not None and row.is_newer(step):
        accept(row, step, trail)
        _seal_anew(row, secret)
    else:
        error = _charge(row, trail)
    return error


def _refusal(row: Authenticator, status: Authenticator.Status, at: datetime) -> TwoFactorError | None:
    if row.status != status or (status == Status.PENDING and _is_outrun(row)):
        return WrongState()
    if row.is_held:
        return OnboardingIncomplete(missing=["device"], next_action=HELD)
    pause = row.pause(at)
    # Before anything is compared: who guesses in the pause learns nothing and is charged nothing.
    return Throttled(math.ceil(pause.total_seconds())) if pause else None


def _is_outrun(row: Authenticator) -> bool:
    """Tell whether a pending app begins anew: what stands has not agreed to it.

    A contact was proved since the app was enrolled; or one is no more, or is held, that may have agreed to it.
    """
    own = Device.objects.filter(participant=row.participant_id)
    proved = Q(status=Device.Status.ACTIVE, activated_at__gt=row.created_at)
    return own.filter(proved | agreements.lost_since(row.created_at)).exists()


def _take(row: Authenticator, step: int, trail: Trail) -> None:
    row.change(last_step=step, failures=0, failed_at=None, guard=("last_step",))
    trail.add("authenticator.verified", row)


def _seal_anew(row: Authenticator, secret: bytes) -> None:
    """Seal a secret under the first key of the ring, so that an old key can leave it when all apps were used."""
    if row.kid != tokens.issuing_kid():
        kid, sealed = seal_secret(secret, owner=row.participant_id, name=row.uuid)
        row.change(kid=kid, secret=sealed)


def _charge(row: Authenticator, trail: Trail) -> TwoFactorError:
    """Charge a wrong code, or one that was taken before; at the last one in a row the app is held."""
    failures = row.failures + 1
    trail.add("authenticator.attempt_failed", row, attempts=failures)
    if failures < MAX_FAILURES_CAP:
        row.change(failures=failures, failed_at=trail.at, guard=("failures",))
        return TokenInvalid(attempts_remaining=MAX_FAILURES_CAP - failures)
    row.change(failures=failures, failed_at=trail.at, held_at=trail.at, confirmed=False, guard=("failures",))
    trail.add("authenticator.held", row, reason=TOO_MANY)
    about = {"campaign": row.participant.campaign_id, "participant": row.participant_id}
    after_commit(alerts.sound, Alert.TOO_MANY_FAILURES, **about)
    alarms.tell("authenticator.held", row.participant, trail, destination=str(row))
    return TokenInvalid(attempts_remaining=0)


def revoke(
    authenticator: Authenticator, *, storefront: Storefront, actor: Actor, authorization: UUID | None = None
) -> Authenticator:
    """Revoke an app: a pending one at once, an active one by a challenge ``step_up:authenticator_remove``. Idempotent.

    Raises: NotFound, NotActive, Invalid.
    """
    with transaction.atomic(durable=True):
        row = locked(authenticator.pk)
        trail = Trail(actor, now())
        if row.status == Status.ACTIVE:
            # What was answered before it was activated was meant for the one before it.
            about: dict[str, Any] = {"storefront": storefront, "at": trail.at, "since": row.activated_at}
            agreements.ensure(row.participant, agreements.REMOVE, authorization, **about)
        _end(row, trail)
        trail.write()
    return row


def reset(authenticator: Authenticator, *, actor: Actor, reason: str) -> None:
    """Revoke an app without its owner's agreement, by staff, who say why.

    What follows is what follows on the reset of a device: whoever was logged in by the lost phone is so no more; and
    where no other factor is left, the next one needs nobody's agreement, so the identity is asked for once more.

    Raises: NotFound, NotActive, WrongState where it is revoked already.
    """
    with transaction.atomic(durable=True):
        row = locked(authenticator.pk)
        if row.status == Status.REVOKED:
            raise WrongState
        was_active = row.status == Status.ACTIVE
        trail = Trail(actor, now())
        _end(row, trail, reason=reason)
        access_tokens.revoke_all(row.participant, trail, reason="device_reset")
        if was_active and not Device.objects.active().filter(participant=row.participant).exists():
            onboarding.ask_again(row.participant, trail)
        trail.write()


def release(authenticator: Authenticator, *, by: Any, actor: Actor, reason: str) -> None:
    """Take codes of a held app again; ``by`` is the member of staff who says why, and every contact is told.

    Whoever guessed a hundred times has a reason to ask for a hundred more, and the owner learns that somebody did.

    Raises: NotFound, NotActive, WrongState where it is not held; PolicyRefused where it is their own, as with a device.
    """
    if authenticator.participant.user_id == by.pk:
        raise PolicyRefused(_("This device is your own: somebody else releases it."))
    with transaction.atomic(durable=True):
        row = locked(authenticator.pk)
        if not row.is_held:
            raise WrongState
        trail = Trail(actor, now())
        row.change(held_at=None, confirmed=row.status == Status.ACTIVE, failures=0, failed_at=None)
        trail.add("authenticator.released", row, reason=reason)
        alarms.tell("authenticator.released", row.participant, trail, destination=str(row))
        trail.write()


def forget(participant: Participant, trail: Trail) -> None:
    """Erase the apps and codes of a participant who is being erased, without a notice."""
    for row in Authenticator.objects.filter(participant=participant).exclude(status=Status.REVOKED):
        row.participant = participant
        _end(row, trail, reason="erased", told=False)
    Authenticator.objects.filter(participant=participant).update(name="")
    participant.recovery_codes.all().delete()


def _end(row: Authenticator, trail: Trail, *, reason: str = "", told: bool = True) -> None:
    if row.status == Status.REVOKED:
        return
    was_active = row.status == Status.ACTIVE
    row.change(status=Status.REVOKED, confirmed=False, secret=None, revoked_at=trail.at)
    trail.add("authenticator.revoked", row, reason=reason)
    if was_active and told and reason != "replaced":
        alarms.tell("authenticator.revoked", row.participant, trail, destination=str(row))


def locked(pk: int) -> Authenticator:
    """Lock the participant, then the authenticator, in the order of all flows. Raises: NotFound, NotActive."""
    participant_id = Authenticator.objects.values_list("participant_id", flat=True).get(pk=pk)
    participant = agreements.locked_participant(participant_id)
    row: Authenticator = Authenticator.objects.select_for_update(no_key=True).get(pk=pk)
    row.participant = participant
    return row
