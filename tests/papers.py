"""Identity documents for tests: by the way that every document takes, and in a short one where that is not tested."""

from __future__ import annotations

import io
import secrets
from typing import Any

from PIL import Image, ImageDraw

from tests.factories import staff
from tests.forms import picture
from tests.stories import STAFF
from twofa import vault
from twofa.flows import documents, reviews
from twofa.flows.history import WORKER
from twofa.models import DocumentFile, IdentityDocument, Participant
from twofa.models.clock import now

SIZE = (640, 404)
"""The proportions of a card (ISO/IEC 7810, ID-1)."""


def submitted(
    participant: Participant, kind: str = "cnh", side: str = "single", *, colour: str = "red", storefront: Any = None
) -> IdentityDocument:
    """A document that waits for its review."""
    return documents.submit(
        participant, storefront=storefront, kind=kind, side=side, data=picture(colour), actor=WORKER
    )


def decide(document: IdentityDocument, *, approve: bool, reviewer: Any = None, **given: Any) -> IdentityDocument:
    """A document that somebody has decided; rejected as unreadable, unless it is said otherwise."""
    participant, by = Participant.objects.get(pk=document.participant_id), reviewer or staff()
    opened(document, by)
    decision = reviews.Ruling(approve=approve, **{"reason": "" if approve else "unreadable", **given})
    done = reviews.decide(document.pk, decision, seen=reviews.declared(participant), reviewer=by, actor=STAFF)
    reviews.release(participant, reviewer=by)
    return done


def opened(document: IdentityDocument, reviewer: Any) -> None:
    """Begin the review of a participant, and look at each page of a document."""
    reviews.claim(Participant.objects.get(pk=document.participant_id), reviewer=reviewer, actor=STAFF)
    for page in range(1, document.pages + 1):
        reviews.look(document.pk, page, reviewer=reviewer, actor=STAFF)


def card(
    title: str = "Carteira de Identidade",
    lines: tuple[str, ...] = ("ANA SOUZA", "390.533.447-05"),
    colour: str = "#cfe3d4",
) -> bytes:
    """A JPEG of a card of a country that is not."""
    image = Image.new("RGB", SIZE, colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0], 64), fill="#2f5d46")
    draw.text((24, 18), title.upper(), fill="white", font_size=26)
    draw.rectangle((24, 96, 204, 332), fill="#9fb8a8")
    draw.ellipse((78, 130, 150, 214), fill="#5b7a69")
    draw.pieslice((54, 222, 174, 420), 180, 360, fill="#5b7a69")
    for number, line in enumerate(lines):
        draw.text((240, 112 + 56 * number), line, fill="#1d2a22", font_size=28)
    draw.text((24, 356), "SPECIMEN", fill="#7c9484", font_size=22)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def kept(
    participant: Participant,
    kind: str = "rg",
    side: str = "front",
    data: bytes | None = None,
    *,
    pages: int = 1,
    **columns: Any,
) -> IdentityDocument:
    """The same in the short way, for where decoding is not what is tested: each page is stored as it is."""
    content = data or b"a picture, as far as the storage knows"
    document = IdentityDocument.objects.create(
        **{
            "campaign": participant.campaign,
            "participant": participant,
            "kind": kind,
            "side": side,
            "pages": pages,
            "source": "jpeg",
            "fingerprint": secrets.token_bytes(32),
            "created_at": now(),
            **columns,
        }
    )
    for page in range(1, pages + 1):
        _store(document, page, content)
    return document


def _store(document: IdentityDocument, page: int, content: bytes) -> None:
    name = vault.new_name()
    sealed = vault.seal(content, name=name, owner=f"{document.participant_id}/{page}")
    vault.put(name, sealed.ciphertext)
    DocumentFile.objects.create(
        participant=document.participant,
        document=document,
        page=page,
        name=name,
        kid=sealed.kid,
        wrapped_key=sealed.wrapped_key,
        size=len(sealed.ciphertext),
        width=SIZE[0],
        height=SIZE[1],
        created_at=document.created_at,
    )


def decided(document: IdentityDocument, state: str = "approved", *, by: Any = None, **columns: Any) -> IdentityDocument:
    """The same document after a decision, without a review."""
    IdentityDocument.objects.filter(pk=document.pk).update(
        **{"status": state, "decision": state, "decided_at": now(), "decided_by": by, **columns}
    )
    document.refresh_from_db()
    return document
