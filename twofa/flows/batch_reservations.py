"""The points of a batch at a remote ledger: set aside line by line after the checkout, all of them or none."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from twofa import correlation
from twofa.conf import conf
from twofa.exceptions import RedemptionRefused
from twofa.flows import batch_ends, batch_rows, calls, issuing, verdicts
from twofa.flows.history import WORKER, Trail
from twofa.flows.turns import GRACE, postpone
from twofa.fulfillment import get_backend
from twofa.models import Challenge, Failure, Redemption, RedemptionBatch
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

Status, Points = Redemption.Status, Redemption.Points
_OPEN = (RedemptionBatch.Status.PENDING, RedemptionBatch.Status.COMPLETING)
_OPEN_LINES = (Status.PENDING, Status.APPROVED)


def reserve(pk: UUID) -> None:
    """Ask a remote ledger for the points of each line of a batch; the token is sent once it has set all aside.

    A line without a clear answer ends the round: the sweeper asks again. Raises: RedemptionRefused, with the number of
    the line, after the batch was ended and what was set aside is due to be given back.
    """
    while True:
        batch, failure = _reserve_next(pk)
        if isinstance(failure, RedemptionRefused):
            batch_ends.release(batch)
            raise failure
        if failure is not None or not _waiting(batch):
            return


def drive(line: Redemption) -> bool:
    """Do what is due for a redemption that waits with its batch; tell whether it does."""
    if line.is_final or (line.points == Points.RESERVED and line.status != Status.PENDING):
        return False
    if line.batch_id is None:
        # One that waits on its own is due only while its points are not set aside.
        if line.points == Points.RESERVED:
            batch_ends.end_stray(line.pk)
        return line.points == Points.RESERVED
    if line.points == Points.NONE:
        try:
            reserve(line.batch_id)
        except RedemptionRefused as refusal:
            logger.info("batch %s was refused: %s", line.batch_id, refusal.reason)
    else:
        batch_ends.expire(line.batch_id)
    return True


def looked_at(batch: RedemptionBatch) -> datetime | None:
    """Return when a line that waits with its batch is due: a moment after the deadline, which has ended both."""
    return batch.challenge.deadline + GRACE if batch.two_factor_required else None


def _waiting(batch: RedemptionBatch) -> list[Redemption]:
    lines = batch_rows.own_lines(batch, *_OPEN_LINES) if batch.status in _OPEN else []
    return [line for line in lines if line.points == Points.NONE]


def _reserve_next(pk: UUID) -> tuple[RedemptionBatch, Exception | None]:
    """Ask for one line, and return what the ledger raised.

    Under the locks of the whole batch, so that the answer to the last line and what follows from it are one commit: no
    worker that dies in between leaves a token unsent, and no line is completed while another may still be refused.
    """
    with transaction.atomic(durable=True):
        batch = batch_rows.locked(pk, with_participant=False)
        waiting = _waiting(batch)
        if not waiting:
            return batch, None
        failure = calls.attempt(get_backend().reserve, waiting[0])
        trail = Trail(WORKER, now())
        if failure is None:
            _reserved(batch, waiting[0], trail, is_last=len(waiting) == 1)
        elif isinstance(failure, RedemptionRefused):
            failure.params["line"] = batch.lines.index(waiting[0])
            _refused(batch, waiting[0], failure.reason[:64], trail, is_clear=True)
        else:
            _postponed(batch, waiting[0], trail)
        trail.write()
    return batch, failure


def _reserved(batch: RedemptionBatch, line: Redemption, trail: Trail, *, is_last: bool) -> None:
    line.move(at=trail.at, points=Points.RESERVED, completion_tries=0, due_at=looked_at(batch))
    trail.add("points.reserved", line)
    if is_last and batch.status == RedemptionBatch.Status.PENDING:
        issuing.let_go(batch.challenge, at=trail.at)
    elif is_last:
        # Only now may any be completed. If this process dies before it does, the sweeper does.
        Redemption.move_all(batch_rows.own_lines(batch, Status.APPROVED), at=trail.at, due_at=trail.at + GRACE)


def _postponed(batch: RedemptionBatch, line: Redemption, trail: Trail) -> None:
    """Ask again later. What waits for a token ends with its deadline, what needs none after the last try.

    Nobody has to look: no point of the batch is spent before all are set aside, and to give back what may be set aside
    is safe.
    """
    if batch.status == RedemptionBatch.Status.COMPLETING and line.completion_tries + 1 >= conf.completion_max_tries:
        _refused(batch, line, Failure.UNAVAILABLE, trail, is_clear=False)
    else:
        postpone(line, trail, "points.reserve_postponed", parks=False)


def _refused(batch: RedemptionBatch, line: Redemption, reason: str, trail: Trail, *, is_clear: bool) -> None:
    """End a batch one of whose lines was refused. Unless that was clear, its points are given back as the others'."""
    pending = batch.status == RedemptionBatch.Status.PENDING
    of_batch = RedemptionBatch.Status.CANCELLED if pending else RedemptionBatch.Status.FAILED
    of_lines = Status.CANCELLED if pending else Status.FAILED
    if pending:
        verdicts.end(batch.challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail)
        issuing.supersede(batch.challenge, trail)
    if is_clear:
        line.move(at=trail.at, status=of_lines, failure_code=reason, due_at=None)
        trail.add(f"redemption.{of_lines.value}", line, reason=reason)
    else:
        batch_ends.end_lines([line], of_lines, trail, failure_code=reason, reason=reason)
    others = batch_rows.own_lines(batch, *_OPEN_LINES)
    because = Failure.BATCH_REFUSED
    batch_ends.end_lines(others, of_lines, trail, failure_code=because, reason=because)
    batch.move(at=trail.at, status=of_batch, failure_code=reason)
    about = [batch.challenge] if pending else []
    trail.add(f"batch.{of_batch.value}", batch, *about, batch=str(batch.pk), reason=reason)
