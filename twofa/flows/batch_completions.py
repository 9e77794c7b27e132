"""Completing batches: line by line through the one gate, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from twofa import correlation, jobs
from twofa.flows import completions, reservations, settlements
from twofa.flows.batch_ends import AT_ONCE
from twofa.models import CompletionMode, Redemption, RedemptionBatch, Storefront

logger = correlation.get_logger(__name__)

Status, Points = Redemption.Status, Redemption.Points


def finish(batch: RedemptionBatch, *, storefront: Storefront) -> None:
    """Complete the lines of an approved batch: a few in this request where that is wanted, else by a worker."""
    if completions.mode(batch.campaign, storefront) == CompletionMode.SYNC and len(batch.lines) <= AT_ONCE:
        drive(batch.pk)
    else:
        jobs.publish(jobs.COMPLETE_BATCH, batch.pk)


def drive(pk: UUID) -> None:
    """Do what each line of a batch needs, one after the other: complete it, or give its points back.

    Where it is broken off, each line left is due by itself, and the sweeper takes it from there.
    """
    lines = list(Redemption.objects.filter(batch=pk).order_by("pk"))
    if any(line.status == Status.APPROVED and line.points == Points.NONE for line in lines):
        # Its ledger may still refuse one: none is completed before all points are set aside.
        return
    for line in lines:
        try:
            step = _step(line)
            if step is not None:
                step(line.pk)
        except Exception:  # one line must not keep the others waiting; the sweeper tries it again
            logger.exception("line %s of batch %s failed", line.pk, pk)
    settlements.settle(pk)


def _step(line: Redemption) -> Callable[[UUID], object] | None:
    """Return what is next for a line. What only waits, for a token or for staff, needs nothing of us."""
    if line.points != Points.RESERVED or line.is_parked:
        return None
    if line.status == Status.APPROVED:
        return completions.complete
    return reservations.release if line.owes_release else None
