"""Taking something out of the audit trail, so that the trail can still tell it from a theft.

An event is only taken out if it is what was sealed, so that nobody launders a change of theirs by waiting for a purge;
and what is taken out is named by a row under the key that seals, and by an event in the chain. The seals stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from twofa import alerts, correlation, tokens
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import PolicyRefused
from twofa.flows.history import WORKER, Actor, Trail
from twofa.models import EVENT_LABELS, Event, EventRedaction, EventSeal
from twofa.models.clock import now
from twofa.models.event import TRAIL_EVENTS, types_under
from twofa.models.redaction import build_redaction
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
        if type_ in period_of and type_ not in TRAIL_EVENTS:
            types.setdefault(period_of[type_], []).append(type_)
    return types


def purge(at: datetime) -> Iterator[int]:
    """Delete outdated events, each chunk in a transaction of its own; yield how many each had.

    Raises: PolicyRefused, at the end, where some were left because they are not what was sealed.
    """
    seen, left = 0, 0
    sealed_through = EventSeal.objects.aggregate(last=models.Max("last_event"))["last"] or 0
    while True:
        page = list(outdated(at).filter(pk__gt=seen, pk__lte=sealed_through).order_by("pk").values_list("pk")[:BATCH])
        if not page:
            break
        ids = [pk for (pk,) in page]
        # By one, not by the page: between the events of this seal there may be some of a later one.
        seen = ids[0]
        seal = _seal_of(seen, until=at - SETTLED)
        if seal is None:
            continue
        held = set(seal.ids())
        done, flawed = _purge(seal, [pk for pk in ids if pk in held])
        left += seen in flawed
        yield done
    if left:
        _refuse(left)


def _seal_of(pk: int, *, until: datetime | None = None) -> EventSeal | None:
    seals = EventSeal.objects.filter(first_event__lte=pk, last_event__gte=pk).order_by("number")
    if until is not None:
        seals = seals.filter(sealed_at__lte=until)
    return next((seal for seal in seals if any(first <= pk <= last for first, last in seal.runs)), None)


def _purge(seal: EventSeal, ids: Sequence[int]) -> tuple[int, set[int]]:
    """Delete those of one seal that are what was sealed; return how many, and the ids of those that are not."""
    with transaction.atomic():
        rows = _locked(ids)
        is_vouched = _voucher(seal)
        sound = [row for row in rows if is_vouched(row)]
        flawed = {row[0] for row in rows} - {row[0] for row in sound}
        if sound:
            gone = [row[0] for row in sound]
            _tell("trail.purged", gone, (), basis="retention", actor=WORKER)
            _writable().filter(pk__in=gone).delete()
    return len(sound), flawed


def redact(ids: Sequence[int], scrub: Callable[[Changes], Changes], *, basis: str, actor: Actor) -> int:
    """Take out of events what ``scrub`` says, given ``actor`` and ``data`` of each; return how many were changed.

    Raises: PolicyRefused, at the end, where some were left because they are not what was sealed.
    """
    changed = left = 0
    for start in range(0, len(ids), BATCH):
        done, flawed = _redact(ids[start : start + BATCH], scrub, basis, actor)
        changed, left = changed + done, left + flawed
    if left:
        _refuse(left)
    return changed


def _redact(ids: Sequence[int], scrub: Callable[[Changes], Changes], basis: str, actor: Actor) -> tuple[int, int]:
    is_vouched = _Vouching()
    changed: list[Row] = []
    flawed = 0
    with transaction.atomic():
        for row in _locked(ids):
            before = dict(zip(SEALED_COLUMNS, row, strict=True))
            changes = scrub(before)
            if all(before[name] == value for name, value in changes.items()):
                continue
            if not is_vouched(row):
                flawed += 1
                continue
            _writable().filter(pk=row[0]).update(**changes)
            changed.append(tuple({**before, **changes}[name] for name in SEALED_COLUMNS))
        if changed:
            _tell("trail.redacted", [row[0] for row in changed], changed, basis=basis, actor=actor)
    return len(changed), flawed


class _Vouching:
    """Tells of events in the order of their ids whether they are what was sealed; looks up a seal once for all of its.

    An event that is not sealed yet has nothing to be compared with: the sweeper seals what is left of it.
    """

    def __init__(self) -> None:
        self._ids: frozenset[int] = frozenset()
        self._is_vouched: Callable[[Row], bool] = lambda _row: True

    def __call__(self, row: Row) -> bool:
        if row[0] not in self._ids:
            seal = _seal_of(row[0])
            if seal is None:
                return True
            self._ids, self._is_vouched = frozenset(seal.ids()), _voucher(seal)
        return self._is_vouched(row)


def _voucher(seal: EventSeal) -> Callable[[Row], bool]:
    """Return what tells whether an event is what was sealed, or what a redaction left of it."""
    try:
        is_sound = tokens.is_sealed([bytes(seal.digest)], seal.computed())
        sign = tokens.signer(LABEL, kid=seal.kid)
    except tokens.UnknownKey:
        is_sound = False
    if not is_sound:
        return lambda _row: False
    marks = seal.marks_by_id()
    return lambda row: is_mark(mark(row, sign), marks[row[0]]) or _is_left_by_any(row)


def _is_left_by_any(row: Row) -> bool:
    about = EventRedaction.objects.filter(first_event__lte=row[0], last_event__gte=row[0])
    try:
        return any(is_left_by(row, redaction) for redaction in about if redaction.is_sound())
    except tokens.UnknownKey:
        return False


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


def _tell(type_: str, ids: Sequence[int], left: Sequence[Row], *, basis: str, actor: Actor) -> None:
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
