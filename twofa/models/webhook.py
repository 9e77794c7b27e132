"""Webhooks: what one endpoint is told of one change. The row is the outbox, and the log of what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from twofa.models import writes
from twofa.models.campaign import Campaign
from twofa.models.event import Event
from twofa.models.ids import uuid7
from twofa.models.statements import Result, Statement, quote
from twofa.models.states import StateMachine
from twofa.models.storefront import Storefront
from twofa.models.webhook_endpoint import PING, WEBHOOKS, WebhookEndpoint

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class WebhookReason(models.TextChoices):
    """Why a webhook was not accepted: words of ours, never the endpoint's, which may be anything."""

    ADDRESS_REFUSED = "address_refused", _("the URL leads to an address that webhooks may not go to")
    CONNECTION = "connection", _("no connection, or a name that nobody knows")
    TIMEOUT = "timeout", _("no answer within 10 seconds")
    TLS = "tls", _("no secure connection: the certificate is not valid for this name")
    REDIRECTED = "redirected", _("it answered with a redirect, which is not followed")
    REFUSED = "refused", _("it refused the webhook (4xx)")
    BUSY = "busy", _("it is busy (429)")
    BROKEN = "broken", _("it failed (5xx)")
    GONE = "gone", _("it is gone for good (410)")
    KEY_MISSING = "key_missing", _("the key of its secret is not in the ring any more: rotate the secret")
    LEASE_LOST = "lease_lost", _("the worker stopped while sending, each time")
    ENDPOINT_DISABLED = "endpoint_disabled", _("the endpoint was disabled")
    ENDPOINT_OFF = "endpoint_off", _("staff switched the endpoint, or its storefront, off")


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def due(self, at: datetime) -> Self:
        """Rows that a worker may take at ``at``: queued and due, or left behind by a worker that lost its lease."""
        queued = Q(status=Webhook.Status.QUEUED, due_at__lte=at)
        abandoned = Q(status=Webhook.Status.SENDING, leased_until__lte=at)
        return self.filter(queued | abandoned)

    def claim(self, pk: int, *, at: datetime, lease: timedelta) -> Webhook | None:
        """Take one due row for ``lease`` and return it, or None where another worker was first."""
        taken = (
            self.due(at)
            .filter(pk=pk)
            .update(status=Webhook.Status.SENDING, leased_until=at + lease, tries=F("tries") + 1)
        )
        return self.get(pk=pk) if taken else None


class Webhook(StateMachine):
    """One change, as it is told to one endpoint: ids, states and reasons."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("accepted")
        FAILED = "failed", _("failed")

    MACHINES = {
        "status": {
            Status.QUEUED: frozenset({Status.SENDING, Status.FAILED}),
            Status.SENDING: frozenset({Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED}),
            # By staff, who send it again.
            Status.SENT: frozenset({Status.QUEUED}),
            Status.FAILED: frozenset({Status.QUEUED}),
        }
    }
    OPEN = (Status.QUEUED, Status.SENDING)

    endpoint = models.ForeignKey(
        WebhookEndpoint, models.CASCADE, db_index=False, related_name="webhooks", verbose_name=_("endpoint")
    )
    # One for all endpoints that are told of the same change, and for each time that one is told: "webhook-id".
    message_id = models.UUIDField(_("message id"), default=uuid7, editable=False)
    type = models.CharField(_("type"), max_length=64)
    subject = models.CharField(_("about"), max_length=20)
    subject_id = models.CharField(_("id"), max_length=64)
    version = models.BigIntegerField(_("version"))
    data = models.JSONField(_("data"), default=dict)
    test = models.BooleanField(_("test"), default=False)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(_("reason"), max_length=20, choices=WebhookReason.choices, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    due_at = models.DateTimeField(_("due at"))
    leased_until = models.DateTimeField(_("leased until"), null=True)
    last_status = models.PositiveSmallIntegerField(_("last status of HTTP"), null=True)
    correlation_id = models.CharField(_("correlation id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    sent_at = models.DateTimeField(_("sent at"), null=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("-id",)
        permissions = [("replay_webhook", _("Can send webhooks again"))]
        indexes = [
            models.Index(
                fields=("endpoint", "due_at"), condition=Q(status__in=("queued", "sending")), name="twofa_webhook_due"
            ),
            models.Index(fields=("endpoint", "id"), name="twofa_webhook_endpoint"),
            # By the id of a redemption, a challenge, a device: "was the shop told?"
            models.Index(fields=("subject_id",), name="twofa_webhook_subject"),
            models.Index(fields=("status", "id"), condition=~Q(status="sent"), name="twofa_webhook_unsent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=("message_id", "endpoint"), name="twofa_webhook_message"),
            models.CheckConstraint(
                condition=~Q(status="sending") | Q(leased_until__isnull=False), name="twofa_webhook_lease"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type_label} {self.webhook_id}"

    @property
    def webhook_id(self) -> str:
        """Return the id that the endpoint sees, the same on each try and each replay."""
        return f"msg_{self.message_id}"

    @property
    def type_label(self) -> StrOrPromise:
        """Return what staff call it."""
        return _("Test") if self.type == PING else WEBHOOKS.get(self.type, self.type)

    def body(self) -> str:
        """Return what is posted: the same text on each try."""
        told = {"type": self.type, "timestamp": self.created_at.isoformat(), "test": self.test, "data": self.data}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def record(
    events: Sequence[writes.Record], webhooks: Sequence[Mapping[str, Any]], then: Callable[[Collection[UUID]], None]
) -> None:
    """Store events, and with them what endpoints are told: ``then`` is given the endpoints that have something to send.

    A webhook here is for the storefront of ``storefront_id``, or for all that serve the campaign of ``campaign_id``.
    On PostgreSQL it is all one statement: the hot path has none to spare, and whoever has no endpoint pays next to
    nothing. An endpoint that the machine has disabled gets a dead letter, which staff can see and send again.
    """
    if not webhooks:
        writes.record(Event, events)
        return
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        shared = any(webhook["storefront_id"] is None for webhook in webhooks)
        statement = Statement(_fan_out(shared), [writes.encode(webhooks)])

        def keep(result: Result) -> None:
            then({endpoint for endpoint, status in result.rows if status == Webhook.Status.QUEUED})

        writes.record(Event, events, beside=statement, then=keep)
        return
    writes.record(Event, events)
    rows = [row for webhook in webhooks for row in _rows(webhook)]
    if rows:
        writes.record(Webhook, rows)
        then({row["endpoint_id"] for row in rows if row["status"] == Webhook.Status.QUEUED})


def _rows(webhook: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {"storefront_id": webhook["storefront_id"], "campaign_id": webhook["campaign_id"]}
    endpoints = [e for e in WebhookEndpoint.objects.told(**known) if e.hears(webhook["type"])]
    test = webhook["test"]
    if endpoints and test is None:
        test = Campaign.objects.filter(pk=webhook["campaign_id"], test=True).exists()
    copied = {name: webhook[name] for name in _COPIED}
    at = {"created_at": webhook["at"], "due_at": webhook["at"]}
    return [{**copied, **at, "test": test, "tries": 0, "endpoint_id": e.pk, **_first_state(e)} for e in endpoints]


def _first_state(endpoint: WebhookEndpoint) -> dict[str, str]:
    if endpoint.disabled_at is None:
        return {"status": Webhook.Status.QUEUED, "reason": ""}
    return {"status": Webhook.Status.FAILED, "reason": WebhookReason.ENDPOINT_DISABLED}


_COPIED = ("message_id", "type", "subject", "subject_id", "version", "data", "correlation_id")


@lru_cache(maxsize=2)
def _fan_out(shared: bool) -> str:
    """Return the INSERT of one row for each webhook and each endpoint that hears it.

    ``shared`` where one of them is for all who serve a campaign: the hot path's are not, and are planned in less time.
    """
    known: dict[str, Any] = {
        "webhook": Webhook,
        "endpoint": WebhookEndpoint,
        "campaign": Campaign,
        "served": Storefront.campaigns.through,
    }
    whose = f"({_OWN} OR {_SHARED})" if shared else _OWN
    return f"{_FAN_OUT}{whose}{_RETURNING}".format(
        **{name: quote(model._meta.db_table) for name, model in known.items()}
    )


_FAN_OUT = """INSERT INTO {webhook} (
    endpoint_id, message_id, type, subject, subject_id, version, data, correlation_id, created_at, due_at, tries, test,
    status, reason
) SELECT endpoint.id, told.message_id, told.type, told.subject, told.subject_id, told.version, told.data,
    told.correlation_id, told.at, told.at, 0,
    COALESCE(told.test, (SELECT campaign.test FROM {campaign} AS campaign WHERE campaign.id = told.campaign_id), false),
    CASE WHEN endpoint.disabled_at IS NULL THEN 'queued' ELSE 'failed' END,
    CASE WHEN endpoint.disabled_at IS NULL THEN '' ELSE 'endpoint_disabled' END
FROM json_to_recordset(%s) AS told(
    storefront_id bigint, campaign_id bigint, message_id uuid, type text, subject text, subject_id text, version bigint,
    data jsonb, test boolean, at timestamptz, correlation_id text
) JOIN {endpoint} AS endpoint ON endpoint.is_active
    AND (endpoint.events = '[]'::jsonb OR endpoint.events ?| ARRAY[told.type, split_part(told.type, '.', 1)])
    AND """
_OWN = "endpoint.storefront_id = told.storefront_id"
_SHARED = """told.storefront_id IS NULL AND endpoint.storefront_id IN (
        SELECT served.storefront_id FROM {served} AS served WHERE served.campaign_id = told.campaign_id
    )"""
_RETURNING = " RETURNING endpoint_id, status"
