"""Celery tasks: entry points like views. One flow call each; ids are their only arguments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task

from twofa import correlation, jobs
from twofa.flows import batch_completions, completions, deliveries, purges, sweeps, webhooks


class CorrelatedTask(Task):  # type: ignore[type-arg]
    """Runs under the correlation id of whoever published it."""

    abstract = True
    # Published by one function with one argument: checking the signature again at each publishing is time lost.
    typing = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        headers = self.request.headers or {}
        offered = self.request.get(jobs.CORRELATION_HEADER) or headers.get(jobs.CORRELATION_HEADER)
        # One that a host's own signals have bound already stays, so that its lines and ours are found together.
        with correlation.bound(correlation.accept(offered or correlation.current() or None)):
            return super().__call__(*args, **kwargs)


@shared_task(name=jobs.DELIVER, base=CorrelatedTask, ignore_result=True, acks_late=True)
def deliver(delivery_id: str) -> None:
    """Send one message of the outbox."""
    deliveries.deliver(int(delivery_id))


@shared_task(name=jobs.COMPLETE, base=CorrelatedTask, ignore_result=True, acks_late=True)
def complete(redemption_id: str) -> None:
    """Complete one approved redemption."""
    completions.complete(UUID(redemption_id))


@shared_task(name=jobs.COMPLETE_BATCH, base=CorrelatedTask, ignore_result=True, acks_late=True)
def complete_batch(batch_id: str) -> None:
    """Complete the lines of one approved batch, or give the points of an ended one back."""
    batch_completions.drive(UUID(batch_id))


@shared_task(name=jobs.PUSH, base=CorrelatedTask, ignore_result=True)
def push(endpoint_id: str) -> None:
    """Send the webhooks that are due to one endpoint."""
    webhooks.push(UUID(endpoint_id))


@shared_task(name=jobs.SWEEP, base=CorrelatedTask, ignore_result=True)
def sweep() -> None:
    """Do whatever is due."""
    sweeps.sweep()


@shared_task(name=jobs.PURGE, base=CorrelatedTask, ignore_result=True)
def purge() -> None:
    """Erase what is kept no longer; a failed step is told by an alert."""
    purges.purge()
