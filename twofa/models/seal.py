"""Seals over the audit trail: a chain of keyed digests, by which a change to a stored event is found."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa import tokens

LABEL = "audit"
VERSION = "twofa/seal/v1"
MARK_BYTES = 16
"""Of each event's HMAC-SHA256: 128 bits of a keyed digest cannot be found by trial."""
SEALED_COLUMNS = (
    "id",
    "type",
    "created_at",
    "actor_kind",
    "actor",
    "correlation_id",
    "storefront_id",
    "campaign_id",
    "participant_id",
    "device_id",
    "redemption_id",
    "challenge_id",
    "delivery_id",
    "data",
)
"""Written out, and not read from the model: a column that comes later must not break the seals made before it."""

Row = tuple[Any, ...]
Signer = Callable[[tokens.Encodable], bytes]


class EventSeal(models.Model):
    """One link of the chain: the marks of a batch of events, and a digest over them and the link before.

    The number is the primary key, so that of two sealers at the same moment one is refused: the chain cannot fork.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    sealed_at = models.DateTimeField(_("sealed at"))
    kid = models.CharField(_("key id"), max_length=64)
    late = models.BooleanField(
        _("late"), default=False, help_text=_("Its events were committed after their neighbours had been sealed.")
    )
    first_event = models.BigIntegerField(_("first event"))
    last_event = models.BigIntegerField(_("last event"))
    count = models.PositiveIntegerField(_("events"))
    runs = models.JSONField(_("ids"))
    marks = models.BinaryField(_("marks"))
    previous = models.BinaryField(_("digest before"), max_length=32)
    digest = models.BinaryField(_("digest"), max_length=32)

    class Meta:
        verbose_name = _("seal of events")
        verbose_name_plural = _("seals of events")
        ordering = ("number",)
        constraints = [
            models.CheckConstraint(
                condition=Q(number__gte=1, count__gte=1, last_event__gte=models.F("first_event")),
                name="twofa_seal_numbers",
            )
        ]

    def __str__(self) -> str:
        return f"{self.number}:{bytes(self.digest).hex()}"

    def computed(self) -> bytes:
        """Return the digest that this row must have. Raises: UnknownKey."""
        content = (
            VERSION,
            bytes(self.previous),
            self.number,
            self.sealed_at,
            self.kid,
            int(self.late),
            self.first_event,
            self.last_event,
            self.count,
            canonical(self.runs),
            bytes(self.marks),
        )
        return tokens.signer(LABEL, kid=self.kid)(content)

    def ids(self) -> Iterator[int]:
        """Return the ids of the events that it seals, in order."""
        for first, last in self.runs:
            yield from range(first, last + 1)

    def marks_by_id(self) -> dict[int, bytes]:
        """Return the mark of each event that it seals."""
        marks = bytes(self.marks)
        return {pk: marks[n * MARK_BYTES : (n + 1) * MARK_BYTES] for n, pk in enumerate(self.ids())}


def mark(row: Row, sign: Signer) -> bytes:
    """Return the keyed digest of one event, given as its ``SEALED_COLUMNS``."""
    *columns, data = row
    return sign((VERSION, *columns, canonical(data)))[:MARK_BYTES]


def is_mark(given: bytes, expected: bytes) -> bool:
    """Tell whether two marks are the same, in constant time: none of ours is guessed byte by byte."""
    return hmac.compare_digest(given, expected)


def runs_of(ids: Iterable[int]) -> list[list[int]]:
    """Return ascending ids as runs, ``[first, last]`` each: numbers of a sequence have few gaps."""
    runs: list[list[int]] = []
    for pk in ids:
        if runs and runs[-1][1] == pk - 1:
            runs[-1][1] = pk
        else:
            runs.append([pk, pk])
    return runs


def build(rows: Sequence[Row], *, number: int, previous: bytes, sealed_at: Any, late: bool = False) -> EventSeal:
    """Return the next link over ``rows``, which are in the order of their ids. Stores nothing."""
    kid = tokens.issuing_kid()
    sign = tokens.signer(LABEL, kid=kid)
    seal = EventSeal(
        number=number,
        sealed_at=sealed_at,
        kid=kid,
        late=late,
        first_event=rows[0][0],
        last_event=rows[-1][0],
        count=len(rows),
        runs=runs_of(row[0] for row in rows),
        marks=b"".join(mark(row, sign) for row in rows),
        previous=previous,
    )
    seal.digest = seal.computed()
    return seal


def canonical(value: Any) -> str:
    """Return parsed JSON as one text, whatever the order of its members; a lone surrogate stays an escape."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
