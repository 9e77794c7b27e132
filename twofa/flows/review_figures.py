"""How the review of documents goes: what waits and since when, what was decided and how fast. Nothing but counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, QuerySet

from twofa.flows.figures import period
from twofa.models import Campaign, IdentityDocument
from twofa.models.clock import now

Status = IdentityDocument.Status


@dataclass(frozen=True)
class Queue:
    """What waits for staff."""

    at: datetime
    documents: int
    participants: int
    oldest: datetime | None

    @property
    def age(self) -> timedelta | None:
        """Return how long the oldest one has waited."""
        return None if self.oldest is None else self.at - self.oldest


@dataclass
class Decisions:
    """What was decided in a period."""

    approved: int = 0
    rejected: int = 0
    final: int = 0
    """Of the rejected ones, those for which no other picture is taken."""
    voided: int = 0
    """Approved in the period, and not valid any more."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why they were rejected."""
    median: timedelta | None = None
    """From the upload to the decision."""

    @property
    def total(self) -> int:
        """Return how many documents were decided."""
        return self.approved + self.rejected + self.voided


def queue(campaign: Campaign | None = None) -> Queue:
    """Return what waits, of one campaign or of all; costs two statements, by the index of the queue."""
    waiting = IdentityDocument.objects.waiting().order_by()
    rows = waiting if campaign is None else waiting.filter(campaign=campaign)
    found = rows.aggregate(
        documents=Count("pk"), participants=Count("participant", distinct=True), oldest=Min("created_at")
    )
    return Queue(at=now(), **found)


def decisions(campaign: Campaign, *, days: int) -> Decisions:
    """Return what was decided in the last ``days`` days with today, in the current time zone; costs three statements.

    By the campaign and the time, which an index is on: also what was erased since counts.
    """
    _days, since, until = period(now(), days)
    decided = IdentityDocument.objects.filter(campaign=campaign, decided_at__gte=since, decided_at__lt=until).order_by()
    found = Decisions()
    for group in decided.values("decision", "reason", "is_final").annotate(count=Count("pk")):
        _count(found, group["decision"], group["reason"], group["is_final"], group["count"])
    found.median = _median(decided, found.total)
    return found


def _count(found: Decisions, decision: str, reason: str, is_final: bool, count: int) -> None:
    if decision == Status.REJECTED:
        found.rejected += count
        found.final += count * is_final
        found.reasons[reason] += count
    elif decision == Status.APPROVED:
        found.approved += count
    else:
        found.voided += count


def _median(decided: QuerySet[IdentityDocument], total: int) -> timedelta | None:
    """Return the middle of the times: sorted and cut by the database, on each of those that we support."""
    took = ExpressionWrapper(F("decided_at") - F("created_at"), output_field=DurationField())
    times = decided.annotate(took=took).order_by("took").values_list("took", flat=True)
    if not total:
        return None
    middle = list(times[(total - 1) // 2 : total // 2 + 1])
    return sum(middle, timedelta()) / len(middle) if middle else None
