"""Writing the audit trail: events gathered in a transaction, stored with it and its webhooks, signalled after it."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import models
from django.dispatch import Signal

from twofa import alerts, correlation, signals
from twofa.alerts import Alert
from twofa.flows.announcing import Announcements
from twofa.flows.transactions import after_commit
from twofa.models import (
    ActorKind,
    Approver,
    Authenticator,
    Campaign,
    Case,
    Challenge,
    Delivery,
    Device,
    IdentityDocument,
    Participant,
    PolicyChange,
    PrefixPause,
    Redemption,
    RedemptionBatch,
    SafeNumber,
    Storefront,
    WebhookEndpoint,
)

SIGNALS: dict[str, Signal] = {
    "redemption.pending": signals.redemption_opened,
    "redemption.exempted": signals.redemption_opened,
    "redemption.approved": signals.redemption_approved,
    "redemption.scheduled": signals.redemption_scheduled,
    "redemption.completed": signals.redemption_completed,
    "redemption.failed": signals.redemption_failed,
    "redemption.rejected": signals.redemption_rejected,
    "redemption.expired": signals.redemption_expired,
    "redemption.cancelled": signals.redemption_cancelled,
    "redemption.tampered": signals.transaction_tampered,
    "redemption.parked": signals.completion_parked,
    "batch.pending": signals.batch_opened,
    "batch.exempted": signals.batch_opened,
    "batch.approved": signals.batch_approved,
    "batch.completed": signals.batch_completed,
    "batch.partly_completed": signals.batch_partly_completed,
    "batch.failed": signals.batch_failed,
    "batch.rejected": signals.batch_rejected,
    "batch.expired": signals.batch_expired,
    "batch.cancelled": signals.batch_cancelled,
    "batch.tampered": signals.batch_tampered,
    "campaign.change_proposed": signals.policy_change_proposed,
    "campaign.change_approved": signals.policy_change_decided,
    "campaign.change_rejected": signals.policy_change_decided,
    "campaign.change_withdrawn": signals.policy_change_decided,
    "campaign.change_expired": signals.policy_change_decided,
    "challenge.issued": signals.challenge_issued,
    "challenge.approved": signals.challenge_approved,
    "challenge.rejected": signals.challenge_rejected,
    "challenge.expired": signals.challenge_expired,
    "challenge.cancelled": signals.challenge_cancelled,
    "delivery.sent": signals.delivery_sent,
    "delivery.delivered": signals.delivery_delivered,
    "delivery.failed": signals.delivery_failed,
    "device.activated": signals.device_activated,
    "device.revoked": signals.device_revoked,
    "case.opened": signals.case_opened,
    "document.submitted": signals.document_submitted,
    "document.approved": signals.document_approved,
    "document.rejected": signals.document_rejected,
    "document.expired": signals.document_expired,
    "participant.onboarded": signals.participant_onboarded,
    "participant.erased": signals.participant_erased,
    "webhook_endpoint.disabled": signals.webhook_endpoint_disabled,
}
ALERTS: dict[str, Alert] = {
    "batch.tampered": Alert.TRANSACTION_TAMPERED,
    "redemption.tampered": Alert.TRANSACTION_TAMPERED,
    "campaign.self_approval_refused": Alert.FOUR_EYES_BYPASS,
    "campaign.password_refused": Alert.STAFF_PASSWORD_REFUSED,
    "document.self_review_refused": Alert.FOUR_EYES_BYPASS,
    "document.duplicate_found": Alert.DOCUMENT_REUSED,
    "device.contact_refused": Alert.CONTACT_REFUSED,
    "webhook_endpoint.disabled": Alert.WEBHOOK_ENDPOINT_DISABLED,
    "case.opened": Alert.REPORTED_NOT_ME,
    "prefix.paused": Alert.PREFIX_PAUSED,
}
"""Events that alert somebody once they are committed."""
_SUBJECTS: dict[type[models.Model], str] = {
    Storefront: "storefront",
    Campaign: "campaign",
    Participant: "participant",
    Device: "device",
    Redemption: "redemption",
    # No column of an event: its participant and its challenge are what the event is found by, its id is in the data.
    RedemptionBatch: "batch",
    Challenge: "challenge",
    Delivery: "delivery",
    # No column of an event: its campaign is what the event is found by, and the number is in its data.
    PolicyChange: "policy_change",
    # (the same)
    IdentityDocument: "document",
    # (the same; its participant, who is told of it first, is the requester)
    Approver: "approver",
    # (the same)
    Authenticator: "authenticator",
    # (the same, its storefront)
    WebhookEndpoint: "webhook_endpoint",
    # (the same)
    Case: "case",
    # (the same, but for a number)
    PrefixPause: "prefix_pause",
    SafeNumber: "safe_number",
}


@dataclass(frozen=True)
class Actor:
    """Who did it: for the audit trail, never for a permission."""

    kind: ActorKind
    label: str = ""

    @classmethod
    def storefront(cls, storefront: Storefront) -> Actor:
        """Return the actor of an API call."""
        return cls(ActorKind.STOREFRONT, storefront.name)

    @classmethod
    def participant(cls, participant: Participant) -> Actor:
        """Return the actor of what a participant does, without a storefront in between."""
        return cls(ActorKind.PARTICIPANT, participant.external_id)

    @classmethod
    def staff(cls, user: Any) -> Actor:
        """Return the actor of an admin page."""
        return cls(ActorKind.STAFF, user.get_username())

    @classmethod
    def operator(cls) -> Actor:
        """Return the actor of a command: staff at a shell, by the name that the system gives them.

        A container may run as a number that no passwd file has a name for. Then the number stands for it.
        """
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # Python raises the first until 3.12, the second since
            name = f"uid {os.getuid()}"
        return cls(ActorKind.STAFF, f"{name} (command line)")


WORKER = Actor(ActorKind.WORKER)


@dataclass
class Trail:
    """The events of one transaction, stored by :meth:`write` in one statement, at its end."""

    actor: Actor
    at: datetime
    _events: list[dict[str, Any]] = field(default_factory=list)
    _told: list[tuple[Signal, dict[str, models.Model]]] = field(default_factory=list)
    _alerts: list[tuple[Alert, dict[str, Any]]] = field(default_factory=list)
    _announcements: Announcements = field(default_factory=Announcements)

    def add(self, type_: str, *about: models.Model, **data: Any) -> None:
        """Note what happened to the rows ``about``; the first one is what the signal carries."""
        event = {
            "type": type_,
            "created_at": self.at,
            "actor_kind": self.actor.kind,
            "actor": self.actor.label,
            "correlation_id": correlation.current(),
            "data": data,
        }
        for row in about:
            _refer(event, row)
        self._events.append(event)
        if about:
            self._announcements.note(event, about[0])
        if type_ in SIGNALS:
            self._told.append((SIGNALS[type_], {_SUBJECTS[type(about[0])]: about[0]}))
        if type_ in ALERTS:
            self._alerts.append((ALERTS[type_], {name: event.get(f"{name}_id") for name in _SUBJECTS.values()}))

    def carry(self, **rows: models.Model) -> None:
        """Let the signal of the event that was noted last carry more rows."""
        self._told[-1][1].update(rows)

    def by(self, actor: Actor) -> Trail:
        """Return this trail for what somebody else did in the same transaction: :meth:`write` stores all in its order.

        The lists are shared, so that it costs no statement of its own.
        """
        return replace(self, actor=actor)

    def write(self) -> None:
        """Store the events, and what storefronts are told of them, with the transaction; send signals after it."""
        if self._events:
            self._announcements.record(self._events)
        for signal, payload in self._told:
            if signal.receivers:
                after_commit(_tell, signal, payload)
        for alert, ids in self._alerts:
            after_commit(alerts.sound, alert, **ids)
        for written in (self._events, self._told, self._alerts):
            # Emptied and not replaced: those of :meth:`by` hold the same lists.
            written.clear()


def explained(reason: str) -> dict[str, str]:
    """Return what an event says of why it was done: nothing where nobody was asked for a reason."""
    return {"reason": reason} if reason else {}


def _refer(event: dict[str, Any], row: models.Model) -> None:
    """Point the event at ``row``, and at what the row itself belongs to."""
    event[f"{_SUBJECTS[type(row)]}_id"] = row.pk
    for inherited in ("storefront_id", "campaign_id", "participant_id", "redemption_id", "challenge_id"):
        value = getattr(row, inherited, None)
        if value is not None and event.get(inherited) is None:
            event[inherited] = value


def _tell(signal: Signal, payload: dict[str, models.Model]) -> None:
    # Django tells a receiver that fails in its log, with its traceback.
    signal.send_robust(sender=type(next(iter(payload.values()))), **payload)
