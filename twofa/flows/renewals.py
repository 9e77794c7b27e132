"""Renewing a token: refused before anything is rotated, so that a refusal never kills the token already in hand."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, cast

from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import NotActive, OnboardingIncomplete, ResendCooldown, ResendsExhausted
from twofa.flows import destinations, facts, fallbacks, issuing
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import NextAction
from twofa.models import Challenge, Delivery, Device, Participant, Purpose


@sensitive_variables()
def renew(challenge: Challenge, *, actor: Actor, channel: str | None = None, reason: str = "") -> datetime:
    """Rotate a pending, locked challenge and queue the new token; return the time. Called inside a transaction.

    A resend after a failed delivery skips the pause and is not counted: the participant never got what was sent.
    It stays within the budgets of sends.

    Raises: NotActive, ChannelUnavailable, DestinationNotAllowed, OnboardingIncomplete, ResendCooldown,
    ResendsExhausted, FailedAttemptsBudget, SendBudget.
    """
    standing = facts.standing(challenge)
    if not (standing.campaign_active and standing.participant_active):
        raise NotActive
    issuing.ensure_attempts_left(standing.failed_attempts, challenge.campaign, challenge.participant_id)
    undelivered = challenge.delivery_status in Delivery.UNDELIVERED
    if not undelivered:
        _ensure_timely(challenge, standing.at)
    contacts = _contacts(challenge, channel, standing.at)
    participant = cast(Participant, challenge.participant)
    contact, budgets = fallbacks.aim(contacts, participant=participant, campaign=challenge.campaign)
    issuing.ensure_sends(budgets, challenge.campaign, participant.pk)
    trail = Trail(actor, budgets.at)
    issuing.rotate(
        challenge,
        contact,
        at=budgets.at,
        trail=trail,
        cause="resent",
        counted=not undelivered,
        chosen=channel is not None,
        reason=reason,
    )
    trail.write()
    return budgets.at


def _ensure_timely(challenge: Challenge, at: datetime) -> None:
    if challenge.resends_remaining == 0:
        raise ResendsExhausted(None)
    ensure_paused(challenge, at)


def ensure_paused(challenge: Challenge, at: datetime) -> None:
    """Raise where its last message was sent a moment ago. Raises: ResendCooldown."""
    if at < challenge.resend_available_at:
        raise ResendCooldown(math.ceil((challenge.resend_available_at - at).total_seconds()))


def _contacts(challenge: Challenge, channel: str | None, at: datetime) -> list[Device]:
    """Return where the new token goes: the same contact while it may be used, or the one of the channel asked for.

    Where nobody chose the channel, those of the others follow, for when the first one is closed.
    """
    present = challenge.device
    if challenge.action == Challenge.Action.VERIFY:
        if present is None or present.status != Device.Status.PENDING:
            raise OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))
        destinations.ensure_allowed(challenge.campaign, present.channel, present.address)
        return [present]
    participant = cast(Participant, challenge.participant)
    devices, _read_at = destinations.devices_of(participant)
    if challenge.purpose == Purpose.DEVICE:
        authorizing = destinations.authorizing(
            devices,
            cast(Device, challenge.subject),
            campaign=challenge.campaign,
            at=at,
            allowed_channels=challenge.allowed_channels,
        )
        return [authorizing]
    stays = channel is None and present is not None and any(d.pk == present.pk and d.is_usable(at) for d in devices)
    policy: Any = {"campaign": challenge.campaign, "at": at, "allowed_channels": challenge.allowed_channels}
    first = destinations.choose(
        devices,
        participant=participant,
        channel=channel,
        device=present.uuid if stays and present is not None else None,
        **policy,
    )
    if channel is not None or challenge.channel_chosen:
        return [first]
    return [first, *destinations.next_contacts(devices, tried={first.channel}, **policy)]
