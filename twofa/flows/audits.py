"""Verifying the audit trail: every stored event against the chain of seals. Reads only, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa import alerts, tokens
from twofa.flows.redactions import is_left_by
from twofa.flows.seals import BELATED, CREATED, NO_SEAL
from twofa.models import Event, EventRedaction
from twofa.models.clock import now
from twofa.models.event import SUBJECT, TRAIL_EVENTS
from twofa.models.seal import LABEL, SEALED_COLUMNS, EventSeal, Row, is_mark, mark

PAGE = 50
"""Seals read at a time: a page of them is half a megabyte, and no snapshot is held from one to the next."""
OVERDUE = timedelta(hours=1)
"""An event that is older and not sealed: nobody seals, so nobody would see a change."""


class Flaw(models.TextChoices):
    """What may be wrong with the trail."""

    EVENT_CHANGED = "event_changed", _("event %(event)s is not what was sealed (seal %(seal)s)")
    EVENT_REMOVED = "event_removed", _("event %(event)s is gone (seal %(seal)s)")
    EVENT_INSERTED = (
        "event_inserted",
        _("event %(event)s is in no seal, though its neighbours are: put in by hand, or committed very late"),
    )
    EVENTS_UNSEALED = "events_unsealed", _("event %(event)s is long overdue for a seal: does the sweeper run?")
    SEAL_BROKEN = "seal_broken", _("seal %(seal)s is not what was stored: its events are vouched for by nothing")
    SEAL_REMOVED = "seal_removed", _("seals %(seal)s to %(until)s are gone")
    REDACTION_BROKEN = (
        "redaction_broken",
        _("redaction %(redaction)s is not what was written, or no event tells of it: it explains nothing"),
    )
    SEAL_UNREADABLE = "seal_unreadable", _("seal %(seal)s cannot be checked: its key is not in the ring")
    ANCHOR_LOST = "anchor_lost", _("seal %(seal)s is not the one that was noted elsewhere: the chain was written anew")


@dataclass(frozen=True)
class Finding:
    """One flaw, with the seal or the event that it is in."""

    flaw: Flaw
    seal: int | None = None
    event: int | None = None
    until: int | None = None
    redaction: int | None = None

    def __str__(self) -> str:
        return str(self.flaw.label) % vars(self)


@dataclass
class Audit:
    """One run over the whole trail: iterate over :meth:`findings`, then read how far it came.

    ``anchor`` is a seal noted outside of the database, by number and digest. ``progress`` is called after each seal.
    """

    anchor: tuple[int, bytes] | None = None
    progress: Callable[[Audit], object] = lambda _audit: None
    seals: int = 0
    events: int = 0
    late: int = 0
    belated: int = 0
    """Events that were long without a seal: nobody sealed then, or the chain was cut before them and written anew."""
    belated_seal: int | None = None
    """The newest seal of such events."""
    last: EventSeal | None = None
    sealed_through: int | None = None
    unsealed: int = 0
    purged: int = 0
    """Events that are gone because the time to keep them was over."""
    redacted: int = 0
    """Events out of which was taken what was personal."""
    _judged: dict[int, bool] = field(default_factory=dict, repr=False)
    """Of each redaction, by its key: whether it explains something."""
    _strangers: list[int] = field(default_factory=list, repr=False)
    _late: set[int] = field(default_factory=set, repr=False)
    _before: bytes | None = field(default=NO_SEAL, repr=False)
    """The digest of the link before, or None where that one is gone or not to be trusted."""

    def findings(self) -> Iterator[Finding]:
        """Tell what is wrong, as it is found."""
        yield from self._redactions()
        expected = 1
        for seal in _seals():
            if seal.number > expected:
                yield Finding(Flaw.SEAL_REMOVED, seal=expected, until=seal.number - 1)
                self._before = None
            expected = seal.number + 1
            yield from self._seal(seal)
            self.seals, self.last = self.seals + 1, seal
            self.progress(self)
        yield from (Finding(Flaw.EVENT_INSERTED, event=pk) for pk in self._strangers if pk not in self._late)
        yield from self._tail(now())
        yield from self._anchored()

    def _redactions(self) -> Iterator[Finding]:
        """Tell which redactions are worth nothing: their events count as changed or removed."""
        # Redactions before the events that tell of them, which are committed together: the other way round, one that is
        # written in between would be told by nothing.
        proofs = {row.pk: _proof(row) if _is_sound(row) else None for row in EventRedaction.objects.iterator()}
        told = set(_telling().values_list("data__proof", flat=True).iterator())
        self._judged = {pk: proof is not None and proof in told for pk, proof in proofs.items()}
        yield from (
            Finding(Flaw.REDACTION_BROKEN, redaction=pk) for pk, is_worth in self._judged.items() if not is_worth
        )

    def _about(self, seal: EventSeal) -> list[EventRedaction]:
        """Return what explains flaws of a seal.

        Read after the events were, and not when the run began: a purge may be under way, and what it took is named in
        the transaction that takes it.
        """
        about = EventRedaction.objects.filter(first_event__lte=seal.last_event, last_event__gte=seal.first_event)
        return [redaction for redaction in about if self._is_worth(redaction) and redaction.explains(seal)]

    def _is_worth(self, redaction: EventRedaction) -> bool:
        if redaction.pk not in self._judged:
            is_told = _telling().filter(data__proof=_proof(redaction)).exists()
            self._judged[redaction.pk] = is_told and _is_sound(redaction)
        return self._judged[redaction.pk]

    def _seal(self, seal: EventSeal) -> Iterator[Finding]:
        flaw = self._judge(seal)
        if flaw is not None:
            self._before = None
            yield Finding(flaw, seal=seal.number)
            return
        # After a link that is gone or broken nobody knows where it ended: what lies between is not looked at.
        low = seal.first_event - 1 if self._before is None else self.sealed_through
        yield from self._compare(seal, low)
        self._before = bytes(seal.digest)
        if not seal.late:
            self.sealed_through = seal.last_event

    def _judge(self, seal: EventSeal) -> Flaw | None:
        """Return what is wrong with a link itself; ``previous`` is its own, so that one broken link hides no other."""
        try:
            sound = tokens.is_sealed([bytes(seal.digest)], seal.computed())
        except tokens.UnknownKey:
            return Flaw.SEAL_UNREADABLE
        follows = self._before is None or bytes(seal.previous) == self._before
        return None if sound and follows else Flaw.SEAL_BROKEN

    def _compare(self, seal: EventSeal, low: int | None) -> Iterator[Finding]:
        sign = tokens.signer(LABEL, kid=seal.kid)
        expected = seal.marks_by_id()
        if seal.late:
            self._late |= expected.keys()
            self.late += len(expected)
        differing: list[Row] = []
        for row in _rows(seal, low):
            sealed = expected.pop(row[0], None)
            if sealed is None:
                self._strangers.append(row[0])
                continue
            self.events += 1
            if is_mark(mark(row, sign), sealed):
                self._note_belated(row, seal)
            else:
                differing.append(row)
        if differing or expected:
            yield from self._explain(seal, differing, expected)

    def _explain(self, seal: EventSeal, differing: Sequence[Row], missing: Iterable[int]) -> Iterator[Finding]:
        """Tell what no redaction explains of what is not as it was sealed; count what one does."""
        redactions = self._about(seal)
        for row in differing:
            if any(is_left_by(row, redaction) for redaction in redactions):
                self.redacted += 1
                continue
            self._note_belated(row, seal)
            yield Finding(Flaw.EVENT_CHANGED, seal=seal.number, event=row[0])
        purged = {pk for redaction in redactions if redaction.is_purge for pk in redaction.ids()}
        for pk in missing:
            if pk in purged:
                self.purged += 1
            else:
                yield Finding(Flaw.EVENT_REMOVED, seal=seal.number, event=pk)

    def _note_belated(self, row: Row, seal: EventSeal) -> None:
        if not seal.late and row[CREATED] < seal.sealed_at - BELATED:
            self.belated, self.belated_seal = self.belated + 1, seal.number

    def _tail(self, at: datetime) -> Iterator[Finding]:
        rows = Event.objects.order_by("pk")
        if self.sealed_through is not None:
            rows = rows.filter(pk__gt=self.sealed_through)
        self.unsealed = rows.count()
        # Any of them and not the first alone: one that is dated into the future must not hide those behind it.
        overdue = rows.filter(created_at__lt=at - OVERDUE).values_list("pk", flat=True).first()
        if overdue is not None:
            yield Finding(Flaw.EVENTS_UNSEALED, event=overdue)

    def _anchored(self) -> Iterator[Finding]:
        if self.anchor is None:
            return
        number, digest = self.anchor
        stored = EventSeal.objects.filter(number=number).values_list("digest", flat=True).first()
        if stored is None or bytes(stored) != digest:
            yield Finding(Flaw.ANCHOR_LOST, seal=number)


def _telling() -> models.QuerySet[Event]:
    """Return the events that tell of redactions; found by the index on subjects, among very many others."""
    subject = Event.objects.alias(subject=SUBJECT).filter(subject="trail", redemption__isnull=True)
    return subject.filter(type__in=TRAIL_EVENTS)


def _proof(redaction: EventRedaction) -> str:
    """Return what the event that tells of a redaction knows it by."""
    return bytes(redaction.digest).hex()


def _is_sound(redaction: EventRedaction) -> bool:
    try:
        return redaction.is_sound()
    except tokens.UnknownKey:
        return False


def alarm(findings: int) -> None:
    """Alert whoever watches that the trail was found broken."""
    alerts.sound(alerts.Alert.AUDIT_TRAIL_BROKEN, findings=findings)


def latest() -> EventSeal | None:
    """Return the last link of the chain: what is worth noting outside of the database."""
    return EventSeal.objects.order_by("-number").only("number", "digest").first()


def _seals() -> Iterator[EventSeal]:
    seen: int | None = None
    while True:
        rows = EventSeal.objects.order_by("number")
        page = list((rows if seen is None else rows.filter(number__gt=seen))[:PAGE])
        if not page:
            return
        yield from page
        seen = page[-1].number


def _rows(seal: EventSeal, low: int | None) -> Iterator[Row]:
    rows = Event.objects.order_by("pk").filter(pk__lte=seal.last_event)
    if seal.late:
        rows = rows.filter(pk__in=list(seal.ids()))
    elif low is not None:
        rows = rows.filter(pk__gt=low)
    return rows.values_list(*SEALED_COLUMNS).iterator()
