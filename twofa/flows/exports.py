"""Exports: rows that leave the system in a file are told in the audit trail before the first of them does."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from twofa.flows.history import Actor, Trail
from twofa.models.clock import now


def record(*, actor: Actor, filters: Sequence[str], rows: int) -> None:
    """Note who takes how many redemptions, and by which filters they were chosen.

    Durable, because it must be committed when the first row is sent: an export that breaks off has been one as well.
    """
    with transaction.atomic(durable=True):
        trail = Trail(actor, now())
        trail.add("redemptions.exported", filters=list(filters), rows=rows)
        trail.write()
