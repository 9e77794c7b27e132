"""Taking something out of the audit trail, so that the trail can still tell it from a theft.

An event is only taken out if it is what was sealed, so that nobody launders a change of theirs by waiting for a purge;
and what is taken out is named by a row under the key that seals, and by an event in the chain. The seals stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import takewhile
from typing import Any

from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from twofa import alerts, correlation, tokens
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import KeyMissing, PolicyRefused
from twofa.flows.history import WORKER, Actor, Trail
from twofa.flows.seals import CREATED, LATE_WATCH
from twofa.models import EVENT_LABELS, Event, EventRedaction, EventSeal
from twofa.models.clock import now
from twofa.models.event import KEPT_EVENTS, types_under
from twofa.models.redaction import UNSEALED, build_redaction
from twofa.models.seal import LABEL, SEALED_COLUMNS, Row, is_mark, mark

logger = correlation.get_logger(__name__)

BATCH = 500
"""Events taken out in one transaction: about as many as one seal holds."""
SETTLED = timedelta(hours=24)
"""Only events whose seal is that old are purged: the sweeper still looks at the gaps of younger ones."""

Changes = dict[str, Any]


def outdated(at: datetime) -> QuerySet[Event]:
    """Return the events that are older than ``TWOFA_RETENTION["events"]`` keeps their type."""
    due = Q(pk__in=[])
    for period, types in _types_by_period().items():
        due |= Q(type__in=types, created_at__lte=at - period)
    return Event.objects.filter(due)


def _types_by_period() -> dict[timedelta, list[str]]:
    """Return the types that each period is for: of two beginnings of a type the longer one decides."""
    period_of: dict[str, timedelta] = {}
    for prefix, period in sorted(conf.event_retention.items(), key=lambda item: len(item[0])):
        period_of.update(dict.fromkeys(types_under(prefix), period))
    types: dict[timedelta, list[str]] = {}
    for type_ in EVENT_LABELS:
        if type_ in period_of and type_ not in KEPT_EVENTS:
            types.setdefault(period_of[type_], []).append(type_)
    return types


def purge(at: datetime) -> Iterator[int]:
    """Delete outdated events, each chunk in a transaction of its own; yield how many each had.

    Raises: PolicyRefused, at the end, where some were left because they are not what was sealed; KeyMissing, at the
    end, where some were left because nobody can say that without a key.
    """
    seen, left, missing = 0, 0, None
    sealed_through = EventSeal.objects.aggregate(last=models.Max("last_event"))["last"] or 0
    while True:
        page = list(outdated(at).filter(pk__gt=seen, pk__lte=sealed_through).order_by("pk").values_list("pk")[:BATCH])
        if not page:
            break
        ids = [pk for (pk,) in page]
        # By the run of one seal, not by the page: between its events there may be some of a later one.
        seen = ids[0]
        seal = _seal_of(seen, until=at - SETTLED)
        if seal is None:
            seen = _last_unsettled(ids, until=at - SETTLED)
            continue
        held = set(seal.ids())
        mine = list(takewhile(held.__contains__, ids))
        seen = mine[-1]
        try:
            done, flawed = _purge(seal, mine)
        except KeyMissing as error:
            missing = error
            continue
        left += len(flawed)
        yield done
    if left:
        _refuse(left)
    if missing is not None:
        raise missing


def _seal_of(pk: int, *, until: datetime | None = None) -> EventSeal | None:
    seals = EventSeal.objects.filter(first_event__lte=pk, last_event__gte=pk).order_by("number")
    if until is not None:
        seals = seals.filter(sealed_at__lte=until)
    return next((seal for seal in seals if any(first <= pk <= last for first, last in seal.runs)), None)


def _last_unsettled(ids: Sequence[int], *, until: datetime) -> int:
    """Return the last of the events, of which the first has no old seal, that can be passed over with it.

    Not one by one: after the sweeper was down for long, each of very many would be looked up, and its page with it.
    """
    settled = EventSeal.objects.filter(sealed_at__lte=until)
    if settled.filter(first_event__lte=ids[0], last_event__gte=ids[0]).exists():
        return ids[0]
    following = settled.filter(first_event__gt=ids[0]).aggregate(first=models.Min("first_event"))["first"]
    return ids[-1] if following is None else list(takewhile(lambda pk: pk < following, ids))[-1]


def _purge(seal: EventSeal, ids: Sequence[int]) -> tuple[int, set[int]]:
    """Delete those of one seal that are what was sealed; return how many, and the ids of those that are not."""
    with transaction.atomic():
        rows = _locked(ids)
        is_vouched = _voucher(seal)
        sound = [row for row in rows if is_vouched(row)]
        flawed = {row[0] for row in rows} - {row[0] for row in sound}
        if sound:
            gone = [row[0] for row in sound]
            _record("trail.purged", gone, (), "retention", WORKER)
            _writable().filter(pk__in=gone).delete()
    return len(sound), flawed


def redact(ids: Sequence[int], scrub: Callable[[Changes], Changes], *, basis: str, actor: Actor) -> int:
    """Take out of events what ``scrub`` says, given the columns of each; return how many were changed.

    Raises: PolicyRefused, at the end, where some were left because they are not what was sealed; KeyMissing.
    """
    changed = left = 0
    for start in range(0, len(ids), BATCH):
        done, flawed = _redact(ids[start : start + BATCH], scrub, basis, actor)
        changed, left = changed + done, left + flawed
    if left:
        _refuse(left)
    return changed


def _redact(ids: Sequence[int], scrub: Callable[[Changes], Changes], basis: str, actor: Actor) -> tuple[int, int]:
    judge = _Judge()
    left: dict[_Standing, list[Row]] = {standing: [] for standing in _Standing}
    with transaction.atomic():
        for row in _locked(ids):
            changes = _changes(row, scrub)
            if not changes:
                continue
            standing = judge(row)
            if standing is not _Standing.FLAWED:
                _writable().filter(pk=row[0]).update(**changes)
            columns = dict(zip(SEALED_COLUMNS, row, strict=True)) | changes
            left[standing].append(tuple(columns.values()))
        for standing, suffix in ((_Standing.SOUND, ""), (_Standing.UNSEALED, UNSEALED)):
            if rows := left[standing]:
                _record("trail.redacted", [row[0] for row in rows], rows, basis + suffix, actor)
    flawed = len(left[_Standing.FLAWED])
    return sum(map(len, left.values())) - flawed, flawed


def _changes(row: Row, scrub: Callable[[Changes], Changes]) -> Changes:
    before = dict(zip(SEALED_COLUMNS, row, strict=True))
    return {name: value for name, value in scrub(before).items() if before[name] != value}


def ensure_keys(ids: Sequence[int], scrub: Callable[[Changes], Changes]) -> None:
    """Raise where a redaction would stop half-way, because a key is not in the ring. Raises: KeyMissing."""
    lost = [
        (first, last, kid)
        for model in (EventSeal, EventRedaction)
        for kid, runs in model._base_manager.exclude(kid__in=list(conf.token_keys)).values_list("kid", "runs")
        for first, last in runs
    ]
    if not lost or not ids:
        return
    if (newest := _newest()) is not None and newest.kid not in conf.token_keys:
        # What is above it is held against it.
        lost.append((newest.last_event + 1, max(ids), newest.kid))
    for start in range(0, len(ids), BATCH):
        rows = Event.objects.filter(pk__in=ids[start : start + BATCH]).order_by("pk")
        for row in rows.values_list(*SEALED_COLUMNS):
            kid = next((kid for first, last, kid in lost if first <= row[0] <= last), None)
            if kid is not None and _changes(row, scrub):
                raise KeyMissing(kid)


class _Standing(Enum):
    """What an event is, held against its seal."""

    SOUND = auto()
    UNSEALED = auto()
    FLAWED = auto()


class _Judge:
    """Judges events in the order of their ids; looks up a seal once for all of its, and the newest one once."""

    def __init__(self) -> None:
        self._ids: frozenset[int] = frozenset()
        self._is_vouched: Callable[[Row], bool] = lambda _row: False
        self._is_young: Callable[[Row], bool] | None = None

    def __call__(self, row: Row) -> _Standing:
        if row[0] not in self._ids and (seal := _seal_of(row[0])) is not None:
            self._ids, self._is_vouched = frozenset(seal.ids()), _voucher(seal)
        if row[0] in self._ids:
            return _Standing.SOUND if self._is_vouched(row) else _Standing.FLAWED
        self._is_young = self._is_young or _sealer()
        return _Standing.UNSEALED if self._is_young(row) else _Standing.FLAWED


def _sealer() -> Callable[[Row], bool]:
    """Return what tells whether an event without a seal may still get one.

    Seals can be hidden by whoever may write to their table, so that a forged event seems to wait for one. It does not
    wait behind a seal that is not what was made, nor below the last one for longer than its gaps are looked at.
    """
    newest = _newest()
    if newest is None:
        return lambda _row: True
    if not _is_sound(newest):
        return lambda _row: False
    sealed_through, since = newest.last_event, now() - LATE_WATCH
    return lambda row: row[0] > sealed_through or row[CREATED] > since


def _newest() -> EventSeal | None:
    """Return the newest seal that is not late: its last event is how far the trail is sealed."""
    return EventSeal.objects.filter(late=False).order_by("-number").first()


def _is_sound(seal: EventSeal) -> bool:
    """Tell whether a seal is what was made. Raises: KeyMissing."""
    try:
        return tokens.is_sealed([bytes(seal.digest)], seal.computed())
    except tokens.UnknownKey as error:
        raise KeyMissing(seal.kid) from error


def _voucher(seal: EventSeal) -> Callable[[Row], bool]:
    """Return what tells whether an event is what was sealed, or what a redaction left of it. Raises: KeyMissing."""
    if not _is_sound(seal):
        return lambda _row: False
    sign = tokens.signer(LABEL, kid=seal.kid)
    marks = seal.marks_by_id()
    return lambda row: is_mark(mark(row, sign), marks[row[0]]) or _is_left_by_any(row, seal)


def _is_left_by_any(row: Row, seal: EventSeal) -> bool:
    about = EventRedaction.objects.filter(first_event__lte=row[0], last_event__gte=row[0])
    return any(_is_explained(row, redaction, seal) for redaction in about)


def _is_explained(row: Row, redaction: EventRedaction, seal: EventSeal) -> bool:
    try:
        return redaction.is_sound() and redaction.explains(seal) and is_left_by(row, redaction)
    except tokens.UnknownKey as error:
        raise KeyMissing(redaction.kid) from error


def is_left_by(row: Row, redaction: EventRedaction) -> bool:
    """Tell whether an event is what this redaction left of it. Raises: UnknownKey."""
    left = redaction.marks_by_id().get(row[0])
    return left is not None and is_mark(mark(row, tokens.signer(LABEL, kid=redaction.kid)), left)


def _locked(ids: Sequence[int]) -> list[Row]:
    rows = Event.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    return list(rows.values_list(*SEALED_COLUMNS))


def _writable() -> QuerySet[Event]:
    """Return events that may be changed: those of the model's own manager refuse, and this is the one way around it."""
    return models.QuerySet(Event)


def _record(type_: str, ids: Sequence[int], left: Sequence[Row], basis: str, actor: Actor) -> None:
    at = now()
    redaction = build_redaction(ids, left, basis=basis, at=at)
    redaction.save(force_insert=True)
    trail = Trail(actor, at)
    trail.add(type_, redaction=redaction.pk, events=len(ids), proof=bytes(redaction.digest).hex(), basis=basis)
    trail.write()


def _refuse(left: int) -> None:
    logger.error("%d events were left in the trail, because they are not what was sealed", left)
    alerts.sound(Alert.AUDIT_TRAIL_BROKEN, findings=left)
    raise PolicyRefused(
        _("%(count)d events are not what was sealed, and stay: run “manage.py twofa_audit”.") % {"count": left}
    )
