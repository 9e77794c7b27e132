"""Redactions: what was lawfully taken out of the audit trail, under the same key that seals it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa import tokens
from twofa.models.seal import LABEL, MARK_BYTES, EventSeal, Row, canonical, mark, runs_of

VERSION = "twofa/redaction/v1"
UNSEALED = ", unsealed"
"""The end of the basis of a redaction whose events had no seal that could have vouched for them."""
UNDER_WAY = timedelta(minutes=5)
"""A seal may be so much older than such a redaction: a sealer that had read the events already has stored it since."""


class EventRedaction(models.Model):
    """Some events that are gone, or that no longer hold what was personal in them.

    The marks of their seals stay, so the chain still says that these events were there. This row says why one of them
    is not what was sealed, and an event of the type ``trail.*`` says that this row was written, and is sealed itself.
    The digest is keyed: whoever can write to the tables and has no key can take events away, and cannot explain it.
    """

    created_at = models.DateTimeField(_("created at"))
    kid = models.CharField(_("key id"), max_length=64)
    first_event = models.BigIntegerField(_("first event"))
    last_event = models.BigIntegerField(_("last event"))
    runs = models.JSONField(_("ids"))
    # Of the events as they are now, each under ``kid``; empty where the rows are gone.
    marks = models.BinaryField(_("marks"), default=b"")
    basis = models.CharField(_("basis"), max_length=120)
    digest = models.BinaryField(_("digest"), max_length=32)

    class Meta:
        verbose_name = _("redaction of events")
        verbose_name_plural = _("redactions of events")
        ordering = ("id",)
        default_permissions = ("view",)
        indexes = [models.Index(fields=("last_event",), name="twofa_redaction_last_event")]
        constraints = [
            models.CheckConstraint(condition=Q(last_event__gte=models.F("first_event")), name="twofa_redaction_numbers")
        ]

    def __str__(self) -> str:
        return f"{self.pk}:{bytes(self.digest).hex()}"

    def computed(self) -> bytes:
        """Return the digest that this row must have. Raises: UnknownKey."""
        content = (
            VERSION,
            self.created_at,
            self.kid,
            self.first_event,
            self.last_event,
            canonical(self.runs),
            bytes(self.marks),
            self.basis,
        )
        return tokens.signer(LABEL, kid=self.kid)(content)

    def is_sound(self) -> bool:
        """Tell whether it is what was written. Raises: UnknownKey."""
        return tokens.is_sealed([bytes(self.digest)], self.computed())

    def ids(self) -> Iterator[int]:
        """Return the ids of the events that it speaks of, in order."""
        for first, last in self.runs:
            yield from range(first, last + 1)

    @property
    def is_purge(self) -> bool:
        """Tell whether the events are gone, and not only what was personal in them."""
        return not self.marks

    def explains(self, seal: EventSeal) -> bool:
        """Tell whether an event may differ from a seal by this redaction.

        One of events without a seal explains only seals that came later. Who hides a seal from an erasure (by an
        UPDATE of its first event, say), has it redact what they forged, and puts the seal back, is found out by that.
        """
        return not self.basis.endswith(UNSEALED) or seal.sealed_at >= self.created_at - UNDER_WAY

    def marks_by_id(self) -> dict[int, bytes]:
        """Return the mark of each event as it was left; nothing where they are gone."""
        marks = bytes(self.marks)
        if not marks:
            return {}
        return {pk: marks[n * MARK_BYTES : (n + 1) * MARK_BYTES] for n, pk in enumerate(self.ids())}


def build_redaction(ids: Sequence[int], left: Sequence[Row], *, basis: str, at: Any) -> EventRedaction:
    """Return the redaction of events ``ids``, of which ``left`` is what remains. Stores nothing."""
    kid = tokens.issuing_kid()
    sign = tokens.signer(LABEL, kid=kid)
    redaction = EventRedaction(
        created_at=at,
        kid=kid,
        first_event=ids[0],
        last_event=ids[-1],
        runs=runs_of(ids),
        marks=b"".join(mark(row, sign) for row in left),
        basis=basis,
    )
    redaction.digest = redaction.computed()
    return redaction
