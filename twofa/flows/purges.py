"""The purge: what is kept longer than its purpose needs is erased, once a day (LGPD Art. 15 and 16).

Each step takes chunks, each in a transaction of its own, so that it may be broken off anywhere and run again: what is
done is no longer due. Two at once do nothing twice. A step that fails keeps no other from its work, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Model, Q, QuerySet

from twofa import alerts, correlation
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import KeyMissing
from twofa.flows import abandoned_devices, cases, document_files, document_numbers, idempotency, redactions, webhooks
from twofa.models import Challenge, Delivery, DocumentFile
from twofa.models.clock import now
from twofa.models.purpose import DIGESTS_OF_ORDERS

logger = correlation.get_logger(__name__)

BATCH = 500

NOTHING_SAID = {"transaction_digest": b"", "description": ""}

Progress = Callable[[str, int], object]


@dataclass
class Purged:
    """What one run did: how many rows each step took, which steps failed, and what the storage did not erase."""

    counts: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    keys_missing: list[str] = field(default_factory=list)
    """Ids of keys without which a step could not be done; the step is among the failed ones."""
    overdue: int = 0

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing failed and nothing is left that should be gone."""
        return not self.failed and not self.overdue


def due() -> dict[str, int]:
    """Return how many rows each step would take now; change nothing."""
    at = now()
    return {name: step.due(at).count() for name, step in STEPS.items()}


def overdue() -> int:
    """Return how many files the storage did not erase when it was asked to: they wait for the next try."""
    return DocumentFile.objects.overdue().count()


def purge(progress: Progress = lambda _name, _count: None) -> Purged:
    """Erase what is due; ``progress`` is called after each chunk with the step and how many rows it has taken."""
    with correlation.bound(correlation.current() or correlation.accept(None)):
        purged, at = Purged(), now()
        for name, step in STEPS.items():
            _run(name, step, at, purged, progress)
        purged.overdue = overdue()
    if any(purged.counts.values()):
        logger.info("purged: %s", purged.counts)
    return purged


def _run(name: str, step: Step, at: datetime, purged: Purged, progress: Progress) -> None:
    purged.counts[name] = 0
    try:
        for count in step.take(at):
            purged.counts[name] += count
            progress(name, purged.counts[name])
    except KeyMissing as missing:
        logger.error("the purge of %s needs the key %s, which is not in the ring", name, missing.kid)
        alerts.sound(Alert.PURGE_FAILED, step=name, reason=missing.code)
        purged.failed.append(name)
        purged.keys_missing.append(missing.kid)
    except Exception:  # what one step stumbles over must not keep the others
        logger.exception("the purge of %s failed", name)
        alerts.sound(Alert.PURGE_FAILED, step=name)
        purged.failed.append(name)


def _documents(at: datetime) -> Iterator[int]:
    while count := document_files.purge(at):
        yield count


def _files_due(at: datetime) -> QuerySet[DocumentFile]:
    return DocumentFile.objects.due(at) | DocumentFile.objects.abandoned(at)


def _files(_at: datetime) -> Iterator[int]:
    # Read anew, because the step before has just made files due. A file is put off when it is taken, and further where
    # the storage fails, so each is tried once here.
    at = now()
    while _files_due(at).exists():
        yield document_files.erase_due(at)


def _idempotency(at: datetime) -> Iterator[int]:
    while count := idempotency.purge(at):
        yield count


def _messages_due(at: datetime) -> QuerySet[Delivery]:
    ended = Delivery.objects.exclude(status__in=Delivery.OPEN).exclude(address="")
    return ended.filter(created_at__lte=at - conf.retention["contacts"])


def _messages(at: datetime) -> Iterator[int]:
    return _chunks(_messages_due(at), address="", destination="", prefix="", context={}, early_report=None)


def _challenges_due(at: datetime) -> QuerySet[Challenge]:
    ended = Challenge.objects.exclude(status=Challenge.Status.PENDING).exclude(address="")
    return ended.filter(ended_at__lte=at - conf.retention["contacts"])


def _challenges(at: datetime) -> Iterator[int]:
    for purposes, changes in (
        (Q(purpose__in=DIGESTS_OF_ORDERS), {}),
        (~Q(purpose__in=DIGESTS_OF_ORDERS), NOTHING_SAID),
    ):
        yield from _chunks(_challenges_due(at).filter(purposes), address="", destination="", **changes)


def _notes(at: datetime) -> Iterator[int]:
    return _chunks(cases.noted_before(at), note="")


def _chunks(rows: QuerySet[Model], **changes: object) -> Iterator[int]:
    """Change rows in the order of their keys, a chunk at a time; one that is no longer due is left alone."""
    seen = None
    while True:
        rest = rows if seen is None else rows.filter(pk__gt=seen)
        chunk = list(rest.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not chunk:
            return
        yield rows.filter(pk__in=chunk).update(**changes)
        seen = chunk[-1]


@dataclass(frozen=True)
class Step:
    """One kind of data: what is due of it, and taking it chunk by chunk."""

    due: Callable[[datetime], QuerySet[Model]]
    take: Callable[[datetime], Iterator[int]]


STEPS: dict[str, Step] = {
    "documents": Step(document_files.outdated, _documents),
    "files": Step(_files_due, _files),
    "devices": Step(abandoned_devices.outdated, abandoned_devices.purge),
    "authenticators": Step(abandoned_devices.outdated_apps, abandoned_devices.purge_apps),
    "messages": Step(_messages_due, _messages),
    "challenges": Step(_challenges_due, _challenges),
    # Nothing is erased by it: like the others, it is what a daily run has to put right.
    "document_numbers": Step(document_numbers.outdated, document_numbers.renew),
    "cases": Step(cases.noted_before, _notes),
    "idempotency_records": Step(idempotency.outdated, _idempotency),
    "webhooks": Step(webhooks.outdated, webhooks.purge),
    "events": Step(redactions.outdated, redactions.purge),
}
