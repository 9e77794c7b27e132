"""Renewing a token: refused before anything is rotated, so that a refusal never kills the token already in hand."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, cast

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import (
    ApproverNotEntitled,
    ChannelUnavailable,
    NotActive,
    OnboardingIncomplete,
    ResendCooldown,
    ResendsExhausted,
)
from twofa.flows import destinations, facts, fallbacks, issuing, recipients
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import NextAction
from twofa.models import Challenge, Delivery, Device, Participant, Purpose, Unbound, family_of


@sensitive_variables()
def renew(challenge: Challenge, *, actor: Actor, channel: str | None = None, reason: str = "") -> datetime:
    """Rotate a pending, locked challenge and queue the new token; return the time. Called inside a transaction.

    A resend after a failed delivery skips the pause and is not counted: the participant never got what was sent.
    It stays within the budgets of sends.

    Raises: NotActive, ChannelUnavailable, DestinationNotAllowed, OnboardingIncomplete, ResendCooldown,
    ResendsExhausted, FailedAttemptsBudget, SendBudget, ApproverNotEntitled.
    """
    if challenge.is_unbound and channel is None:
        raise ChannelUnavailable(_("No message brings this code. Name a channel to send a token instead."))
    standing = facts.standing(challenge)
    if not (standing.campaign_active and standing.participant_active):
        raise NotActive
    if not standing.approver_entitled:
        raise ApproverNotEntitled
    issuing.ensure_attempts_left(standing.failed_attempts, challenge.campaign, challenge.participant_id)
    is_counted = ensure_timely(challenge, standing.at)
    participant = cast(Participant, challenge.participant)
    recipient, contacts = _contacts(challenge, channel, standing.at)
    contact, budgets = fallbacks.aim(
        contacts,
        participant=participant,
        recipient=recipient,
        campaign=challenge.campaign,
        family=family_of(challenge.purpose),
    )
    if not budgets.recipient_active:
        raise ApproverNotEntitled
    issuing.ensure_sends(budgets, challenge.campaign, recipient.pk)
    if challenge.action == Challenge.Action.VERIFY:
        issuing.ensure_share(contact.address, challenge.campaign, at=budgets.at)
    trail = Trail(actor, budgets.at)
    issuing.rotate(
        challenge,
        contact,
        at=budgets.at,
        trail=trail,
        cause="resent",
        counted=is_counted,
        chosen=channel is not None,
        reason=reason,
    )
    trail.write()
    return budgets.at


def ensure_timely(challenge: Challenge, at: datetime) -> bool:
    """Raise where it is too soon, or too often; tell whether the resend is counted: not after one that never arrived.

    Raises: ResendCooldown, ResendsExhausted.
    """
    if challenge.delivery_status in Delivery.UNDELIVERED:
        return False
    if challenge.resends_remaining == 0:
        raise ResendsExhausted(None)
    if not challenge.is_unbound:  # one that was answered without a message has sent none a moment ago
        ensure_paused(challenge, at)
    return True


def ensure_paused(challenge: Challenge, at: datetime) -> None:
    """Raise where its last message was sent a moment ago. Raises: ResendCooldown."""
    if at < challenge.resend_available_at:
        raise ResendCooldown(math.ceil((challenge.resend_available_at - at).total_seconds()))


def ensure_none_lately(sent: QuerySet[Challenge], at: datetime) -> None:
    """Raise where the last of some challenges sent its message a moment ago. Raises: ResendCooldown.

    The pause between messages would be none if another challenge were a way around it. One that was answered or never
    arrived holds nobody up: whoever types the right token has the device in hand, and a resend is not held up by a
    failed delivery either.
    """
    present = Delivery.objects.filter(challenge=OuterRef("pk"), generation=OuterRef("generation"))
    undelivered = Exists(present.filter(status__in=Delivery.UNDELIVERED))
    rows = sent.exclude(status=Challenge.Status.APPROVED).exclude(channel__in=Unbound.values)
    last = rows.exclude(undelivered).order_by("-issued_at").first()
    if last is not None:
        ensure_paused(last, at)


def _contacts(challenge: Challenge, channel: str | None, at: datetime) -> tuple[Participant, list[Device]]:
    """Return who gets the new token, and where: the same contact while it may be used, or one of the channel asked for.

    Where nobody chose the channel, those of the others follow, for when the first one is closed. All are an approver's
    where another person approves: whoever asks can only say by which channel.
    """
    present = challenge.device
    if challenge.action == Challenge.Action.VERIFY:
        if present is None or present.status != Device.Status.PENDING:
            raise OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))
        event = issuing.message_event(challenge)
        destinations.ensure_allowed(challenge.campaign, present.channel, present.address, event=event)
        return cast(Participant, challenge.participant), [present]
    found, devices, _read_at = recipients.reachable(challenge)
    recipient = cast(Participant, found)
    policy: Any = {"campaign": challenge.campaign, "at": at, "allowed_channels": challenge.allowed_channels}
    if challenge.purpose == Purpose.DEVICE:
        return recipient, [destinations.authorizing(devices, cast(Device, challenge.subject), **policy)]
    policy["event"] = issuing.message_event(challenge)
    stays = channel is None and present is not None and any(d.pk == present.pk and d.is_usable(at) for d in devices)
    same = present.uuid if stays and present is not None else None
    try:
        first = destinations.choose(devices, participant=recipient, channel=channel, device=same, **policy)
    except OnboardingIncomplete as error:
        raise (error if recipients.approver_of(challenge) is None else recipients.of_approver(error)) from None
    if channel is not None or challenge.channel_chosen:
        return recipient, [first]
    return recipient, [first, *destinations.next_contacts(devices, tried={first.channel}, **policy)]
