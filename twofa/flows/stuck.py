"""What waits for a person, or for a worker that does not come: read for staff, in a few bounded statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import F, Model, Q, QuerySet

from twofa.flows import cases, settlements
from twofa.models import Case, Challenge, Delivery, DocumentFile, Redemption, RedemptionBatch
from twofa.models.clock import now

T = TypeVar("T", bound=Model)

MOST = 100
GRACE = timedelta(minutes=2)
"""How long what is due may lie before somebody should ask whether workers and sweeper run at all."""
LATELY = timedelta(days=7)

# What is shown, and no more: no address, no seed, no document number.
_REDEMPTION = (
    "order_id",
    "status",
    "points",
    "completion_tries",
    "due_at",
    "parked_at",
    "created_at",
    "updated_at",
    "campaign__name",
    "participant__external_id",
)
_DELIVERY = (
    "event",
    "channel",
    "destination",
    "generation",
    "status",
    "reason",
    "tries",
    "due_at",
    "leased_until",
    "created_at",
    "campaign__name",
    "challenge__redemption",
    "challenge__batch",
    "participant__external_id",
)
_CHALLENGE = ("purpose", "redemption", "batch", "deadline", "status", "campaign__name", "participant__external_id")
_BATCH = ("request_id", "count", "status", "updated_at", "campaign__name", "participant__external_id")
_FILE = (
    "page",
    "created_at",
    "erase_due_at",
    "erase_tries",
    "document__kind",
    "document__side",
    "participant__external_id",
    "participant__campaign__name",
)
_CASE = ("too_late", "opened_at", "campaign__name", "participant__external_id", "redemption__order_id")
_FAILED_CALLS = 2
"""A call that is just being made counts as one try; from the second one on, one has failed."""


@dataclass(frozen=True)
class Stuck:
    """The newest of each kind, one more than :data:`MOST` where there are more."""

    at: datetime
    cases: list[Case]
    """Reports "it was not me" that nobody has closed: what came too late to be stopped first, then the oldest."""
    parked: list[Redemption]
    """Completions that the machine has given up: nobody knows whether the points were spent."""
    undelivered: list[Delivery]
    """Messages that never left while their participant still waits for the token."""
    waiting: list[Delivery]
    """Messages that are due and that no worker took."""
    overdue: list[Challenge]
    """Challenges whose deadline has passed and that no sweeper ended."""
    undriven: list[Redemption]
    """Redemptions whose next call of the points system is due and that no sweeper made."""
    failing: list[Redemption]
    """Calls of the points system that fail again and again, and will be tried again."""
    unsettled: list[RedemptionBatch]
    """Batches whose lines have all ended and that nobody ended."""
    unerased: list[DocumentFile]
    """Files of documents that the storage did not erase when it was asked to. Their keys are gone already."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing at all is stuck."""
        return not any(rows for name, rows in vars(self).items() if name != "at")


def find() -> Stuck:
    """Return what is stuck now; costs ten statements, each of them by an index of what is open."""
    at = now()
    late = at - GRACE
    redemptions = Redemption.objects.select_related("campaign", "participant").only(*_REDEMPTION)
    deliveries = (
        Delivery.objects.select_related("campaign", "challenge", "participant").only(*_DELIVERY).order_by("-pk")
    )
    return Stuck(
        at=at,
        cases=_newest(cases.opened().select_related("campaign", "participant", "redemption").only(*_CASE)),
        parked=_newest(redemptions.parked().order_by("-parked_at")),
        undelivered=_newest(
            deliveries.filter(
                status__in=Delivery.UNDELIVERED,
                created_at__gt=at - LATELY,
                challenge__status=Challenge.Status.PENDING,
                challenge__deadline__gt=at,
                generation=F("challenge__generation"),
            )
        ),
        waiting=_newest(deliveries.due(late)),
        overdue=_newest(
            Challenge.objects.overdue(late)
            .select_related("campaign", "participant")
            .only(*_CHALLENGE)
            .order_by("-deadline")
        ),
        undriven=_newest(redemptions.due(late).order_by("-due_at")),
        failing=_newest(redemptions.filter(_failing(), due_at__gt=late).order_by("-updated_at")),
        unsettled=_newest(
            settlements.due()
            .filter(updated_at__lte=late)
            .select_related("campaign", "participant")
            .only(*_BATCH)
            .order_by("-updated_at")
        ),
        unerased=_newest(
            DocumentFile.objects.overdue()
            .select_related("document", "participant__campaign")
            .only(*_FILE)
            .order_by("-created_at")
        ),
    )


def _newest(rows: QuerySet[T]) -> list[T]:
    """Return the first rows, in their own order."""
    return list(rows[: MOST + 1])


def _failing() -> Q:
    return Redemption.owing_release() & Q(completion_tries__gte=1) | Q(completion_tries__gte=_FAILED_CALLS)
