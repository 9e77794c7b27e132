"""Receipts: what providers report of the messages that they took. A receipt never changes a challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from twofa import alerts, channels, correlation
from twofa.alerts import Alert
from twofa.channels import Callback, Report
from twofa.exceptions import NotFound, ReceiptRefused
from twofa.flows import outbox
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import retried_once
from twofa.models import ActorKind, Delivery
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

Status = Delivery.Status
_VERDICTS = (Status.DELIVERED, Status.FAILED)
_MAX_ID, _MAX_REASON = 200, 64


@dataclass(frozen=True)
class Reported:
    """What is kept of a report: its verdict, whose it is, and which of the provider's messages it speaks of."""

    status: str
    reason: str
    provider: str
    provider_message_id: str

    @classmethod
    def of(cls, report: Report, provider: str) -> Reported:
        """Return a report as it may be stored: a channel is anybody's code."""
        reason = _plain(report.reason)[:_MAX_REASON] if report.status == Status.FAILED else ""
        return cls(report.status, reason, provider, _plain(report.provider_message_id)[:_MAX_ID])

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def speaks_of(self, row: Delivery) -> bool:
        """Tell whether the verdict is one on this delivery.

        Where an answer was lost, the message was sent again, perhaps by another provider, and has several ids, of which
        the row knows the last. "Delivered" of any of them is true of the delivery: all are one text to one contact.
        "Failed" is the verdict on one attempt, and the one that the row knows may still arrive. A report without an id
        does not say which attempt it means, so it counts only where there was but one.
        """
        if self.status == Status.DELIVERED:
            return True
        if row.provider != self.provider:
            return False
        known = row.provider_message_id
        return not known or known == self.provider_message_id or (not self.provider_message_id and row.tries == 1)


def _plain(text: str) -> str:
    """Return a text without what no database takes: a NUL, or half a character."""
    return text.replace("\0", "").encode(errors="replace").decode()


def receive(alias: str, callback: Callback) -> None:
    """Take a delivery receipt: its channel checks the signature and reads it, the delivery is moved.

    Doubled receipts, those of the order before and those of messages that are past, change nothing. One that comes
    before we have recorded that the provider took the message is kept until then.
    Raises: NotFound where the channel takes none, or the message is not known (yet); ReceiptRefused; ReceiptUnreadable.
    """
    try:
        report = _read(alias, callback)
    except ReceiptRefused:
        # Somebody tries to forge them, or a secret is not the one that the provider has: both are to be looked after.
        # Nobody needs a key to come this far: the names are those of our settings, so that what is said once for each
        # of them is bounded, however many are forged.
        alerts.sound(Alert.RECEIPT_REFUSED, channel=alias, provider=callback.provider or None)
        raise
    if report.status in _VERDICTS:
        _record(alias, Reported.of(report, callback.provider), report.reference)


def _read(alias: str, callback: Callback) -> Report:
    """Raises: NotFound, ReceiptRefused, ReceiptUnreadable."""
    if not channels.is_configured(alias):
        raise NotFound
    channel = channels.get_channel(alias)
    reader = getattr(channel, "read_receipt", None)
    if reader is None or callback.provider not in getattr(channel, "providers", ("",)):
        raise NotFound
    report: Report = reader(callback)
    return report


@retried_once
def _record(alias: str, reported: Reported, reference: str) -> None:
    with transaction.atomic():
        row = _locked(alias, reported, reference)
        if row is None:
            raise NotFound
        if row.status in Delivery.OPEN:
            _keep(row, reported)
        elif row.status == Status.SENT and reported.speaks_of(row):
            trail = Trail(_reporter(row, reported), now())
            _move(row, reported, trail)
            trail.write()


def _locked(alias: str, reported: Reported, reference: str) -> Delivery | None:
    """Lock the delivery that a receipt speaks of, and nothing else: nothing else is changed.

    Of two equal receipts at once, the second one waits here and then finds the state that the first one wrote.
    """
    rows = Delivery.objects.select_for_update(no_key=True, of=("self",)).select_related("challenge")
    # Of this channel's alone: a provider of one channel has no say about the messages of another.
    rows = rows.filter(channel=alias)
    if reference:
        return rows.of_key(reference).first()
    if not reported.provider_message_id:
        # Nobody is named, and the empty id is that of every message whose provider gave it none.
        return None
    found = list(rows.filter(provider=reported.provider, provider_message_id=reported.provider_message_id)[:2])
    if len(found) > 1:
        logger.error("Several messages of channel %s have the same id of their provider.", alias)
    return found[0] if len(found) == 1 else None


def _keep(row: Delivery, reported: Reported) -> None:
    """Keep a report until the hand-off is recorded; "delivered" is not overwritten."""
    if row.early_report is None or row.early_report["status"] != Status.DELIVERED:
        row.change(early_report=reported.as_json())


def is_delivered(row: Delivery) -> bool:
    """Tell whether a message that nobody recorded as sent has arrived: the answer was lost, and not the message."""
    return row.early_report is not None and row.early_report["status"] == Status.DELIVERED


def apply_early(row: Delivery, trail: Trail) -> None:
    """Apply what was reported before the hand-off was recorded, now that it is. The row is locked."""
    if row.early_report is None:
        return
    reported = Reported(**row.early_report)
    if reported.speaks_of(row):
        _move(row, reported, trail.by(_reporter(row, reported)))


def _move(row: Delivery, reported: Reported, trail: Trail) -> None:
    delivered = reported.status == Status.DELIVERED
    changes: dict[str, Any] = {"delivered_at": trail.at} if delivered else {"reason": reported.reason}
    outbox.move(row, trail, Status(reported.status), early_report=None, **changes)


def _reporter(row: Delivery, reported: Reported) -> Actor:
    """Return whose word a report is: its provider's, also where a worker applies what came early."""
    return Actor(ActorKind.PROVIDER, reported.provider or row.channel)
