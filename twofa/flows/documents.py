"""Identity documents: sent by a participant, made inert, locked away, and shown to those who decide."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import correlation, pictures, scanners, vault
from twofa.exceptions import DocumentQuota, Invalid, NotActive, Unavailable, WrongState
from twofa.flows import document_files
from twofa.flows.history import Actor, Trail
from twofa.models import DocumentFile, IdentityDocument, Participant, Storefront
from twofa.models.clock import now
from twofa.pictures import Sanitised

logger = correlation.get_logger(__name__)

RETRY_AFTER = 60
"""Seconds after which an upload that was cut off meanwhile may be tried again."""
Decision = IdentityDocument.Decision


@sensitive_variables()
def submit(
    participant: Participant, *, storefront: Storefront | None, kind: str, side: str, data: bytes, actor: Actor
) -> IdentityDocument:
    """Take one picture or PDF of a participant for review; one that waits for the same side is replaced.

    ``data`` is what was sent, at most ``pictures.MAX_BYTES``; nothing of it is stored but the pixels.

    Raises: Invalid, NotActive, WrongState, DocumentQuota, Unavailable.
    """
    claimed = _claim(participant, kind, side, len(data))
    names = [claimed.name]
    try:
        _ensure_harmless(data)
        sanitised = pictures.sanitise(data)
        files = document_files.store(claimed, sanitised.pages, at=claimed.created_at)
        names = [row.name for row in files]
        return _attach(files, sanitised, storefront, kind, side, actor)
    except BaseException:
        # Whatever ended it. Pages of which we do not know here, a sweep finds.
        document_files.abandon(names)
        raise


def _claim(participant: Participant, kind: str, side: str, size: int) -> DocumentFile:
    if size > pictures.MAX_BYTES:
        raise Invalid.field("file", "file_too_large", _("Send a file of at most 10 MiB."))
    with transaction.atomic():
        locked = _locked(participant)
        _ensure_wanted(locked, kind, side)
        try:
            return document_files.claim(locked, size=size, at=now())
        except DocumentQuota:
            logger.warning("the quota of documents of participant %s is used up", locked.pk)
            raise


def _locked(participant: Participant) -> Participant:
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
    locked = rows.get(pk=participant.pk)
    if not (locked.is_active and locked.campaign.is_active):
        raise NotActive
    return locked


def _ensure_wanted(participant: Participant, kind: str, side: str) -> None:
    """Raise where another picture would change nothing. Raises: WrongState."""
    same = IdentityDocument.objects.current().filter(participant=participant, kind=kind, side=side)
    if same.filter(decision=Decision.APPROVED).exists():
        raise WrongState(_("This document is approved already. Send another only if the onboarding asks for it."))
    last = same.first()
    if last is not None and last.decision == Decision.REJECTED and last.is_final:
        raise WrongState(_("This document was refused for good. The participant has to speak with the campaign."))


@sensitive_variables()
def _ensure_harmless(data: bytes) -> None:
    """Raise where the scanner finds something, or cannot say. Raises: Invalid, Unavailable."""
    verdict = scanners.inspect(data)
    if not verdict.is_clean:
        logger.warning("the scanner refused an upload: %s", verdict.reason)
        raise Invalid.field("file", "infected_file", _("This file was refused by the virus scanner. Send another one."))


def _attach(
    files: list[DocumentFile],
    sanitised: Sanitised,
    storefront: Storefront | None,
    kind: str,
    side: str,
    actor: Actor,
) -> IdentityDocument:
    """Make a document of stored files, in the place of the one that waited for this side."""
    with transaction.atomic():
        participant = _locked(files[0].participant)
        _ensure_wanted(participant, kind, side)
        trail = Trail(actor, now())
        _replace(participant, kind, side, trail)
        document = _build(participant, sanitised, storefront, kind, side, trail.at)
        document.save(force_insert=True)
        _adopt(document, files)
        trail.add("document.submitted", document, document=str(document.pk), kind=kind, side=side)
        _note_duplicates(document, sanitised.content_digest, trail)
        trail.write()
    return document


def _build(
    participant: Participant, sanitised: Sanitised, storefront: Storefront | None, kind: str, side: str, at: datetime
) -> IdentityDocument:
    kid, fingerprint = vault.fingerprint(sanitised.content_digest)
    return IdentityDocument(
        campaign=participant.campaign,
        participant=participant,
        storefront=storefront,
        kind=kind,
        side=side,
        pages=len(sanitised.pages),
        source=sanitised.source,
        fingerprint=fingerprint,
        fingerprint_kid=kid,
        correlation_id=correlation.current(),
        created_at=at,
    )


def _adopt(document: IdentityDocument, files: list[DocumentFile]) -> None:
    """Give the files to their document, unless a sweep gave them up meanwhile. Raises: Unavailable."""
    rows = DocumentFile.objects.kept().filter(pk__in=[row.pk for row in files], document__isnull=True)
    if rows.update(document=document) != len(files):
        raise Unavailable(RETRY_AFTER)


def _replace(participant: Participant, kind: str, side: str, trail: Trail) -> None:
    """Take the one out of the queue that waits for the same side: nobody should have to decide it any more."""
    waiting = IdentityDocument.objects.waiting().filter(participant=participant, kind=kind, side=side)
    for document in waiting.select_for_update(no_key=True):
        document.move(replaced_at=trail.at)
        document_files.shred(DocumentFile.objects.filter(document=document), trail.at)
        trail.add("document.replaced", document, document=str(document.pk))


def _note_duplicates(document: IdentityDocument, content_digest: bytes, trail: Trail) -> None:
    """Note that another participant sent the same picture; it is for staff to say what that means."""
    same = IdentityDocument.objects.same_picture(vault.fingerprints(content_digest))
    others = same.exclude(participant=document.participant)
    count = others.filter(campaign=document.campaign_id).values("participant").distinct().count()
    if count:
        trail.add("document.duplicate_found", document, document=str(document.pk), participants=count)


def visible(participant: Participant) -> QuerySet[IdentityDocument]:
    """Return what an answer lists of a participant: all but what was replaced by another picture."""
    return IdentityDocument.objects.current().filter(participant=participant)
