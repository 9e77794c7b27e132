"""How a batch ends without being completed: with all its lines, and its points given back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from twofa import correlation, jobs
from twofa.flows import batch_rows, reservations, verdicts
from twofa.flows.history import WORKER, Trail, explained
from twofa.flows.transactions import retried_once
from twofa.flows.turns import locked
from twofa.fulfillment import get_backend
from twofa.models import Challenge, Failure, Redemption, RedemptionBatch
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

Status, Points = RedemptionBatch.Status, Redemption.Points
AT_ONCE = 5
"""Lines whose points are spent or given back in the request itself; of more, a worker does it."""
_ENDS = {
    Challenge.Status.REJECTED: (Status.REJECTED, Redemption.Status.REJECTED),
    Challenge.Status.EXPIRED: (Status.EXPIRED, Redemption.Status.EXPIRED),
    Challenge.Status.CANCELLED: (Status.CANCELLED, Redemption.Status.CANCELLED),
}


def end(batch: RedemptionBatch, trail: Trail, reason: str = "") -> None:
    """End a pending batch, which is locked, as its challenge ended; its points are due to be given back."""
    of_batch, of_lines = _ENDS[Challenge.Status(batch.challenge.status)]
    lines = batch_rows.own_lines(batch, Redemption.Status.PENDING)
    sealed = bytes(batch.challenge.transaction_digest)
    is_tampered = of_batch == Status.CANCELLED and sealed != batch.digest(batch.lines)
    because = Failure.TRANSACTION_CHANGED if is_tampered else verdicts.failure_code(batch.challenge, reason)
    end_lines(lines, of_lines, trail, failure_code=because, **explained(reason))
    batch.move(at=trail.at, status=of_batch, failure_code=because)
    if is_tampered:
        logger.error("batch %s is not what its token was issued for", batch.pk)
        trail.add("batch.tampered", batch, batch.challenge, batch=str(batch.pk))
    trail.add(f"batch.{of_batch.value}", batch, batch.challenge, batch=str(batch.pk), **explained(reason))


def end_lines(
    lines: Sequence[Redemption], status: Redemption.Status, trail: Trail, *, failure_code: str = "", **data: str
) -> None:
    """End lines, which are locked, in one state, and let their points be given back."""
    if get_backend().remote:
        # A remote reserve may have succeeded without our hearing of it: release is asked for, to be sure.
        unheard = [line for line in lines if line.points == Points.NONE]
        Redemption.move_all(unheard, at=trail.at, points=Points.RESERVED)
    Redemption.move_all(
        lines,
        at=trail.at,
        status=status,
        failure_code=failure_code,
        completion_tries=0,
        due_at=trail.at,
        parked_at=None,
    )
    for line in lines:
        trail.add(f"redemption.{status.value}", line, **data)


def release(batch: RedemptionBatch) -> None:
    """Give the points of a batch that ended back: at once where they are few, else by a worker, and by the sweeper."""
    if len(batch.lines) > AT_ONCE:
        jobs.publish(jobs.COMPLETE_BATCH, batch.pk)
        return
    for line in batch.lines:
        if line.owes_release:
            reservations.release(line.pk)


def expire(pk: UUID) -> None:
    """End a batch whose deadline has passed, and give its points back; do nothing where it has not."""
    batch = _expire(pk)
    if batch is not None:
        release(batch)


@retried_once
def _expire(pk: UUID) -> RedemptionBatch | None:
    with transaction.atomic(durable=True):
        batch = batch_rows.locked(pk)
        at = now()
        if not is_overdue(batch, at):
            return None
        trail = Trail(WORKER, at)
        verdicts.end(batch.challenge, Challenge.Status.EXPIRED, at=at, trail=trail)
        end(batch, trail)
        trail.write()
    return batch


def is_overdue(batch: RedemptionBatch, at: datetime) -> bool:
    """Tell whether a batch waits for a token although its deadline has passed."""
    return batch.status == Status.PENDING and batch.challenge.is_past_deadline(at)


def end_stray(pk: UUID) -> None:
    """Cancel what waits for a token that cannot come: a line that somebody took out of its batch by hand.

    No challenge ends it, and without an end its points would be held for ever.
    """
    with transaction.atomic(durable=True):
        line = locked(pk)
        asked = Challenge.objects.filter(redemption=pk).exists()
        if line.status != Redemption.Status.PENDING or line.batch_id is not None or asked:
            return
        trail = Trail(WORKER, line.read_at)
        trail.add("redemption.tampered", line)
        end_lines([line], Redemption.Status.CANCELLED, trail, failure_code=Failure.TRANSACTION_CHANGED)
        trail.write()
    reservations.release(pk)
