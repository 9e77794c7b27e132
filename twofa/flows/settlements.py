"""Settling batches: once the last of its lines has ended, a batch ends as they did."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from twofa.flows.history import WORKER, Trail
from twofa.flows.transactions import retried_once
from twofa.models import Failure, Redemption, RedemptionBatch
from twofa.models.clock import now

Status = RedemptionBatch.Status


def due() -> QuerySet[RedemptionBatch]:
    """Return batches whose lines have all ended and that nobody settled: whoever ended the last one died over it."""
    open_ = Redemption.objects.filter(batch=OuterRef("pk")).exclude(status__in=Redemption.FINAL)
    return RedemptionBatch.objects.filter(~Exists(open_), status=Status.COMPLETING)


def settle(pk: UUID) -> None:
    """End a batch none of whose lines is open any more, once; do nothing where one is.

    Asked after the commit that ended a line. Of two workers that end the last two lines at the same moment, the one
    that commits later finds none open; where both do, the batch's lock lets one after the other in.
    """
    if due().filter(pk=pk).exists():
        _settle(pk)


@retried_once
def _settle(pk: UUID) -> None:
    with transaction.atomic(durable=True):
        batch = RedemptionBatch.objects.select_for_update(no_key=True).get(pk=pk)
        # Read after the lock: whoever had it before may have done this.
        lines = list(Redemption.objects.filter(batch=pk).order_by("pk").only("status", "failure_code"))
        if batch.status != Status.COMPLETING or not all(line.is_final for line in lines):
            return
        trail = Trail(WORKER, now())
        _end(batch, lines, trail)
        trail.write()


def _end(batch: RedemptionBatch, lines: list[Redemption], trail: Trail) -> None:
    counts = Counter(line.status for line in lines)
    completed = counts[Redemption.Status.COMPLETED]
    status = _outcome(completed, of=len(lines))
    batch.move(
        at=trail.at,
        status=status,
        failure_code=_reason(lines) if status == Status.FAILED else "",
        completed_at=_completed_at(status, trail.at),
    )
    ended = {"completed": completed, "failed": len(lines) - completed}
    trail.add(f"batch.{status.value}", batch, batch=str(batch.pk), **ended)


def _outcome(completed: int, *, of: int) -> RedemptionBatch.Status:
    if not completed:
        return Status.FAILED
    return Status.COMPLETED if completed == of else Status.PARTLY_COMPLETED


def _completed_at(status: RedemptionBatch.Status, at: datetime) -> datetime | None:
    return None if status == Status.FAILED else at


def _reason(lines: list[Redemption]) -> str:
    reasons = {line.failure_code for line in lines if line.failure_code}
    return reasons.pop() if len(reasons) == 1 else Failure.SEVERAL_REASONS
