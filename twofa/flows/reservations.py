"""The host's points: set aside by a remote ledger after the checkout, and given back where nothing was bought."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from twofa import correlation
from twofa.exceptions import RedemptionRefused
from twofa.flows import calls, issuing, verdicts
from twofa.flows.history import WORKER, Trail
from twofa.flows.turns import GRACE, locked, postpone, put_down
from twofa.fulfillment import get_backend
from twofa.models import Challenge, Redemption

logger = correlation.get_logger(__name__)

Status, Points = Redemption.Status, Redemption.Points


def reserve_remote(pk: UUID) -> Redemption:
    """Ask a remote ledger to set the points aside, after the checkout's commit; the token is sent when it has.

    Raises: RedemptionRefused, after the redemption was ended with that reason.
    """
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        refusal = None
        if redemption.points == Points.NONE and redemption.status in (Status.PENDING, Status.APPROVED):
            refusal = _reserve_locked(redemption)
    if refusal is not None:
        raise refusal
    return redemption


def _reserve_locked(redemption: Redemption) -> RedemptionRefused | None:
    at = redemption.read_at
    trail = Trail(WORKER, at)
    challenge = _locked_challenge(redemption)
    failure = calls.attempt(get_backend().reserve, redemption)
    if failure is None:
        waits = redemption.status == Status.PENDING
        redemption.move(at=at, points=Points.RESERVED, completion_tries=0, due_at=None if waits else at + GRACE)
        trail.add("points.reserved", redemption)
        if not waits:
            put_down(redemption, trail)
        if challenge is not None and not challenge.is_final:
            issuing.let_go(challenge, at=at)
    elif isinstance(failure, RedemptionRefused):
        _refused_remotely(redemption, challenge, failure, trail)
    else:
        postpone(redemption, trail, "points.reserve_postponed", parks=redemption.status == Status.APPROVED)
    trail.write()
    return failure if isinstance(failure, RedemptionRefused) else None


def _refused_remotely(
    redemption: Redemption, challenge: Challenge | None, refusal: RedemptionRefused, trail: Trail
) -> None:
    if challenge is not None and not challenge.is_final:
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail)
        issuing.supersede(challenge, trail)
    ended = Status.CANCELLED if redemption.status == Status.PENDING else Status.FAILED
    redemption.move(at=trail.at, status=ended, failure_code=refusal.reason[:64], due_at=None)
    trail.add(f"redemption.{ended.value}", redemption, reason=refusal.reason[:64])


def release(pk: UUID) -> Redemption:
    """Give the points of one ended redemption back, or do nothing where none are held.

    A failure changes no verdict: the sweeper tries again until it succeeds.
    """
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        if redemption.owes_release:
            _release_locked(redemption)
    return redemption


def _release_locked(redemption: Redemption) -> None:
    trail = Trail(WORKER, redemption.read_at)
    failure = calls.attempt(get_backend().release, redemption)
    if failure is None:
        redemption.move(at=trail.at, points=Points.RELEASED, due_at=None)
        trail.add("points.released", redemption)
    else:
        postpone(redemption, trail, "points.release_postponed", parks=False)
    trail.write()


def _locked_challenge(redemption: Redemption) -> Challenge | None:
    if not redemption.two_factor_required:
        return None
    return Challenge.objects.select_for_update(no_key=True).get(redemption=redemption)
