"""Identity documents for tests, by the way that every document takes."""

from __future__ import annotations

from typing import Any

from tests.factories import staff
from tests.forms import picture
from tests.stories import STAFF
from twofa.flows import documents, reviews
from twofa.flows.history import WORKER
from twofa.models import IdentityDocument, Participant


def submitted(
    participant: Participant, kind: str = "cnh", side: str = "single", *, colour: str = "red", storefront: Any = None
) -> IdentityDocument:
    """A document that waits for its review."""
    return documents.submit(
        participant, storefront=storefront, kind=kind, side=side, data=picture(colour), actor=WORKER
    )


def decide(document: IdentityDocument, *, approve: bool, reviewer: Any = None, **given: Any) -> IdentityDocument:
    """A document that somebody has decided; rejected as unreadable, unless it is said otherwise."""
    participant = Participant.objects.get(pk=document.participant_id)
    decision = reviews.Decision(approve=approve, **{"reason": "" if approve else "unreadable", **given})
    return reviews.decide(
        document.pk, decision, seen=reviews.declared(participant), reviewer=reviewer or staff(), actor=STAFF
    )
