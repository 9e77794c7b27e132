"""Batches: confirm, resend, cancel, read. All their lines share the one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    NotFound,
    TransactionChanged,
    TwoFactorError,
    WrongState,
)
from twofa.flows import batch_completions, batch_ends, batch_rows, facts, onboarding, renewals, turns, verdicts
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import retried_once
from twofa.models import Challenge, Redemption, RedemptionBatch, Storefront, writes
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

Status, Points = RedemptionBatch.Status, Redemption.Points


@dataclass(frozen=True)
class _Verdict:
    """What the transaction of a confirm decided: carried out of it, so that nothing is raised inside."""

    batch: RedemptionBatch
    error: TwoFactorError | None
    is_news: bool


@sensitive_variables()
def confirm(
    pk: UUID, *, storefront: Storefront, token: object, amount: Decimal | None, actor: Actor
) -> RedemptionBatch:
    """Judge a token, and complete the lines of the batch where it is the right one. Idempotent for the right token.

    ``amount``, where given, is held against the total first.

    Raises: NotFound, WrongState, ChallengeClosed, TransactionChanged, TokenMalformed, TokenInvalid, TokenSuperseded,
    TokenExpired, AttemptsExhausted, FailedAttemptsBudget, NotActive, OnboardingIncomplete, ApproverNotEntitled.
    """
    verdict = _judge(pk, storefront, token, amount, actor)
    if verdict.is_news and verdict.error is None:
        batch_completions.finish(verdict.batch, storefront=storefront)
    elif verdict.is_news:
        batch_ends.release(verdict.batch)
    if verdict.error is not None:
        raise verdict.error
    return get(pk, storefront=storefront)


@retried_once
def _judge(pk: UUID, storefront: Storefront, token: object, amount: Decimal | None, actor: Actor) -> _Verdict:
    """Judge one token in one transaction: the attempt is charged in the commit that brings the verdict.

    No host code runs in here, and nothing is raised once something was written: that would take the charge back.
    """
    with transaction.atomic(durable=True):
        batch = _locked(pk, storefront)
        was = batch.status
        # Read after the locks: before them it would be of before the wait.
        standing = facts.standing(batch.challenge)
        trail = Trail(actor, standing.at)
        error = _error(batch, token, amount, standing, trail)
        with writes.together():
            if error is None and batch.status == Status.PENDING:
                _approve(batch, trail)
            elif batch.challenge.is_final and batch.status == Status.PENDING:
                batch_ends.end(batch, trail)
            trail.write()
    if isinstance(error, ChallengeClosed | AttemptsExhausted):
        error.params["batch"] = batch
    return _Verdict(batch, error, is_news=batch.status != was)


def _error(
    batch: RedemptionBatch, token: object, amount: Decimal | None, standing: facts.Standing, trail: Trail
) -> TwoFactorError | None:
    challenge = batch.challenge
    if amount is not None and amount != batch.total:
        return TransactionChanged()
    if challenge.is_final:
        return verdicts.replay(challenge, token)
    unproved = None if challenge.is_past_deadline(standing.at) else onboarding.refusal(batch.participant)
    if unproved is not None:
        # As with a device that cools off: nothing is compared, and nothing is charged.
        return unproved
    return verdicts.attempt(challenge, token, digest=batch.digest(batch.lines), standing=standing, trail=trail)


def _approve(batch: RedemptionBatch, trail: Trail) -> None:
    """Approve the batch and each line, every one as it stands: the verdict has just found all of them unchanged."""
    lines = batch_rows.own_lines(batch, Redemption.Status.PENDING)
    Redemption.move_all(
        lines,
        at=trail.at,
        each={"approved_digest": {line.pk: line.digest() for line in lines}},
        status=Redemption.Status.APPROVED,
        approved_at=trail.at,
        # If this process dies before it completes them, the sweeper does.
        due_at=trail.at + turns.GRACE,
    )
    batch.move(
        at=trail.at,
        status=Status.COMPLETING,
        approved_digest=batch.challenge.transaction_digest,
        approved_at=trail.at,
    )
    trail.add("batch.approved", batch, batch.challenge, batch=str(batch.pk))
    for line in lines:
        trail.add("redemption.approved", line)


@sensitive_variables()
def resend(
    pk: UUID, *, storefront: Storefront | None, actor: Actor, channel: str | None = None, reason: str = ""
) -> RedemptionBatch:
    """Replace the token by a new one and send it, within the same pauses and budgets whoever asks.

    ``storefront`` is None for staff, who say why. Raises: NotFound, WrongState, ChallengeClosed, NotActive,
    ChannelUnavailable, DestinationNotAllowed, ResendCooldown, ResendsExhausted, FailedAttemptsBudget, SendBudget,
    OnboardingIncomplete, ApproverNotEntitled.
    """
    get(pk, storefront=storefront)
    _resend(pk, storefront, actor, channel, reason)
    return get(pk, storefront=storefront)


@retried_once
def _resend(pk: UUID, storefront: Storefront | None, actor: Actor, channel: str | None, reason: str) -> None:
    with transaction.atomic(durable=True):
        batch = _locked(pk, storefront)
        if batch.challenge.is_final:
            raise ChallengeClosed(challenge=batch.challenge, batch=batch)
        if any(line.points != Points.RESERVED for line in batch.lines):
            # A remote ledger has not set all points aside yet: the first message still waits for it.
            raise WrongState(batch=batch)
        renewals.renew(batch.challenge, actor=actor, channel=channel, reason=reason)


def cancel(pk: UUID, *, storefront: Storefront | None, actor: Actor, reason: str = "") -> RedemptionBatch:
    """Cancel a batch that waits, with all its lines, and give their points back; a cancelled one is returned as it is.

    ``storefront`` is None for staff. Raises: NotFound, WrongState.
    """
    get(pk, storefront=storefront)
    batch = _cancel(pk, storefront, actor, reason)
    batch_ends.release(batch)
    return get(pk, storefront=storefront)


def cancel_open(pk: UUID, *, actor: Actor, reason: str) -> None:
    """Cancel a batch if it still waits: a confirm that came first stands."""
    try:
        cancel(pk, storefront=None, actor=actor, reason=reason)
    except WrongState:
        logger.info("batch %s had ended before it was cancelled (%s)", pk, reason)


@retried_once
def _cancel(pk: UUID, storefront: Storefront | None, actor: Actor, reason: str) -> RedemptionBatch:
    with transaction.atomic(durable=True):
        batch = _locked(pk, storefront)
        if batch.status == Status.CANCELLED:
            return batch
        if batch.status != Status.PENDING:
            raise WrongState(batch=batch)
        trail = Trail(actor, now())
        code = verdicts.code_of(reason)
        verdicts.end(batch.challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail, reason=code)
        batch_ends.end(batch, trail, reason)
        trail.write()
    return batch


def get(pk: UUID, *, storefront: Storefront | None) -> RedemptionBatch:
    """Return a batch with its lines as it is now: one whose deadline has passed is expired, whether or not swept.

    ``storefront`` is None for staff. Raises: NotFound.
    """
    rows = RedemptionBatch.objects.filter(pk=pk)
    return _current(rows if storefront is None else rows.filter(storefront=storefront))


def find_request(storefront: Storefront, slug: str, request_id: str) -> RedemptionBatch:
    """Return the batch of a request id, with its lines, as it is now."""
    rows = RedemptionBatch.objects.filter(storefront=storefront, campaign__slug=slug, request_id=request_id)
    return _current(rows)


def _current(rows: QuerySet[RedemptionBatch]) -> RedemptionBatch:
    batch = _read(rows)
    if batch_ends.is_overdue(batch, batch.read_at):
        batch_ends.expire(batch.pk)
        batch = _read(rows)
    return batch


def _read(rows: QuerySet[RedemptionBatch]) -> RedemptionBatch:
    found = batch_rows.with_lines(batch_rows.readable(rows))
    if not found:
        raise NotFound
    return found[0]


def _locked(pk: UUID, storefront: Storefront | None) -> RedemptionBatch:
    """Lock a batch that a token was asked for. Raises: NotFound, WrongState."""
    batch = batch_rows.locked(pk, storefront=storefront)
    if not batch.two_factor_required:
        raise WrongState(batch=batch)
    return batch
