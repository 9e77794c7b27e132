"""How far behind the workers are: what a monitor asks, and answers with numbers that name nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min

from twofa.models import Challenge, Delivery, Redemption
from twofa.models.clock import now


@dataclass(frozen=True)
class Overdue:
    """How long the oldest row of each kind has been due; nothing where none is."""

    messages: timedelta
    """Waiting in the outbox, or left behind by a worker that died."""
    redemptions: timedelta
    """Waiting for their points to be reserved, completed or released."""
    challenges: timedelta
    """Past their deadline and not ended yet."""

    @property
    def worst(self) -> timedelta:
        """Return the longest of them. Seconds are usual; minutes mean that no worker or no sweeper runs."""
        return max(self.messages, self.redemptions, self.challenges)


def overdue() -> Overdue:
    """Measure by the database's clock, in three small statements beside it. Writes nothing."""
    at = now()
    messages = Delivery.objects.oldest_due(at)
    redemptions = Redemption.objects.due(at).aggregate(oldest=Min("due_at"))["oldest"]
    challenges = Challenge.objects.overdue(at).aggregate(oldest=Min("deadline"))["oldest"]
    return Overdue(_age(messages, at), _age(redemptions, at), _age(challenges, at))


def _age(since: datetime | None, at: datetime) -> timedelta:
    return timedelta() if since is None else at - since
