"""Identity documents: sent by a participant, made inert, locked away, and shown to those who decide."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import correlation, pictures, scanners, vault
from twofa.exceptions import DocumentQuota, Invalid, NotActive, Unavailable, WrongState
from twofa.flows import document_files, onboarding
from twofa.flows.history import Actor, Trail
from twofa.models import DocumentFile, IdentityDocument, Participant, Storefront
from twofa.models.clock import now
from twofa.pictures import Sanitised

logger = correlation.get_logger(__name__)


@sensitive_variables()
def submit(
    participant: Participant, *, storefront: Storefront | None, kind: str, side: str, data: bytes, actor: Actor
) -> IdentityDocument:
    """Take one picture or PDF of a participant for review; one that waits for the same side is replaced.

    ``data`` is what was sent, at most ``pictures.MAX_BYTES``; nothing of it is stored but the pixels.

    Raises: Invalid, NotFound, NotActive, WrongState, DocumentQuota, Unavailable.
    """
    pictures.ensure_taken(data)
    files = [_claim(participant, kind, side, len(data))]
    try:
        _ensure_harmless(data)
        with pictures.place():
            sanitised = pictures.sanitise(data)
            # Of files that arrive together each is held until it is stored: let go of what is not needed any more.
            del data
            files = document_files.reserve(files[0], sanitised.pages)
            document_files.store(files, sanitised.pages)
        return _attach(files, sanitised, storefront, kind, side, actor)
    except BaseException as error:
        # Whatever ended it, a process that was told to stop included.
        document_files.abandon(files, spent=isinstance(error, Invalid))
        raise


def _claim(participant: Participant, kind: str, side: str, size: int) -> DocumentFile:
    # On its own: inside a transaction of the host's, what it takes back would leave files without a row.
    with transaction.atomic(durable=True):
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
    locked.ensure_kept()
    if not (locked.is_active and locked.campaign.is_active):
        raise NotActive
    return locked


def _ensure_wanted(participant: Participant, kind: str, side: str) -> None:
    """Raise where another picture would change nothing. Raises: WrongState."""
    of_kind = list(IdentityDocument.objects.current().filter(participant=participant, kind=kind))
    # Of any side: whoever was refused for good must not come back with the other side of the same paper.
    if any(document.is_refused_for_good for document in of_kind):
        raise WrongState(_("This document was refused for good. The participant has to speak with the campaign."))
    if any(document.is_valid and document.side == side for document in of_kind):
        raise WrongState(_("This document is approved already. Send another only if the onboarding asks for it."))


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
        _take_fingerprint(document, sanitised.content_digest)
        document.save(force_insert=True)
        _adopt(document, files)
        trail.add("document.submitted", document, document=str(document.pk), kind=kind, side=side)
        _note_duplicates(document, trail)
        if participant.onboarded_at is not None:
            # The campaign may have begun to ask for it since they were complete.
            onboarding.note(participant, trail)
        trail.write()
    return document


def _build(
    participant: Participant, sanitised: Sanitised, storefront: Storefront | None, kind: str, side: str, at: datetime
) -> IdentityDocument:
    return IdentityDocument(
        campaign=participant.campaign,
        participant=participant,
        storefront=storefront,
        kind=kind,
        side=side,
        pages=len(sanitised.pages),
        source=sanitised.source,
        correlation_id=correlation.current(),
        created_at=at,
    )


def _take_fingerprint(document: IdentityDocument, content_digest: bytes) -> None:
    """Give the document its keyed digest: under the key by which the campaign knows the picture, or the first one.

    So that the same picture has one digest in a campaign, and is found by a plain comparison, whatever keys came since.
    """
    same = IdentityDocument.objects.same_picture(vault.fingerprints(content_digest)).filter(campaign=document.campaign)
    known = same.order_by("created_at").values_list("fingerprint_kid", "fingerprint").first()
    kid, digest = known or vault.fingerprint(content_digest)
    document.fingerprint_kid, document.fingerprint = kid, bytes(digest)


def _adopt(document: IdentityDocument, files: list[DocumentFile]) -> None:
    """Give the files to their document, unless a sweep gave them up meanwhile. Raises: Unavailable."""
    rows = DocumentFile.objects.kept().filter(pk__in=[row.pk for row in files], document__isnull=True)
    if rows.update(document=document) != len(files):
        raise Unavailable(document_files.RETRY_AFTER)


def _replace(participant: Participant, kind: str, side: str, trail: Trail) -> None:
    """Take the one out of the queue that waits for the same side: nobody should have to decide it any more."""
    waiting = IdentityDocument.objects.waiting().filter(participant=participant, kind=kind, side=side)
    for document in waiting.select_for_update(no_key=True):
        onboarding.withdraw(document, trail)


def _note_duplicates(document: IdentityDocument, trail: Trail) -> None:
    """Note that another participant sent the same picture; it is for staff to say what that means."""
    same = IdentityDocument.objects.filter(campaign=document.campaign_id, fingerprint=document.fingerprint)
    count = same.exclude(participant=document.participant).values("participant").distinct().count()
    if count:
        trail.add("document.duplicate_found", document, document=str(document.pk), participants=count)


def visible(participant: Participant) -> QuerySet[IdentityDocument]:
    """Return what an answer lists of a participant: all but what was replaced by another picture."""
    return IdentityDocument.objects.current().filter(participant=participant)
