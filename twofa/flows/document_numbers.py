"""The keyed hashes of document numbers: made anew where the key that issues is another one by now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from twofa.models import Participant
from twofa.models.participant import DOCUMENT_COLUMNS

BATCH = 500


def outdated(_at: datetime) -> QuerySet[Participant]:
    """Return participants whose document number is not hashed under the present key."""
    return Participant.objects.unhashed()


def renew(_at: datetime) -> Iterator[int]:
    """Hash them, a chunk to a transaction; a key may leave the ring once nothing is left under it."""
    seen = 0
    while True:
        with transaction.atomic():
            rows = Participant.objects.unhashed().filter(pk__gt=seen).order_by("pk")
            chunk = list(rows.select_for_update(no_key=True, of=("self",))[:BATCH])
            for participant in chunk:
                participant.hash_document()
            Participant.objects.bulk_update(chunk, DOCUMENT_COLUMNS)
        if not chunk:
            return
        seen = chunk[-1].pk
        yield len(chunk)
