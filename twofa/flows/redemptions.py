"""Redemptions: confirm, resend, cancel, read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    NotFound,
    PurposeMismatch,
    TransactionChanged,
    TwoFactorError,
    WrongState,
)
from twofa.flows import (
    batch_ends,
    completions,
    facts,
    notices,
    onboarding,
    renewals,
    reservations,
    schedules,
    turns,
    verdicts,
)
from twofa.flows.history import WORKER, Actor, Trail, explained
from twofa.flows.transactions import retried_once
from twofa.fulfillment import get_backend
from twofa.models import Campaign, Challenge, Delivery, Failure, Participant, Redemption, Storefront, statements, writes
from twofa.models.clock import Clock, now

logger = correlation.get_logger(__name__)

Status, Points = Redemption.Status, Redemption.Points
_ENDS = {
    Challenge.Status.REJECTED: Status.REJECTED,
    Challenge.Status.EXPIRED: Status.EXPIRED,
    Challenge.Status.CANCELLED: Status.CANCELLED,
}
_LOCK_SQL = """FROM {challenge}
    JOIN {redemption} ON redemption.id = challenge.redemption_id
    JOIN {participant} ON participant.id = redemption.participant_id
    JOIN {campaign} ON campaign.id = redemption.campaign_id
    LEFT JOIN {delivery} ON delivery.challenge_id = challenge.id AND delivery.generation = challenge.generation
    WHERE redemption.id = %(pk)s"""
_OWN = " AND redemption.storefront_id = %(storefront)s"
_LOCK: dict[str, Any] = {
    "challenge": Challenge,
    "redemption": Redemption,
    "participant": Participant,
    "campaign": Campaign,
    "joined": {"delivery": Delivery},
    "extra": {
        "delivery_status": ("delivery.status", CharField()),
        "delivery_reason": ("delivery.reason", CharField()),
    },
    # The order in which every flow locks them.
    "lock": ("participant", "redemption", "challenge"),
}
_LOCKED = statements.Select(_LOCK_SQL, **_LOCK)
_LOCKED_OWN = statements.Select(_LOCK_SQL + _OWN, **_LOCK)
# A campaign has forty columns, and a confirm needs these.
_CONFIRMED_CAMPAIGN = {
    "slug",
    "completion_mode",
    "failed_attempts_per_day",
    "identity_required",
    "required_documents",
}
_CONFIRMED = statements.Select(_LOCK_SQL + _OWN, only={"campaign": _CONFIRMED_CAMPAIGN}, **_LOCK)


@dataclass(frozen=True)
class _Verdict:
    """What the transaction of a confirm decided: carried out of it, so that nothing is raised inside."""

    redemption: Redemption
    error: TwoFactorError | None


@sensitive_variables()
def confirm(pk: UUID, *, storefront: Storefront, token: object, amount: Decimal | None, actor: Actor) -> Redemption:
    """Judge a token, and complete the redemption where it is the right one. Idempotent for the right token.

    Raises: NotFound, WrongState, ChallengeClosed, TransactionChanged, TokenMalformed, TokenInvalid, TokenSuperseded,
    TokenExpired, AttemptsExhausted, FailedAttemptsBudget, NotActive, OnboardingIncomplete.
    """
    verdict = _judge(pk, storefront, token, amount, actor)
    redemption = verdict.redemption
    if verdict.error is not None:
        if redemption.owes_release:
            reservations.release(pk)
        raise verdict.error
    if redemption.status == Status.APPROVED and redemption.points == Points.RESERVED:
        return completions.finish(redemption, storefront=storefront)
    return redemption


@retried_once
def _judge(pk: UUID, storefront: Storefront, token: object, amount: Decimal | None, actor: Actor) -> _Verdict:
    """Judge one token in one transaction: the attempt is charged in the commit that brings the verdict.

    No host code runs in here, and nothing is raised once something was written: that would take the charge back.
    """
    with transaction.atomic(durable=True):
        rows, standings = statements.read(_CONFIRMED, facts.STANDING_OF_REDEMPTION, pk=pk, storefront=storefront.pk)
        challenge, redemption = _related(rows, pk, storefront)
        standing = facts.Standing(**standings[0])
        redemption.read_at = standing.at
        trail = Trail(actor, standing.at)
        with writes.together():
            error = _error(challenge, redemption, token, amount, standing, trail)
            if error is None and redemption.status == Status.PENDING:
                _approve(redemption, challenge, trail)
            elif challenge.is_final and redemption.status == Status.PENDING:
                end(redemption, challenge, trail)
            trail.write()
        if isinstance(error, AttemptsExhausted):
            notices.of_redemption("redemption.rejected", redemption, redemption.campaign.message_switches, trail)
            trail.write()
    if error is not None and isinstance(error, ChallengeClosed | AttemptsExhausted):
        error.params["redemption"] = redemption
    return _Verdict(redemption, error)


def _error(
    challenge: Challenge,
    redemption: Redemption,
    token: object,
    amount: Decimal | None,
    standing: facts.Standing,
    trail: Trail,
) -> TwoFactorError | None:
    if amount is not None and amount != redemption.amount:
        return TransactionChanged()
    if challenge.is_final:
        return verdicts.replay(challenge, token)
    unproved = None if challenge.is_past_deadline(standing.at) else onboarding.refusal(redemption.participant)
    if unproved is not None:
        # As with a device that cools off: nothing is compared, and nothing is charged.
        return unproved
    return verdicts.attempt(challenge, token, digest=redemption.digest(), standing=standing, trail=trail)


def _approve(redemption: Redemption, challenge: Challenge, trail: Trail) -> None:
    redemption.move(
        at=trail.at,
        status=Status.APPROVED,
        # What the token was issued for: the verdict has just found that the row is still that.
        approved_digest=challenge.transaction_digest,
        approved_at=trail.at,
        # If this process dies before it completes, the sweeper does.
        due_at=trail.at + turns.GRACE,
    )
    trail.add("redemption.approved", redemption)
    turns.put_down(redemption, trail)


def end(redemption: Redemption, challenge: Challenge, trail: Trail, reason: str = "") -> None:
    """End a locked redemption as its challenge ended; its points are due to be given back after the commit."""
    status = _ENDS[Challenge.Status(challenge.status)]
    points = redemption.points
    if points == Points.NONE and get_backend().remote:
        # A remote reserve may have succeeded without our hearing of it: release is asked for, to be sure.
        points = Points.RESERVED
        redemption.move(at=trail.at, points=points)
    is_tampered = challenge.status == Challenge.Status.CANCELLED and not _matches(redemption, challenge)
    redemption.move(
        at=trail.at,
        status=status,
        failure_code=Failure.TRANSACTION_CHANGED if is_tampered else verdicts.failure_code(challenge, reason),
        due_at=trail.at if points == Points.RESERVED else None,
    )
    if is_tampered:
        trail.add("redemption.tampered", redemption)
    trail.add(f"redemption.{status.value}", redemption, **explained(reason))


def _matches(redemption: Redemption, challenge: Challenge) -> bool:
    return bytes(challenge.transaction_digest) == redemption.digest()


@sensitive_variables()
def resend(
    pk: UUID, *, storefront: Storefront | None, actor: Actor, channel: str | None = None, reason: str = ""
) -> Redemption:
    """Replace the token by a new one and send it, within the same pauses and budgets whoever asks.

    ``storefront`` is None for staff, who say why. Raises: NotFound, WrongState, ChallengeClosed, NotActive,
    ChannelUnavailable, DestinationNotAllowed, ResendCooldown, ResendsExhausted, FailedAttemptsBudget, SendBudget,
    OnboardingIncomplete.
    """
    redemption = _alone(pk, storefront)
    if not redemption.two_factor_required:
        raise WrongState(redemption=redemption)
    if redemption.status != Status.PENDING:
        raise ChallengeClosed(challenge=redemption.deciding_challenge, redemption=redemption)
    return _resend(pk, storefront, actor, channel, reason)


@retried_once
def _resend(pk: UUID, storefront: Storefront | None, actor: Actor, channel: str | None, reason: str) -> Redemption:
    with transaction.atomic(durable=True):
        challenge, redemption = locked(pk, storefront)
        if challenge.is_final:
            raise ChallengeClosed(challenge=challenge, redemption=redemption)
        if redemption.points != Points.RESERVED:
            raise WrongState(redemption=redemption)
        redemption.read_at = renewals.renew(challenge, actor=actor, channel=channel, reason=reason)
    return redemption


def cancel(pk: UUID, *, storefront: Storefront | None, actor: Actor, reason: str = "") -> Redemption:
    """Cancel a redemption that waits, for its token or for its time, and give its points back.

    One cancelled already is returned as it is. ``storefront`` is None for staff. Raises: NotFound, WrongState.
    """
    known = _alone(pk, storefront)
    # One that needed no token has no challenge to lock.
    is_beyond = known.status in (Status.SCHEDULED, Status.CANCELLED)
    redemption = known if is_beyond else _cancel(pk, storefront, actor, reason)
    if redemption.status == Status.SCHEDULED:
        redemption = turns.with_known(schedules.cancel(pk, actor=actor, reason=reason), known)
    if redemption.points == Points.RESERVED:
        redemption = turns.with_known(reservations.release(pk), redemption)
    return redemption


def cancel_open(pk: UUID, *, actor: Actor, reason: str) -> None:
    """Cancel a redemption if it still waits for its token: a confirm that came first stands, whatever it is for."""
    try:
        redemption = _cancel(pk, None, actor, reason)
    except WrongState:
        logger.info("redemption %s had ended before it was cancelled (%s)", pk, reason)
        return
    if redemption.status == Status.CANCELLED and redemption.points == Points.RESERVED:
        reservations.release(pk)


@retried_once
def _cancel(pk: UUID, storefront: Storefront | None, actor: Actor, reason: str) -> Redemption:
    with transaction.atomic(durable=True):
        challenge, redemption = locked(pk, storefront)
        redemption.read_at = now()
        if redemption.status in (Status.CANCELLED, Status.SCHEDULED):
            return redemption
        if redemption.status != Status.PENDING:
            raise WrongState(redemption=redemption)
        trail = Trail(actor, redemption.read_at)
        code = verdicts.code_of(reason)
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail, reason=code)
        end(redemption, challenge, trail, reason)
        trail.write()
    return redemption


def get(pk: UUID, *, storefront: Storefront) -> Redemption:
    """Return a redemption as it is now: one whose deadline has passed is expired, whether or not a sweep came by.

    Raises: NotFound.
    """
    return _current(pk, storefront)


def expire(pk: UUID) -> None:
    """End a redemption whose deadline has passed, and give its points back; do nothing where it has not."""
    redemption = _expire(pk)
    if redemption is not None and redemption.points == Points.RESERVED:
        reservations.release(pk)


@retried_once
def _expire(pk: UUID) -> Redemption | None:
    with transaction.atomic(durable=True):
        challenge, redemption = locked(pk, None)
        at = now()
        if challenge.is_final or not challenge.is_past_deadline(at):
            return None
        trail = Trail(WORKER, at)
        verdicts.end(challenge, Challenge.Status.EXPIRED, at=at, trail=trail)
        end(redemption, challenge, trail)
        trail.write()
    return redemption


def readable(rows: QuerySet[Redemption]) -> QuerySet[Redemption]:
    """Load with redemptions all that an answer about them shows, in one statement."""
    present = Delivery.objects.filter(
        challenge=Coalesce(OuterRef("challenge__pk"), OuterRef("batch__challenge__pk")),
        generation=Coalesce(OuterRef("challenge__generation"), OuterRef("batch__challenge__generation")),
    ).order_by()
    return rows.select_related("campaign", "participant", "approver", "challenge", "batch__challenge").annotate(
        clock=Clock(),
        delivery_status=Coalesce(Subquery(present.values("status")[:1]), Value("queued")),
        delivery_reason=Coalesce(Subquery(present.values("reason")[:1]), Value("")),
    )


def current(rows: Iterable[Redemption]) -> list[Redemption]:
    """Return redemptions loaded by :func:`readable` as they are now, expiring those whose deadline has passed."""
    loaded = [_completed_read(redemption) for redemption in rows]
    overdue = [redemption for redemption in loaded if _is_overdue(redemption)]
    for batch_id in {redemption.batch_id for redemption in overdue if redemption.batch_id is not None}:
        batch_ends.expire(batch_id)
    for redemption in overdue:
        if redemption.batch_id is None:
            expire(redemption.pk)
    if not overdue:
        return loaded
    late = Redemption.objects.filter(pk__in=[redemption.pk for redemption in overdue])
    fresh = {row.pk: _completed_read(row) for row in readable(late)}
    return [fresh.get(redemption.pk, redemption) for redemption in loaded]


def find_order(storefront: Storefront, slug: str, order_id: str) -> Redemption:
    """Return the redemption of an order id, as it is now."""
    rows = Redemption.objects.filter(storefront=storefront, campaign__slug=slug, order_id=order_id)
    return current(readable(rows))[0]


def refreshed(known: Redemption, changed: Redemption) -> Redemption:
    """Return ``changed`` with the challenge that ``known`` has loaded."""
    if "challenge" in known._state.fields_cache:
        changed._state.fields_cache["challenge"] = known._state.fields_cache["challenge"]
    return changed


def _current(pk: UUID, storefront: Storefront | None) -> Redemption:
    rows = Redemption.objects.filter(pk=pk)
    if storefront is not None:
        rows = rows.filter(storefront=storefront)
    loaded = current(readable(rows))
    if not loaded:
        raise NotFound
    return loaded[0]


def _completed_read(redemption: Redemption) -> Redemption:
    redemption.read_at = redemption.clock  # type: ignore[attr-defined]
    challenge = redemption.deciding_challenge
    if challenge is not None:
        challenge.delivery_status = redemption.delivery_status  # type: ignore[attr-defined]
        challenge.delivery_reason = redemption.delivery_reason  # type: ignore[attr-defined]
    return redemption


def _alone(pk: UUID, storefront: Storefront | None) -> Redemption:
    """Return a redemption that is answered at its own path. Raises: NotFound, PurposeMismatch for a line of a batch."""
    redemption = _current(pk, storefront)
    if redemption.batch_id is not None:
        raise PurposeMismatch
    return redemption


def _is_overdue(redemption: Redemption) -> bool:
    challenge = redemption.deciding_challenge
    if challenge is None or redemption.status != Status.PENDING:
        return False
    return challenge.is_past_deadline(redemption.read_at)


def locked(pk: UUID, storefront: Storefront | None) -> tuple[Challenge, Redemption]:
    """Lock participant, redemption and challenge. Raises: NotFound, or WrongState where there is no challenge."""
    statement = _LOCKED if storefront is None else _LOCKED_OWN
    rows = statement.rows(pk=pk, storefront=None if storefront is None else storefront.pk)
    return _related(rows, pk, storefront)


def _related(rows: list[dict[str, Any]], pk: UUID, storefront: Storefront | None) -> tuple[Challenge, Redemption]:
    if not rows:
        raise WrongState(redemption=_alone(pk, storefront))
    (row,) = rows
    challenge, redemption = row["challenge"], row["redemption"]
    redemption.campaign, redemption.participant = row["campaign"], row["participant"]
    redemption.participant.campaign = row["campaign"]
    challenge.campaign, challenge.participant = row["campaign"], row["participant"]
    challenge.redemption, redemption.challenge = redemption, challenge
    challenge.delivery_status = row["delivery_status"] or Delivery.Status.QUEUED
    challenge.delivery_reason = row["delivery_reason"] or ""
    return challenge, redemption
