"""The sweeper: whatever is due and was not done, because a process died or a broker slept.

Run it every few seconds, in as many places as you like. Each step takes a bounded number of rows, and each row is taken
by the flow that owns it, with that flow's locks and conditions; so two sweepers do nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from twofa import correlation
from twofa.flows import (
    access_tokens,
    challenges,
    completions,
    deliveries,
    document_files,
    idempotency,
    login_budgets,
    logins,
    policy_changes,
    prefixes,
    schedules,
    seals,
    settlements,
    webhooks,
)
from twofa.models import Challenge, Delivery, Redemption
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

BATCH = 200
FILES = 20
"""Files erased by one sweep at most: each costs two calls of a storage that may be far away."""
FORGETTING = (challenges.forget_accepted, login_budgets.forget, logins.forget, access_tokens.forget)
"""What is worth nothing any more after a time, and is deleted then."""
T = TypeVar("T")


def sweep(*, limit: int = BATCH) -> dict[str, int]:
    """Do what is due, oldest first, and return how many rows each step took."""
    with correlation.bound(correlation.current() or correlation.accept(None)):
        at = now()
        overdue = Challenge.objects.overdue(at).order_by("deadline")
        due = Redemption.objects.due_again(at).order_by("due_at")
        counts = {
            "expired": _each(_free(overdue, limit), challenges.expire),
            # Before the messages that it keeps from being sent.
            "prefixes": _step(prefixes.watch, at),
            "delivered": _each([row.pk for row in _free(_outbox(at), limit)], deliveries.deliver),
            "executed": _step(schedules.execute_due, at),
            # After the messages: here host code runs, which may take its time, or the whole process with it.
            "driven": _each([row.pk for row in _free(due, limit)], completions.drive),
            "settled": _each(list(settlements.due().values_list("pk", flat=True)[:limit]), settlements.settle),
            "forgotten": sum(forget(at) for forget in FORGETTING),
            "idempotency_records": idempotency.purge(at),
            "proposals": _step(policy_changes.expire_overdue, at),
            "sealed": _step(seals.seal, at),
            "webhooks": _step(webhooks.push_due, at),
            # The last: a storage may take its time, and what it keeps waiting here is nothing but the next sweep.
            "erased": _step(_erase, at),
        }
    if any(counts.values()):
        logger.info("swept: %s", counts)
    return counts


def _step(step: Callable[[datetime], int], at: datetime) -> int:
    """Run what takes its rows itself; where it fails it is told in the log, and tried again by the next sweep."""
    try:
        return step(at)
    except Exception:  # the audit trail's troubles must not keep messages and points waiting
        logger.exception("a step of the sweep failed")
        return 0


def _erase(at: datetime) -> int:
    return document_files.erase_due(at, limit=FILES, patient=False)


def _outbox(at: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.due(at).order_by("due_at")


def _free(rows: QuerySet[T], limit: int) -> list[T]:  # type: ignore[type-var]
    """Return rows that nobody holds at this moment, so that sweepers spread over the work instead of queueing up."""
    if not connection.features.has_select_for_update_skip_locked:
        return list(rows[:limit])
    with transaction.atomic():
        return list(rows.select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit])


def _each(rows: Iterable[T], step: Callable[[T], object]) -> int:
    """Run ``step`` on each row; one that fails is told in the log and left for the next sweep, the others go on."""
    done = 0
    for row in rows:
        try:
            step(row)
        except Exception:  # one row must not keep the others waiting
            logger.exception("sweeping %r failed", row)
        else:
            done += 1
    return done
