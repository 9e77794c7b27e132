"""Schedules: a redemption that is approved now and executed at its time, and not before.

The points are set aside at once and stay so; the sweeper executes it, once, and never before its time. What could not
be executed within the campaign's ``schedule_grace`` fails, and its points are given back: a purchase that was planned
for Friday is not wanted on Monday without anybody's asking again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa import jobs
from twofa.exceptions import Invalid, WrongState
from twofa.flows import completions, turns, verdicts
from twofa.flows.history import Actor, Trail, explained
from twofa.models import Campaign, Redemption

if TYPE_CHECKING:
    from twofa.models.redemption import RedemptionQuerySet

Status = Redemption.Status
AT_ONCE = 200
"""So many jobs may be under way. A thousand that are due in one minute would keep all messages waiting behind them."""
LEASE = timedelta(minutes=2)
"""How long a worker has for the job that was published before the sweeper executes it itself."""


def ensure_allowed(scheduled_for: datetime | None, *, campaign: Campaign, at: datetime) -> None:
    """Raise where a redemption may not be scheduled for then. Raises: Invalid."""
    if scheduled_for is None:
        return
    if not campaign.schedule_max_ahead:
        raise _invalid("not_scheduled_here", _("The campaign schedules nothing. Leave “scheduled_for” out."))
    if scheduled_for <= at:
        raise _invalid("in_the_past", _("Give a time in the future, or leave “scheduled_for” out to redeem at once."))
    if scheduled_for > at + campaign.schedule_max_ahead:
        days = campaign.schedule_max_ahead / timedelta(days=1)
        text = str(_("Too far ahead: give a time within %(days)s days.")) % {"days": f"{days:.3g}"}
        raise _invalid("too_far_ahead", text)


def _invalid(code: str, detail: object) -> Invalid:
    return Invalid.field("scheduled_for", code, str(detail))


def latest(redemption: Redemption) -> datetime | None:
    """Return when its approval comes too late, whatever time the campaign gives to confirm."""
    if redemption.scheduled_for is None:
        return None
    return redemption.scheduled_for + redemption.campaign.schedule_grace


def execute_due(at: datetime) -> int:
    """Hand what has come due to workers, or execute it here where no broker takes it; return how many.

    By jobs, so that a slow host keeps neither this sweep nor the messages in it waiting. Each row is taken by putting
    it off, so that two sweepers publish nothing twice; a second job for one would find it completed, and do nothing.
    """
    taken = _take(at)
    for pk in taken:
        if not jobs.publish(jobs.COMPLETE, pk):
            completions.drive(pk)
    return len(taken)


def _take(at: datetime) -> list[UUID]:
    under_way = _scheduled().filter(scheduled_for__lte=at, due_at__gt=at, completion_tries=0).count()
    with transaction.atomic():
        taken = _free(at, most=max(AT_ONCE - under_way, 0))
        Redemption.objects.filter(pk__in=taken).update(due_at=at + LEASE)
    return taken


def _free(at: datetime, *, most: int) -> list[UUID]:
    """Lock what has come due and nobody else is just taking, and return its ids, the oldest first."""
    due = _scheduled().first_due(at).order_by("due_at")
    return list(due.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)[:most])


def _scheduled() -> RedemptionQuerySet:
    return Redemption.objects.filter(status=Status.SCHEDULED, parked_at=None)


def cancel(pk: UUID, *, actor: Actor, reason: str = "") -> Redemption:
    """Cancel what is scheduled and was never tried; the caller gives the points back. Raises: WrongState.

    Not once the points system was called and did not answer clearly: it may have spent the points, and giving them
    back would pay twice. Then it is completed, or parked in sight of staff.
    """
    with transaction.atomic(durable=True):
        redemption = turns.locked(pk)
        if redemption.status == Status.CANCELLED:
            return redemption
        if redemption.status != Status.SCHEDULED:
            raise WrongState(redemption=redemption)
        if not is_withdrawable(redemption):
            detail = _("The points system was called already, and has not answered clearly: it may have spent them.")
            raise WrongState(detail, redemption=redemption)
        trail = Trail(actor, redemption.read_at)
        withdraw(redemption, trail, reason)
        trail.write()
    return redemption


def is_withdrawable(redemption: Redemption) -> bool:
    """Tell whether it is scheduled, and nobody has called the points system for it yet."""
    return redemption.status == Status.SCHEDULED and not redemption.completion_tries


def withdraw(redemption: Redemption, trail: Trail, reason: str) -> None:
    """Cancel a locked redemption that may be withdrawn; its points are due to be given back after the commit."""
    redemption.move(at=trail.at, status=Status.CANCELLED, failure_code=verdicts.code_of(reason), due_at=trail.at)
    trail.add("redemption.cancelled", redemption, **explained(reason))
