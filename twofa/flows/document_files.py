"""Files of documents: a row first, then the file; the key gone first, then the file. What a crash leaves, a sweep ends.

Database and storage have no transaction in common. So a place is claimed and committed before anything is stored, which
makes every file findable by its row; and a file is only called erased once the storage says that it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Sum

from twofa import alerts, correlation, vault
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import DocumentQuota, StorageUnavailable
from twofa.flows.history import WORKER, Trail
from twofa.flows.transactions import after_commit
from twofa.models import DocumentFile, IdentityDocument, Participant
from twofa.models.clock import now
from twofa.pictures import Page

logger = correlation.get_logger(__name__)

DAY = timedelta(hours=24)
BATCH = 100
PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
TRIES_BEFORE_ALERT = 3


def claim(participant: Participant, *, size: int, at: datetime) -> DocumentFile:
    """Take one place of the participant's quota; called with the participant locked. Raises: DocumentQuota.

    Before the picture is decoded: of fifty uploads at once those above the quota cost one statement each.
    """
    own = DocumentFile.objects.filter(participant=participant, page=1)
    taken = own.filter(Q(erased_at__isnull=True) | Q(created_at__gt=at - DAY)).order_by("created_at")
    if taken.count() >= conf.documents_per_participant:
        raise DocumentQuota(_seconds_to_next_place(taken, at))
    kept = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True)
    if (kept.aggregate(bytes=Sum("size"))["bytes"] or 0) + size > conf.document_bytes_per_participant:
        raise DocumentQuota(None)
    row = DocumentFile(participant=participant, name=vault.new_name(), size=size, created_at=at)
    row.save(force_insert=True)
    return row


def _seconds_to_next_place(taken: QuerySet[DocumentFile], at: datetime) -> int | None:
    """Return when a place is free by itself, or None where each is held by a file that is kept."""
    recent = taken.filter(created_at__gt=at - DAY)
    if not recent or taken.exclude(created_at__gt=at - DAY).count() >= conf.documents_per_participant:
        return None
    return int((recent[0].created_at + DAY - at).total_seconds()) + 1


def store(first: DocumentFile, pages: Sequence[Page], *, at: datetime) -> list[DocumentFile]:
    """Seal the pages, each with a key of its own, and store them. Raises: StorageUnavailable."""
    rows, ciphertexts = [], []
    for number, page in enumerate(pages, start=1):
        row = first if number == 1 else _another(first, number, at)
        sealed = vault.seal(page.data, name=row.name)
        row.kid, row.wrapped_key = sealed.kid, sealed.wrapped_key
        row.size, row.width, row.height = len(sealed.ciphertext), page.width, page.height
        rows.append(row)
        ciphertexts.append(sealed.ciphertext)
    with transaction.atomic():
        first.save(update_fields=["kid", "wrapped_key", "size", "width", "height"])
        DocumentFile.objects.bulk_create(rows[1:])
    for row, ciphertext in zip(rows, ciphertexts, strict=True):
        vault.put(row.name, ciphertext)
    return rows


def _another(first: DocumentFile, page: int, at: datetime) -> DocumentFile:
    return DocumentFile(participant=first.participant, page=page, name=vault.new_name(), created_at=at)


def abandon(names: Iterable[str]) -> None:
    """Give up an upload that will not become a document: a place without a file is free again, a file is erased."""
    rows = DocumentFile.objects.filter(name__in=list(names), document__isnull=True)
    with transaction.atomic():
        rows.filter(wrapped_key__isnull=True, erase_due_at__isnull=True).delete()
        shred(rows, now())


def shred(rows: QuerySet[DocumentFile], at: datetime) -> int:
    """Forget the keys of files, and have the files erased; called inside a transaction."""
    return rows.kept().update(wrapped_key=None, kid="", erase_due_at=at)  # type: ignore[attr-defined,no-any-return]


def erase_due(at: datetime, *, limit: int = BATCH, patient: bool = True) -> int:
    """Erase what is due, oldest first; return how many files are gone. One that fails is tried again, and told.

    Who is not ``patient`` stops at the first failure: of a storage that is down each file costs a timeout.
    """
    abandoned = DocumentFile.objects.abandoned(at)
    with transaction.atomic():
        abandoned.filter(wrapped_key__isnull=True).delete()
        shred(abandoned, at)
    return _erase_each(_free(DocumentFile.objects.due(at).order_by("erase_due_at"), limit), patient=patient)


def erase_of(participant: Participant) -> int:
    """Erase what is to be erased of one participant, now; return how many files are gone."""
    rows = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True, erase_due_at__isnull=False)
    return _erase_each(_free(rows.order_by("pk"), rows.count()), patient=True)


def _erase_each(rows: Iterable[DocumentFile], *, patient: bool) -> int:
    gone = 0
    for row in rows:
        erased = _erase(row)
        gone += erased
        if not (erased or patient):
            break
    return gone


def _free(rows: QuerySet[DocumentFile], limit: int) -> list[DocumentFile]:
    """Return rows that no other sweep is about to erase; for a while they are ours."""
    with transaction.atomic():
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
        taken = list(rows[:limit])
        DocumentFile.objects.filter(pk__in=[row.pk for row in taken]).update(erase_due_at=now() + PAUSE)
    return taken


def _erase(row: DocumentFile) -> bool:
    try:
        vault.erase(row.name)
    except StorageUnavailable:
        _postpone(row)
        return False
    _note_erased(row)
    return True


def _postpone(row: DocumentFile) -> None:
    tries = row.erase_tries + 1
    at = now()
    with transaction.atomic():
        DocumentFile.objects.filter(pk=row.pk, erased_at__isnull=True).update(
            erase_tries=F("erase_tries") + 1, erase_due_at=at + min(PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
        )
        trail = Trail(WORKER, at)
        about = row.participant if row.document is None else row.document
        trail.add("document.purge_postponed", about, file=row.pk, tries=tries)
        trail.write()
        if tries >= TRIES_BEFORE_ALERT:
            after_commit(alerts.sound, Alert.DOCUMENT_NOT_ERASED, file=row.pk)
    logger.warning("file %s was not erased by the storage (try %d); it will be tried again", row.pk, tries)


def _note_erased(row: DocumentFile) -> None:
    """Write that a file is gone; with the last one of a document, that the document is."""
    if row.document_id is None:
        DocumentFile.objects.filter(pk=row.pk).delete()
        return
    with transaction.atomic():
        document = IdentityDocument.objects.select_for_update(no_key=True).get(pk=row.document_id)
        at = now()
        DocumentFile.objects.filter(pk=row.pk, erased_at__isnull=True).update(erased_at=at)
        if document.files.filter(erased_at__isnull=True).exists() or document.purged_at is not None:
            return
        document.move(status=IdentityDocument.Status.PURGED, purged_at=at)
        trail = Trail(WORKER, at)
        trail.add("document.purged", document, document=str(document.pk), decision=document.decision)
        trail.write()


def outdated(at: datetime) -> QuerySet[DocumentFile]:
    """Return files of what was decided, or begun and left, longer ago than they are kept."""
    decided = Q(document__decided_at__lte=at - conf.retention["documents"])
    left = Q(document__decided_at__isnull=True, document__created_at__lte=at - conf.retention["onboarding"])
    return DocumentFile.objects.kept().filter(decided | left)


def purge(at: datetime) -> int:
    """Have the next of what is outdated erased; return how many files that were."""
    overdue = outdated(at).order_by("pk").values_list("pk", flat=True)
    with transaction.atomic():
        return shred(DocumentFile.objects.filter(pk__in=list(overdue[:BATCH])), at)
