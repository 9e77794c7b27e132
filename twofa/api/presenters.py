"""Rows as answers: plain functions that name each member, so that nothing is shown by accident.

Functions and not output serializers: a redemption has thirty members, and they are written on every request.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils.text import capfirst

from twofa.api import links, shapes
from twofa.api.languages import tag_of
from twofa.api.pagination import Page
from twofa.exceptions import RedemptionRefused
from twofa.flows import completions, next_actions
from twofa.flows.onboarding import REJECTED, Step
from twofa.models import (
    Campaign,
    Challenge,
    Device,
    Failure,
    IdentityDocument,
    Participant,
    Purpose,
    Redemption,
    RedemptionBatch,
    Storefront,
)


def moment(at: datetime) -> str:
    """Return a time in RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def optional_moment(at: datetime | None) -> str | None:
    """Return a time as :func:`moment` does, or None."""
    return None if at is None else moment(at)


def points(amount: Decimal) -> str:
    """Return an amount with its two decimals."""
    return f"{amount:.2f}"


def next_action(action: next_actions.NextAction, where: links.Links) -> shapes.NextAction:
    """Return what to do next, with the path at which to do it."""
    shown: shapes.NextAction = {"type": action.type}
    path = where.path(action.type)
    if path is not None:
        shown["path"] = path
    if action.available_at is not None:
        shown["available_at"] = moment(action.available_at)
    if action.poll_after is not None:
        shown["poll_after"] = action.poll_after
    return shown


def campaign(row: Campaign, storefront: Storefront) -> shapes.Campaign:
    """Return a campaign as it holds for a storefront that serves it."""
    return {
        "slug": row.slug,
        "name": row.name,
        "unit": row.unit,
        "test": row.test,
        "two_factor": {
            "mode": row.two_factor_mode,
            "threshold": None if row.threshold is None else points(row.threshold),
            "approver_threshold": None if row.approver_threshold is None else points(row.approver_threshold),
            "channels": row.allowed_channels,
            "token_length": row.token_length,
            "token_alphabet": row.token_alphabet,
            "max_attempts": row.max_attempts,
        },
        "completion_mode": completions.mode(row, storefront),
        "schedule_max_ahead": int(row.schedule_max_ahead.total_seconds()),
        "identity_required": row.identity_required,
        "required_documents": row.required_documents,
    }


def participant(row: Participant, *, onboarding: str) -> shapes.Participant:
    """Return a participant; ``row.campaign`` is loaded."""
    return {
        "campaign": row.campaign.slug,
        "external_id": row.external_id,
        "name": row.name,
        "locale": tag_of(row.locale) if row.locale else None,
        "two_factor_method": row.two_factor_method,
        "onboarding": onboarding,
        "created_at": moment(row.created_at),
    }


def document(row: IdentityDocument) -> shapes.Document:
    """Return an identity document. One that was replaced is as good as gone: its key is, and its file follows."""
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "side": row.side,
        "status": IdentityDocument.Status.PURGED.value if row.replaced_at is not None else row.status,
        "decision": row.decision or None,
        "reason": row.reason or None,
        "comment": row.comment or None,
        "created_at": moment(row.created_at),
        "decided_at": optional_moment(row.decided_at),
    }


def step(row: Step) -> shapes.Step:
    """Return a line of the checklist."""
    refused = row.document if row.status == REJECTED else None
    return {
        "requirement": row.requirement,
        "status": row.status,
        "reason": None if refused is None else refused.reason,
        "comment": None if refused is None else refused.comment or None,
        "may_retry": row.may_retry,
        "document": None if row.document is None else str(row.document.pk),
    }


def challenge(row: Challenge) -> shapes.Challenge:
    """Return a challenge; its delivery is loaded."""
    return {
        "id": str(row.pk),
        "purpose": row.purpose,
        "status": row.status,
        "channel": row.channel,
        "destination": row.destination,
        "token_length": row.token_length,
        "token_sequence": row.generation,
        "attempts_remaining": row.attempts_remaining,
        "resends_remaining": row.resends_remaining,
        "issued_at": moment(row.issued_at),
        "expires_at": optional_moment(row.expires_at),
        "deadline": moment(row.deadline),
        "resend_available_at": moment(row.resend_available_at),
        "delivery": None if row.is_unbound else {"status": row.delivery_status, "reason": row.delivery_reason or None},
    }


def device(row: Device, waiting: Challenge | None) -> shapes.Device:
    """Return a device; ``waiting`` is the open challenge about it, with the time of its reading, or None."""
    shown = None if waiting is None else challenge(waiting)
    is_own = waiting is None or waiting.action == Challenge.Action.VERIFY
    return {
        "id": str(row.uuid),
        "channel": row.channel,
        "destination": row.destination,
        "name": row.name,
        "status": row.status,
        "is_default": row.is_default,
        "usable_from": optional_moment(row.usable_from),
        "held": row.is_held,
        "challenge": shown if is_own else None,
        "authorization": None if is_own else shown,
        "next_action": next_action(_next_of_device(row, waiting), links.of_device(row.uuid)),
    }


def _next_of_device(row: Device, waiting: Challenge | None) -> next_actions.NextAction:
    if row.is_held:
        return next_actions.HELD
    if waiting is None:
        pending = row.status == Device.Status.PENDING
        return next_actions.NextAction("resend_token") if pending else next_actions.NONE
    return next_of_challenge(waiting)


def next_of_challenge(row: Challenge) -> next_actions.NextAction:
    """Return what to do about a challenge, as it was read: one on a device lets a change of another one happen."""
    action = next_actions.of_challenge(row, row.read_at)
    authorizes = row.purpose == Purpose.DEVICE and row.action != Challenge.Action.VERIFY
    return next_actions.NextAction("authorize_device") if authorizes and action is next_actions.CONFIRM else action


def redemption(row: Redemption) -> shapes.Redemption:
    """Return a redemption; ``campaign``, ``participant`` and, where required, ``challenge`` are loaded."""
    slug, external_id = row.campaign.slug, row.participant.external_id
    where = links.of_redemption(row.pk, campaign=slug, participant=external_id, batch=row.batch_id)
    return {
        "id": str(row.pk),
        "campaign": slug,
        "participant": external_id,
        "order_id": row.order_id,
        "status": row.status,
        "test": row.test,
        "amount": points(row.amount),
        "unit": row.unit,
        "description": row.description,
        "items": row.items,
        "batch": None if row.batch_id is None else str(row.batch_id),
        "approver": None if row.approver is None else {"participant": row.approver.external_id},
        "scheduled_for": optional_moment(row.scheduled_for),
        "two_factor": _two_factor(row, row.deciding_challenge),
        "next_action": next_action(next_actions.of_redemption(row), where),
        "failure": _failure(row.failure_code, row.failure_detail),
        "correlation_id": row.correlation_id,
        "created_at": moment(row.created_at),
        "completed_at": optional_moment(row.completed_at),
    }


def batch(row: RedemptionBatch) -> shapes.RedemptionBatch:
    """Return a batch with its lines; it is as ``flows.batches`` reads it."""
    slug, external_id = row.campaign.slug, row.participant.external_id
    asked = row.challenge if row.two_factor_required else None
    where = links.of_batch(row.pk, campaign=slug, participant=external_id)
    return {
        "id": str(row.pk),
        "campaign": slug,
        "request_id": row.request_id,
        "participant": external_id,
        "approver": None if row.approver is None else {"participant": row.approver.external_id},
        "status": row.status,
        "test": row.test,
        "count": row.count,
        "total": points(row.total),
        "unit": row.unit,
        "digest": None if asked is None else asked.short_digest,
        "two_factor": _two_factor(row, asked),
        "redemptions": [redemption(line) for line in row.lines],
        "next_action": next_action(next_actions.of_batch(row), where),
        "failure": _failure(row.failure_code),
        "correlation_id": row.correlation_id,
        "created_at": moment(row.created_at),
        "completed_at": optional_moment(row.completed_at),
    }


def _two_factor(row: Redemption | RedemptionBatch, asked: Challenge | None) -> shapes.TwoFactor:
    return {
        "required": row.two_factor_required,
        "reason": row.two_factor_reason,
        "challenge": None if asked is None else challenge(asked),
    }


def _failure(code: str, detail: str = "") -> shapes.Failure | None:
    if not code:
        return None
    if code in Failure:
        detail = detail or f"{capfirst(str(Failure(code).label))}."
    return {"code": code, "detail": detail or str(RedemptionRefused.default_detail)}


def page(results: Iterable[Any], of: Page[Any]) -> dict[str, Any]:
    """Return a page of a list."""
    return {"results": list(results), "next": of.next, "previous": of.previous}
