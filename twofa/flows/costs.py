"""What a campaign's messages cost, and what they brought: by day, by channel, and where the money goes. Only counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, TruncDate

from twofa import contacts
from twofa.flows.figures import period
from twofa.models import Campaign, Challenge, Delivery
from twofa.models.clock import now

MOST = 10
"""Prefixes that are told of: those that got the most messages."""


@dataclass
class Spent:
    """What was handed to providers, and what it came to."""

    sent: int = 0
    tokens: int = 0
    """Of the sent ones, those that carried a token."""
    confirmed: int = 0
    """Of the tokens, those of challenges that were approved at this contact."""
    priced: int = 0
    """Of the sent ones, those whose cost is known."""
    cost: Decimal = Decimal(0)

    @property
    def conversion(self) -> float | None:
        """Return the confirmed part of the tokens, or None where none was sent."""
        return self.confirmed / self.tokens if self.tokens else None

    def add(self, other: Spent) -> None:
        """Count what the other one counted as well."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass(frozen=True)
class Prefix:
    """Numbers that begin alike."""

    prefix: str
    country: str | None
    spent: Spent


@dataclass
class Costs:
    """A period of a campaign: each of its days, oldest first; each channel that was used; the dearest prefixes."""

    days: dict[date, Spent]
    channels: dict[str, Spent] = field(default_factory=dict)
    prefixes: list[Prefix] = field(default_factory=list)
    total: Spent = field(default_factory=Spent)


def of_campaign(campaign: Campaign, *, days: int) -> Costs:
    """Return what the last ``days`` days with today cost, in the current time zone; costs three statements."""
    listed, since, until = period(now(), days)
    found = Costs({day: Spent() for day in listed})
    sent = Delivery.objects.filter(
        campaign=campaign, created_at__gte=since, created_at__lt=until, sent_at__isnull=False
    ).order_by()
    for row in _summed(sent.annotate(day=TruncDate("created_at")).values("day", "channel")):
        spent = _spent(row)
        for counted in (found.days[row["day"]], found.channels.setdefault(row["channel"], Spent()), found.total):
            counted.add(spent)
    # By what they cost; where no price is known, by how many there are.
    dearest = _summed(sent.exclude(prefix="").values("prefix")).order_by("-amount", "-sent", "prefix")[:MOST]
    found.prefixes += [Prefix(row["prefix"], contacts.country_of_prefix(row["prefix"]), _spent(row)) for row in dearest]
    return found


def _summed(groups: Any) -> Any:
    confirmed = Q(challenge__status=Challenge.Status.APPROVED, challenge__address=F("address"))
    return groups.annotate(
        sent=Count("pk"),
        tokens=Count("challenge"),
        confirmed=Count("pk", filter=confirmed),
        priced=Count("cost"),
        # Not named as its column is: the order of the groups asks for the sum.
        amount=Coalesce(Sum("cost"), Decimal(0)),
    )


def _spent(row: dict[str, Any]) -> Spent:
    return Spent(row["sent"], row["tokens"], row["confirmed"], row["priced"], row["amount"])
