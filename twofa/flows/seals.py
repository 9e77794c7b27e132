"""Sealing the audit trail: events that have come of age become one more link of the chain.

The hot path writes its events and nothing else; the sweeper seals them in batches. An id is handed out before the
commit, so an event may appear behind one that is sealed already. Therefore only events of some age are sealed, and each
seal lists the ids that it holds: what appears in a gap between them is a *late* event, and gets a seal that says so. It
is never taken for one that was always there, and never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from twofa import correlation
from twofa.models import Event
from twofa.models.seal import SEALED_COLUMNS, EventSeal, Row, build

logger = correlation.get_logger(__name__)

SEAL_AFTER = timedelta(minutes=5)
"""The age at which an event is sealed, on the database's clock.

Our own transactions wait for locks and for a host's local points, never for a provider: they take milliseconds, and a
web server ends a request after a minute or two. Five minutes is beyond all of that; what is later still is sealed late.
"""
SEAL_EVERY = timedelta(minutes=5)
"""A batch that is not full waits so much longer, so that a quiet night does not make a seal for each event."""
LATE_WATCH = timedelta(hours=1)
"""How long after a seal its gaps are looked at. What comes later still stays unsealed, and is reported as such."""
BELATED = timedelta(hours=1)
"""An event that is older when it is sealed was without a seal for long: the sweeper stood still, or the chain was cut.

Whoever may write to the database can take seals away and change what was under them, and this sweeper would seal the
rest anew. It has no way to tell, but to say how late it is: in the log now, and by the seal's own time for ever.
"""
BATCH = 500
BATCHES = 20
"""Seals that one sweep makes at most: ten thousand events every few seconds."""
NO_SEAL = b""
"""What the first link has in the place of the digest before it."""
CREATED = SEALED_COLUMNS.index("created_at")


def seal(at: datetime) -> int:
    """Seal what is due at ``at``, the database's time; return how many events that were."""
    sealed = _seal_late(at)
    for _batch in range(BATCHES):
        # Read before the events: if another sealer comes between, the number that follows is taken, and ours refused.
        last = _last()
        rows = _due(at, last)
        written = _write(rows, at, after=last) if rows else 0
        sealed += written
        if written < BATCH:
            break
    return sealed


def _high_water(last: EventSeal | None) -> int | None:
    """Return the id up to which the trail is sealed."""
    if last is None or not last.late:
        return None if last is None else last.last_event
    newest = _regular().first()
    return None if newest is None else newest.last_event


def _due(at: datetime, last: EventSeal | None) -> list[Row]:
    """Return the next batch, or nothing where it had better wait: in the order of ids, up to the first young one."""
    rows = Event.objects.order_by("pk")
    if (sealed := _high_water(last)) is not None:
        rows = rows.filter(pk__gt=sealed)
    first = list(rows.values_list(*SEALED_COLUMNS)[:1])
    if not _prefix(first, at - SEAL_AFTER):
        return []
    batch = list(rows.values_list(*SEALED_COLUMNS)[:BATCH])
    of_age = _prefix(batch, at - SEAL_AFTER)
    if len(of_age) < BATCH and not _prefix(of_age[:1], at - SEAL_AFTER - SEAL_EVERY):
        return []
    return of_age


def _prefix(rows: Sequence[Row], until: datetime) -> list[Row]:
    # What claims to come from the future has no age to wait for: one such row would keep all behind it from a seal.
    future = until + SEAL_AFTER + SEAL_EVERY
    for number, row in enumerate(rows):
        if until < row[CREATED] <= future:
            return list(rows[:number])
    return list(rows)


def _seal_late(at: datetime) -> int:
    """Seal what has appeared in gaps of the last hour's seals, marked as late."""
    newest = _last()
    last = _high_water(newest)
    if last is None:
        return 0
    before = _regular().filter(sealed_at__lte=at - LATE_WATCH).first()
    links, events = EventSeal.objects.all(), Event.objects.filter(pk__lte=last)
    if before is not None:
        # By number, not by id: a late link of the hour may begin with an event from before it. No link made before
        # that regular one can hold a later id, since it was made when there were none.
        links, events = links.filter(number__gt=before.number), events.filter(pk__gt=before.last_event)
    runs = _runs(links, since=None if before is None else before.last_event)
    # Counted first: the ids of a busy hour are too many to be read every few seconds.
    if events.count() == sum(last - first + 1 for first, last in runs):
        return 0
    sealed = {pk for first, last in runs for pk in range(first, last + 1)}
    strangers = [pk for pk in events.order_by("pk").values_list("pk", flat=True) if pk not in sealed][:BATCH]
    rows = Event.objects.filter(pk__in=strangers).order_by("pk").values_list(*SEALED_COLUMNS)
    return _write(list(rows), at, after=newest, late=True) if strangers else 0


def _runs(links: QuerySet[EventSeal], *, since: int | None) -> list[tuple[int, int]]:
    """Return what the links hold of the ids after ``since``, as runs from the first to the last id."""
    runs = [(first, last) for held in links.values_list("runs", flat=True) for first, last in held]
    if since is None:
        return runs
    return [(max(first, since + 1), last) for first, last in runs if last > since]


def _last() -> EventSeal | None:
    return EventSeal.objects.order_by("-number").only("number", "digest", "late", "last_event").first()


def _regular() -> QuerySet[EventSeal]:
    """Return the links that are not late, the newest first: its last event is the highest of all, whatever the time."""
    return EventSeal.objects.filter(late=False).order_by("-number").only("number", "last_event")


def _write(rows: Sequence[Row], at: datetime, *, after: EventSeal | None, late: bool = False) -> int:
    """Store the next link, unless another sealer has just done so: then the events are sealed, or soon will be."""
    number, previous = (1, NO_SEAL) if after is None else (after.number + 1, bytes(after.digest))
    link = build(rows, number=number, previous=previous, sealed_at=at, late=late)
    try:
        with transaction.atomic():
            link.save(force_insert=True)
    except IntegrityError:
        logger.info("seal %s was made by another sweeper at the same moment", number)
        return 0
    belated = not late and any(row[CREATED] < at - BELATED for row in rows)
    told = logger.warning if late or belated else logger.info
    mark = " (late)" * late + " (belated)" * belated
    # Where logs are kept apart from the database, this line is what a rewritten chain cannot match.
    told("sealed %s events, %s to %s%s: %s", link.count, link.first_event, link.last_event, mark, link)
    return link.count
