"""Batches with their lines: locked in the order of all flows, or read with all that an answer about them shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import BooleanField, CharField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from twofa.exceptions import NotFound
from twofa.models import Campaign, Challenge, Delivery, Participant, Redemption, RedemptionBatch, Storefront, statements
from twofa.models.clock import Clock


def _batch(*lock: str) -> statements.Select:
    return statements.Select(
        """FROM {batch}
        JOIN {participant} ON participant.id = batch.participant_id
        JOIN {campaign} ON campaign.id = batch.campaign_id
        WHERE batch.id = %(pk)s""",
        batch=RedemptionBatch,
        participant=Participant,
        campaign=Campaign,
        lock=lock,
    )


_BATCH = _batch("participant", "batch")
_BATCH_ALONE = _batch("batch")
_LINES = statements.Select(
    "FROM {line} WHERE line.batch_id = %(pk)s ORDER BY line.id",
    line=Redemption,
    joined={"challenge": Challenge},
    extra={
        "is_asked_alone": ("EXISTS (SELECT 1 FROM {challenge} WHERE challenge.redemption_id = line.id)", BooleanField())
    },
    lock=("line",),
)
_CHALLENGE = statements.Select(
    """FROM {challenge}
    LEFT JOIN {delivery} ON delivery.challenge_id = challenge.id AND delivery.generation = challenge.generation
    WHERE challenge.batch_id = %(pk)s""",
    challenge=Challenge,
    joined={"delivery": Delivery},
    extra={
        "delivery_status": ("delivery.status", CharField()),
        "delivery_reason": ("delivery.reason", CharField()),
    },
    lock=("challenge",),
)


def locked(pk: UUID, *, storefront: Storefront | None = None, with_participant: bool = True) -> RedemptionBatch:
    """Lock participant, batch, lines by their ids, and challenge, in this order; return the batch with the rest on it.

    ``storefront`` is None for staff and workers. Without the participant for whoever counts none of their budgets and
    calls the host meanwhile: their other checkouts need not wait for it. Raises: NotFound.
    """
    # Before any lock, so that nobody can make another storefront's batch wait.
    if storefront is not None and not RedemptionBatch.objects.filter(pk=pk, storefront=storefront).exists():
        raise NotFound
    batch_or_both = _BATCH if with_participant else _BATCH_ALONE
    found, lines, challenges = statements.read(batch_or_both, _LINES, _CHALLENGE, pk=pk)
    if not found:
        raise NotFound
    batch: RedemptionBatch = found[0]["batch"]
    batch.campaign, batch.participant = found[0]["campaign"], found[0]["participant"]
    batch.participant.campaign = batch.campaign
    batch.lines = []
    for row in lines:
        row["line"].is_asked_alone = row["is_asked_alone"]
        batch.lines.append(row["line"])
    for row in challenges:
        _attach(batch, row["challenge"], row["delivery_status"] or Delivery.Status.QUEUED, row["delivery_reason"] or "")
    _belong(batch)
    return batch


def own_lines(batch: RedemptionBatch, *statuses: str) -> list[Redemption]:
    """Return the lines in these states that belong to the batch, of one that :func:`locked` returned.

    Not those that somebody slipped in by hand: a redemption that was asked for alone ends with its own challenge.
    """
    return [line for line in batch.lines if line.status in statuses and not line.is_asked_alone]


def readable(rows: QuerySet[RedemptionBatch]) -> QuerySet[RedemptionBatch]:
    """Load with batches all that an answer about them shows, but for their lines."""
    present = Delivery.objects.filter(
        challenge__batch=OuterRef("pk"), generation=OuterRef("challenge__generation")
    ).order_by()
    return rows.select_related("campaign", "participant", "approver", "challenge").annotate(
        clock=Clock(),
        delivery_status=Coalesce(Subquery(present.values("status")[:1]), Value("queued")),
        delivery_reason=Coalesce(Subquery(present.values("reason")[:1]), Value("")),
    )


def with_lines(rows: Iterable[RedemptionBatch]) -> list[RedemptionBatch]:
    """Return batches loaded by :func:`readable`, each with its lines: one statement more, however many they are."""
    batches = list(rows)
    lines: dict[UUID, list[Redemption]] = defaultdict(list)
    for line in Redemption.objects.filter(batch__in=[batch.pk for batch in batches]).order_by("pk"):
        lines[line.batch_id].append(line)  # type: ignore[index]  # by the condition they have one
    for batch in batches:
        known = vars(batch)
        batch.read_at, batch.lines = known["clock"], lines[batch.pk]
        for line in batch.lines:
            line.read_at = batch.read_at
        if batch.two_factor_required:
            _attach(batch, batch.challenge, known["delivery_status"], known["delivery_reason"])
        _belong(batch)
    return batches


def _attach(batch: RedemptionBatch, challenge: Challenge, status: str, reason: str) -> None:
    challenge.campaign, challenge.participant = batch.campaign, batch.participant
    challenge.batch, batch.challenge = batch, challenge
    challenge.delivery_status, challenge.delivery_reason = status, reason


def _belong(batch: RedemptionBatch) -> None:
    """Spare a query for each line: what it belongs to is loaded, where it still belongs to the same."""
    for line in batch.lines:
        line.batch = batch
        for name in ("campaign", "participant", "approver"):
            is_loaded = name in batch._state.fields_cache
            if is_loaded and getattr(line, f"{name}_id") == getattr(batch, f"{name}_id"):
                setattr(line, name, getattr(batch, name))
