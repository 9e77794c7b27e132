"""Dossiers: all that a reviewer has beside the pictures of one participant, read in a few statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twofa.flows import onboarding
from twofa.flows.onboarding import Step
from twofa.models import DocumentFile, IdentityDocument, Participant
from twofa.models.clock import now

Status = IdentityDocument.Status

MOST_TWINS = 20
"""Other participants with the same picture that are named; how many there are is said in any case."""
MOST_DOCUMENTS = 200


@dataclass
class Paper:
    """One document, and what is told of it."""

    document: IdentityDocument
    pages: list[int] = field(default_factory=list)
    """The pages whose files may still be looked at."""
    twins: list[Participant] = field(default_factory=list)
    """Other participants of the campaign who sent the same picture."""
    twin_count: int = 0


@dataclass(frozen=True)
class Dossier:
    """What a participant declared, was asked for and has sent."""

    participant: Participant
    at: datetime
    steps: list[Step]
    papers: list[Paper]
    """What counts now: the newest of each kind and side, those required first."""
    earlier: list[IdentityDocument]
    """What was decided before, or replaced; the newest first."""

    @property
    def waiting(self) -> list[IdentityDocument]:
        """Return what staff have to decide."""
        return [paper.document for paper in self.papers if paper.document.is_waiting]

    @property
    def held(self) -> IdentityDocument | None:
        """Return a document that somebody is reviewing now, or None."""
        return next((document for document in self.waiting if document.holder(self.at) is not None), None)

    def is_held_by(self, reviewer: Any) -> bool:
        """Tell whether it is this reviewer who is at it."""
        return self.held is not None and self.held.claimed_by_id == reviewer.pk

    def has_come_since(self, document: IdentityDocument, reviewer: Any) -> bool:
        """Tell whether a document arrived during this reviewer's review, so that it is not part of it yet."""
        return self.is_held_by(reviewer) and document.is_waiting and document.holder(self.at) != reviewer.pk


def read(participant: Participant) -> Dossier:
    """Return the dossier of a participant, whose campaign is loaded; costs six statements. Shows no picture."""
    related = ("decided_by", "claimed_by", "storefront")
    rows = IdentityDocument.objects.filter(participant=participant).select_related(*related)
    documents = list(rows.order_by("-created_at", "-id")[:MOST_DOCUMENTS])
    counting, earlier = _parted(documents)
    papers = [Paper(document) for document in _ordered(counting, participant.campaign.required_documents)]
    _add_pages(papers)
    _add_twins(participant, papers)
    return Dossier(participant, now(), onboarding.read(participant).steps, papers, earlier)


def _parted(documents: Sequence[IdentityDocument]) -> tuple[list[IdentityDocument], list[IdentityDocument]]:
    """Part the newest of each kind and side from what came before it; both the newest first."""
    counting: dict[tuple[str, str], IdentityDocument] = {}
    for document in documents:
        if document.replaced_at is None:
            counting.setdefault((document.kind, document.side), document)
    kept = set(counting.values())
    return list(counting.values()), [document for document in documents if document not in kept]


def _ordered(documents: Iterable[IdentityDocument], required: Sequence[str]) -> list[IdentityDocument]:
    """Put what the campaign asks for first, in its order, and of the rest what was sent first."""

    def place(document: IdentityDocument) -> tuple[int, datetime]:
        asked = (number for number, wanted in enumerate(required) if document.meets(wanted))
        return next(asked, len(required)), document.created_at

    return sorted(documents, key=place)


def _add_pages(papers: Sequence[Paper]) -> None:
    known = {paper.document.pk: paper for paper in papers}
    files = DocumentFile.objects.kept().filter(document__in=known, wrapped_key__isnull=False)
    for document, page in files.order_by("page").values_list("document", "page"):
        known[document].pages.append(page)


def _add_twins(participant: Participant, papers: Sequence[Paper]) -> None:
    """Name who sent the same picture, by what is stored now: who was erased since, or came later, is counted rightly.

    A picture has one digest in a campaign, whatever keys came since, so that a plain comparison finds all of them.
    """
    by_picture: dict[bytes, dict[int, Participant]] = defaultdict(dict)
    same = IdentityDocument.objects.filter(
        campaign=participant.campaign_id, fingerprint__in=[paper.document.fingerprint for paper in papers]
    )
    for other in same.exclude(participant=participant).select_related("participant").order_by("id")[:MOST_DOCUMENTS]:
        by_picture[bytes(other.fingerprint)][other.participant_id] = other.participant
    for paper in papers:
        twins = list(by_picture[bytes(paper.document.fingerprint)].values())
        paper.twins = twins[:MOST_TWINS]
        paper.twin_count = len(twins)
