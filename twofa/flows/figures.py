"""What a campaign's tokens came to, day by day, and whom a change touches: read for staff, nothing but counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, DurationField, Exists, ExpressionWrapper, F, FilteredRelation, OuterRef, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from twofa.models import Campaign, Challenge, Delivery, Device, Participant, Purpose
from twofa.models.clock import now

Status = Challenge.Status
_ACCEPTED = (Delivery.Status.SENT, Delivery.Status.DELIVERED)


@dataclass
class Outcomes:
    """How many redemptions were asked for a token, and how they ended. Those of a day were asked on that day."""

    issued: int = 0
    delivered: int = 0
    """Whose last message the provider took; where it sends receipts, one that it reported as lost is not counted."""
    confirmed: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    open: int = 0

    @property
    def conversion(self) -> float | None:
        """Return the confirmed part of those that have ended, or None where none has."""
        ended = self.issued - self.open
        return self.confirmed / ended if ended else None

    def add(self, other: Outcomes) -> None:
        """Count what the other one counted as well."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass
class Messages:
    """What became of the messages of one channel."""

    channel: str
    accepted: int = 0
    delivered: int = 0
    """Of the accepted ones, those of which a receipt says that they arrived."""
    failed: int = 0
    expired: int = 0
    waiting: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why they failed or came too late."""

    @property
    def failure_rate(self) -> float | None:
        """Return the part that never left among those that were tried, or None where none was."""
        tried = self.accepted + self.failed + self.expired
        return (self.failed + self.expired) / tried if tried else None


@dataclass(frozen=True)
class Figures:
    """A period of a campaign: each of its days, oldest first, also those on which nothing happened."""

    days: dict[date, Outcomes]
    total: Outcomes
    median: timedelta | None
    """From the first message being asked for to the right token."""
    messages: list[Messages]


def of_campaign(campaign: Campaign, *, days: int) -> Figures:
    """Return the figures of the last ``days`` days with today, in the current time zone; costs four statements."""
    listed, since, until = period(now(), days)
    asked = Challenge.objects.filter(
        campaign=campaign, purpose=Purpose.REDEMPTION, created_at__gte=since, created_at__lt=until
    ).order_by()
    by_day = _by_day(asked, listed)
    total = Outcomes()
    for outcomes in by_day.values():
        total.add(outcomes)
    sent = Delivery.objects.filter(campaign=campaign, created_at__gte=since, created_at__lt=until).order_by()
    return Figures(by_day, total, _median(asked, total.confirmed), _messages(sent))


@dataclass(frozen=True)
class Touched:
    """Whom a change of the policy touches."""

    participants: int
    """Active ones."""
    without_device: int
    """Of them, those whom no token could reach."""
    open_challenges: int


def touched_by(campaign: Campaign, *, allowed_channels: Sequence[str]) -> Touched:
    """Return whom a change touches after which tokens go by ``allowed_channels``; costs four statements."""
    at = now()
    members = Participant.objects.filter(campaign=campaign, is_active=True)
    usable = Device.objects.usable(at).filter(participant=OuterRef("pk"), channel__in=allowed_channels)
    waiting = Challenge.objects.filter(campaign=campaign, status=Status.PENDING, deadline__gt=at)
    return Touched(members.count(), members.filter(~Exists(usable)).count(), waiting.count())


def period(at: datetime, days: int) -> tuple[list[date], datetime, datetime]:
    """Return the last ``days`` days of the current time zone, and the instants at which they begin and end.

    A day is as long as the zone says: of 23 or 25 hours where its clocks change.
    """
    today = timezone.localdate(at)
    listed = [today - timedelta(days=back) for back in reversed(range(days))]
    return listed, _midnight(listed[0]), _midnight(today + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _by_day(asked: QuerySet[Challenge], days: list[date]) -> dict[date, Outcomes]:
    present = FilteredRelation("deliveries", condition=Q(deliveries__generation=F("generation")))
    groups: Any = (
        asked.annotate(present=present, day=TruncDate("created_at"))
        .values("day", "status", "present__status")
        .annotate(count=Count("pk"))
    )
    found = {day: Outcomes() for day in days}
    for group in groups:
        outcomes, count = found[group["day"]], group["count"]
        outcomes.issued += count
        outcomes.delivered += count * (group["present__status"] in _ACCEPTED)
        name = _NAMES[Status(group["status"])]
        setattr(outcomes, name, getattr(outcomes, name) + count)
    return found


_NAMES = {
    Status.APPROVED: "confirmed",
    Status.REJECTED: "rejected",
    Status.EXPIRED: "expired",
    Status.CANCELLED: "cancelled",
    Status.PENDING: "open",
}


def _median(asked: QuerySet[Challenge], confirmed: int) -> timedelta | None:
    """Return the middle of the times to confirm: sorted and cut by the database, which sends one or two of them."""
    took = ExpressionWrapper(F("ended_at") - F("created_at"), output_field=DurationField())
    times = asked.filter(status=Status.APPROVED).annotate(took=took).order_by("took").values_list("took", flat=True)
    if not confirmed:
        return None
    middle = list(times[(confirmed - 1) // 2 : confirmed // 2 + 1])
    return sum(middle, timedelta()) / len(middle) if middle else None


def _messages(sent: QuerySet[Delivery]) -> list[Messages]:
    found: dict[str, Messages] = {}
    for group in sent.values("channel", "status", "reason").annotate(count=Count("pk")):
        channel = found.setdefault(group["channel"], Messages(group["channel"]))
        _count(channel, group["status"], group["reason"], group["count"])
    return [found[channel] for channel in sorted(found)]


def _count(messages: Messages, status: str, reason: str, count: int) -> None:
    if status in _ACCEPTED:
        messages.accepted += count
        messages.delivered += count * (status == Delivery.Status.DELIVERED)
    elif status in Delivery.UNDELIVERED:
        name = "failed" if status == Delivery.Status.FAILED else "expired"
        setattr(messages, name, getattr(messages, name) + count)
        messages.reasons[reason] += count
    elif status in Delivery.OPEN:
        messages.waiting += count
