"""Files of documents: a row first, then the file; the key gone first, then the file. What a crash leaves, a sweep ends.

Database and storage have no transaction in common. So a place is claimed and committed before anything is stored, which
makes every file findable by its row; and a file is only called erased once the storage says that it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.views.decorators.debug import sensitive_variables

from twofa import alerts, correlation, vault
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import DocumentQuota, StorageUnavailable, Unavailable
from twofa.flows.history import WORKER, Trail
from twofa.flows.transactions import after_commit
from twofa.models import DocumentFile, IdentityDocument, Participant
from twofa.models.clock import now
from twofa.models.document_file import QUOTA_DAY
from twofa.pictures import Page

logger = correlation.get_logger(__name__)

BATCH = 100
RETRY_AFTER = 60
"""Seconds after which an upload that was cut off meanwhile may be tried again."""
PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
TRIES_BEFORE_ALERT = 3
TRIES_TO_FIND = 3
"""How often a file that is not there is looked for before it counts as erased. A disk that is not mounted and a bucket
of another name look the same, and the next look may be at the right one."""


def claim(participant: Participant, *, size: int, at: datetime) -> DocumentFile:
    """Take one place of the participant's quota; called with the participant locked. Raises: DocumentQuota.

    Before the picture is decoded: of fifty uploads at once those above the quota cost one statement each.
    """
    own = DocumentFile.objects.filter(participant=participant, page=1)
    taken = own.filter(Q(erased_at__isnull=True) | Q(created_at__gt=at - QUOTA_DAY)).order_by("created_at")
    if taken.count() >= conf.documents_per_participant:
        raise DocumentQuota(_seconds_to_next_place(taken, at))
    _ensure_room(participant, size)
    row = DocumentFile(participant=participant, name=vault.new_name(), size=size, created_at=at)
    row.save(force_insert=True)
    return row


def _seconds_to_next_place(taken: QuerySet[DocumentFile], at: datetime) -> int | None:
    """Return when a place is free by itself, or None where each is held by a file that is kept."""
    recent = taken.filter(created_at__gt=at - QUOTA_DAY)
    if not recent or taken.exclude(created_at__gt=at - QUOTA_DAY).count() >= conf.documents_per_participant:
        return None
    return int((recent[0].created_at + QUOTA_DAY - at).total_seconds()) + 1


def _ensure_room(participant: Participant, size: int, *, beside: DocumentFile | None = None) -> None:
    """Raise where so many more bytes are too many. Raises: DocumentQuota."""
    kept = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True)
    if beside is not None:
        kept = kept.exclude(pk=beside.pk)
    if (kept.aggregate(bytes=Sum("size"))["bytes"] or 0) + size > conf.document_bytes_per_participant:
        raise DocumentQuota(None)


def reserve(claimed: DocumentFile, pages: Sequence[Page]) -> list[DocumentFile]:
    """Write a row for each page before the first one is stored. Raises: DocumentQuota.

    Asked again here: a small PDF may be large pictures, and what was sent says little about what is kept.
    """
    rows = [claimed, *(_another(claimed, number) for number in range(2, len(pages) + 1))]
    for row, page in zip(rows, pages, strict=True):
        row.size, row.width, row.height = len(page.data), page.width, page.height
    with transaction.atomic():
        Participant.objects.select_for_update(no_key=True).get(pk=claimed.participant_id)
        _ensure_room(claimed.participant, sum(row.size for row in rows), beside=claimed)
        claimed.save(update_fields=["size", "width", "height"])
        DocumentFile.objects.bulk_create(rows[1:])
    return rows


def _another(claimed: DocumentFile, page: int) -> DocumentFile:
    return DocumentFile(
        participant=claimed.participant, page=page, name=vault.new_name(), created_at=claimed.created_at
    )


@sensitive_variables()
def store(rows: Sequence[DocumentFile], pages: Sequence[Page]) -> None:
    """Seal the pages one by one, each with a key of its own, and store them.

    Raises: StorageUnavailable; Unavailable where a sweep took the upload for abandoned.
    """
    for row, page in zip(rows, pages, strict=True):
        sealed = vault.seal(page.data, name=row.name, owner=row.owner)
        # The key is committed before the file is there: a row with a key is one whose file may have to be erased.
        keyed = DocumentFile.objects.kept().filter(pk=row.pk, document__isnull=True)
        if not keyed.update(kid=sealed.kid, wrapped_key=sealed.wrapped_key):
            raise Unavailable(RETRY_AFTER)
        row.kid, row.wrapped_key = sealed.kid, sealed.wrapped_key
        vault.put(row.name, sealed.ciphertext)


@sensitive_variables()
def opened(row: DocumentFile) -> bytes:
    """Return a page as a JPEG. Raises: StorageUnavailable, DocumentUnreadable."""
    key = bytes(row.wrapped_key or b"")
    return vault.unseal(vault.fetch(row.name), name=row.name, kid=row.kid, wrapped_key=key, owner=row.owner)


def abandon(files: Sequence[DocumentFile], *, spent: bool) -> None:
    """Give up an upload that will not become a document: a place without a file is free again, a file is erased.

    A place that was ``spent`` on a file that was taken apart and refused stays taken for a day.
    """
    rows = DocumentFile.objects.filter(pk__in=[row.pk for row in files], document__isnull=True)
    with transaction.atomic():
        at = now()
        unused = rows.filter(wrapped_key__isnull=True, erase_due_at__isnull=True)
        if spent:
            unused.filter(page=1).update(erase_due_at=at, erased_at=at, size=0)
        unused.delete()
        shred(rows, at)
    _erase_strays([row for row in files if row.wrapped_key])


def _erase_strays(stored: Sequence[DocumentFile]) -> None:
    """Erase what has no row any more: a sweep that was faster than a slow upload took it, and found no file yet."""
    known = set(DocumentFile.objects.filter(pk__in=[row.pk for row in stored]).values_list("pk", flat=True))
    for row in stored:
        if row.pk not in known:
            vault.erase(row.name)


def shred(rows: QuerySet[DocumentFile], at: datetime) -> int:
    """Forget the keys of files, and have the files erased; called inside a transaction."""
    return rows.kept().update(wrapped_key=None, kid="", erase_due_at=at)  # type: ignore[attr-defined,no-any-return]


def erase_due(at: datetime, *, limit: int = BATCH, patient: bool = True) -> int:
    """Erase what is due, oldest first; return how many files are gone. One that fails is tried again, and told.

    Who is not ``patient`` stops at the first refusal: of a storage that is down each file costs a timeout. One that is
    not there costs none, and must not keep those behind it.
    """
    abandoned = DocumentFile.objects.abandoned(at)
    with transaction.atomic():
        DocumentFile.objects.spent(at).delete()
        abandoned.filter(wrapped_key__isnull=True).delete()
        shred(abandoned, at)
    return _erase_each(_free(DocumentFile.objects.due(at).order_by("erase_due_at"), limit), patient=patient)


def erase_of(participant: Participant) -> int:
    """Erase what is to be erased of one participant, now; return how many files are gone."""
    rows = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True, erase_due_at__isnull=False)
    return _erase_each(_free(rows.order_by("pk"), rows.count()), patient=True)


class _Outcome(Enum):
    """What became of one try to erase a file."""

    GONE = auto()
    NOT_FOUND = auto()
    REFUSED = auto()


def _erase_each(rows: Iterable[DocumentFile], *, patient: bool) -> int:
    gone = 0
    for row in rows:
        outcome = _erase(row)
        gone += outcome is _Outcome.GONE
        if outcome is _Outcome.REFUSED and not patient:
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


def _erase(row: DocumentFile) -> _Outcome:
    try:
        was_there = vault.erase(row.name)
    except StorageUnavailable:
        _postpone(row, _Outcome.REFUSED)
        return _Outcome.REFUSED
    if not was_there and row.document_id is not None and row.erase_tries < TRIES_TO_FIND:
        _postpone(row, _Outcome.NOT_FOUND)
        return _Outcome.NOT_FOUND
    _note_erased(row)
    return _Outcome.GONE


def _postpone(row: DocumentFile, outcome: _Outcome) -> None:
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
        # Of a file that is not there the next looks make one that is erased: nobody is called for that.
        if tries >= TRIES_BEFORE_ALERT and outcome is _Outcome.REFUSED:
            after_commit(alerts.sound, Alert.DOCUMENT_NOT_ERASED, file=row.pk)
    what = "was not erased by the storage" if outcome is _Outcome.REFUSED else "was not there"
    logger.warning("file %s %s (try %d); it will be tried again", row.pk, what, tries)


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
