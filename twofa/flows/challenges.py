"""Challenges: those that stand alone, from opening to their end; those of any purpose read and expired.

A challenge of a redemption, a batch or a device is answered at that row's own path, by a flow that knows what waits for
it: here it is told so, whatever the token. So a token of one purpose never stands in for one of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import ChallengeClosed, ChannelUnavailable, NotFound, PurposeMismatch, TwoFactorError
from twofa.flows import (
    batch_ends,
    batches,
    buyers,
    contact_verifications,
    destinations,
    facts,
    fallbacks,
    issuing,
    redemptions,
    renewals,
    unbound,
    verdicts,
)
from twofa.flows.buyers import Buyer
from twofa.flows.history import WORKER, Actor, Trail
from twofa.flows.transactions import retried_once
from twofa.models import ACCEPTED_KEPT, Challenge, Device, Participant, Purpose, Storefront, family_of
from twofa.models.clock import Clock, now


@dataclass(frozen=True)
class Ask:
    """What a storefront asks a participant for. ``description`` is of a step-up, and stands in its message."""

    participant: str
    purpose: str
    description: str = ""
    channel: str | None = None
    device: UUID | None = None


@sensitive_variables()
def open_challenge(ask: Ask, *, storefront: Storefront, campaign: str, actor: Actor) -> Challenge:
    """Ask a participant for a second factor, whatever the campaign asks of redemptions.

    Raises: NotFound, NotActive, OnboardingIncomplete, ChannelUnavailable, DestinationNotAllowed, FailedAttemptsBudget,
    TooManyOpenChallenges, SendBudget.
    """
    with transaction.atomic(durable=True):
        # Not a buyer yet; but locked as one, so that a participant's challenges are opened one after another.
        asked = buyers.locked(ask.participant, storefront=storefront, slug=campaign)
        asked.ensure_active()
        return open_for(asked, ask, storefront=storefront, actor=actor)


@sensitive_variables()
def open_for(asked: Buyer, ask: Ask, *, storefront: Storefront, actor: Actor) -> Challenge:
    """Open a challenge for a locked, active participant. Called inside a transaction.

    Raises: as :func:`open_challenge`.
    """
    family = family_of(ask.purpose)
    participant, policy = asked.participant, asked.campaign
    source = unbound.wanted(participant, asked.devices, channel=ask.channel, device=ask.device)
    contact: Device | issuing.Source
    if source is None:
        contact, budgets = fallbacks.aim(_contacts(asked, ask), participant=participant, campaign=policy, family=family)
    else:
        contact, budgets = source, facts.budgets(participant=participant, campaign=policy, contact=None, family=family)
    issuing.ensure_attempts_left(budgets.failed_attempts, policy, participant.pk)
    issuing.ensure_opens(budgets, policy, participant.pk)
    if source is None:
        issuing.ensure_sends(budgets, policy, participant.pk)
    request = issuing.Request(
        storefront=storefront,
        campaign=policy,
        participant=participant,
        purpose=ask.purpose,
        description=ask.description,
        channel_chosen=bool(ask.channel or ask.device),
    )
    trail = Trail(actor, budgets.at)
    challenge = issuing.issue(request, contact, at=budgets.at, trail=trail)
    if source is None:
        issuing.queue(challenge, at=budgets.at)
    trail.write()
    challenge.read_at = budgets.at
    return challenge


def _contacts(asked: Buyer, ask: Ask) -> list[Device]:
    """Return where the token may go, the best first. Raises: as :func:`open_challenge`."""
    policy: Any = {
        "campaign": asked.campaign,
        "at": asked.at,
        "allowed_channels": asked.campaign.allowed_channels,
        "event": issuing.message_of(ask.purpose),
    }
    is_chosen = bool(ask.channel or ask.device)
    has_channel = any(device.channel == ask.channel for device in asked.devices)
    if ask.channel and asked.devices and not has_channel:
        # Told apart from a participant who is not there: the storefront asked for a way that this one has not.
        if ask.channel not in asked.campaign.allowed_channels:
            raise ChannelUnavailable
        raise NotFound(resource="device")
    first = destinations.choose(
        asked.devices, participant=asked.participant, channel=ask.channel, device=ask.device, **policy
    )
    others = [] if is_chosen else destinations.next_contacts(asked.devices, tried={first.channel}, **policy)
    return [first, *others]


@sensitive_variables()
def verify(pk: UUID, *, storefront: Storefront, token: object, actor: Actor) -> Challenge:
    """Judge a token of a challenge that stands alone. Idempotent for the right token.

    Raises: NotFound, PurposeMismatch, ChallengeClosed, TransactionChanged, TokenMalformed, TokenInvalid,
    TokenSuperseded, TokenExpired, AttemptsExhausted, FailedAttemptsBudget, NotActive, OnboardingIncomplete, Throttled,
    Unavailable.
    """
    challenge, error = _judge(_alone(pk, storefront), token, actor)
    if error is not None:
        raise error
    return challenge


@retried_once
def _judge(known: Challenge, token: object, actor: Actor) -> tuple[Challenge, TwoFactorError | None]:
    """Judge one token in one transaction: the attempt is charged in the commit that brings the verdict."""
    with transaction.atomic(durable=True):
        challenge = locked(known)
        is_contact = challenge.purpose == Purpose.CONTACT
        standing = contact_verifications.standing(challenge) if is_contact else facts.standing(challenge)
        challenge.read_at = standing.at
        trail = Trail(actor, standing.at)
        if not challenge.is_final:
            error = verdicts.attempt(challenge, token, digest=challenge.digest(), standing=standing, trail=trail)
        elif is_contact and challenge.accepted is not None:
            error = contact_verifications.judge_again(challenge, token, standing=standing, trail=trail)
        else:
            error = verdicts.replay(challenge, token)
        trail.write()
    return challenge, error


@sensitive_variables()
def resend(pk: UUID, *, storefront: Storefront, actor: Actor, channel: str | None = None) -> Challenge:
    """Replace the token of a challenge that stands alone, within the same pauses and budgets as any other.

    Raises: NotFound, PurposeMismatch, ChallengeClosed, NotActive, ChannelUnavailable, DestinationNotAllowed,
    ResendCooldown, ResendsExhausted, FailedAttemptsBudget, SendBudget, OnboardingIncomplete.
    """
    return _resend(_alone(pk, storefront), actor, channel)


@retried_once
def _resend(known: Challenge, actor: Actor, channel: str | None) -> Challenge:
    with transaction.atomic(durable=True):
        challenge = locked(known)
        if challenge.is_final or challenge.is_past_deadline(now()):
            raise ChallengeClosed(challenge=challenge)
        renew = contact_verifications.renew if challenge.purpose == Purpose.CONTACT else renewals.renew
        challenge.read_at = renew(challenge, actor=actor, channel=channel)
    return challenge


def cancel(pk: UUID, *, storefront: Storefront, actor: Actor) -> Challenge:
    """End a challenge that stands alone; one cancelled already is returned as it is.

    Raises: NotFound, PurposeMismatch, ChallengeClosed.
    """
    return _cancel(_alone(pk, storefront), actor)


@retried_once
def _cancel(known: Challenge, actor: Actor) -> Challenge:
    with transaction.atomic(durable=True):
        challenge = locked(known)
        challenge.read_at = now()
        if challenge.status == Challenge.Status.CANCELLED:
            return challenge
        if challenge.is_final or challenge.is_past_deadline(challenge.read_at):
            raise ChallengeClosed(challenge=challenge)
        trail = Trail(actor, challenge.read_at)
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail)
        trail.write()
    return challenge


def locked(known: Challenge) -> Challenge:
    """Lock a challenge that stands alone, and before it its participant: in the order of all flows.

    Raises: NotFound where they were erased.
    """
    participant = None
    if known.participant_id is not None:
        participant = Participant.objects.select_for_update(no_key=True).get(pk=known.participant_id)
        participant.ensure_kept()
    rows = Challenge.objects.select_for_update(no_key=True, of=("self",)).with_delivery()
    # Not with its device: joined rows are those of before the wait (ADR 0003).
    challenge: Challenge = rows.select_related("campaign").get(pk=known.pk)
    if participant is not None:
        challenge.participant = participant
    return challenge


def _alone(pk: UUID, storefront: Storefront) -> Challenge:
    """Return a challenge that is answered at its own path, as it is now. Raises: NotFound, PurposeMismatch."""
    challenge = get(pk, storefront=storefront)
    if not challenge.stands_alone:
        raise PurposeMismatch
    return challenge


def get(pk: UUID, *, storefront: Storefront) -> Challenge:
    """Return a challenge as it is now: one whose deadline has passed is expired. Raises: NotFound."""
    challenge = _read(pk, storefront)
    if not challenge.is_final and challenge.is_past_deadline(challenge.read_at):
        expire(challenge)
        challenge = _read(pk, storefront)
    return challenge


def expire(challenge: Challenge) -> None:
    """End a challenge whose deadline has passed, and whatever waits for it."""
    if challenge.redemption_id is not None:
        redemptions.expire(challenge.redemption_id)
        return
    if challenge.batch_id is not None:
        batch_ends.expire(challenge.batch_id)
        return
    with transaction.atomic(durable=True):
        locked = Challenge.objects.select_for_update(no_key=True, of=("self",)).get(pk=challenge.pk)
        at = now()
        if not locked.is_final and locked.is_past_deadline(at):
            trail = Trail(WORKER, at)
            verdicts.end(locked, Challenge.Status.EXPIRED, at=at, trail=trail)
            trail.write()


def cancel_order(challenge: Challenge, *, actor: Actor, reason: str) -> bool:
    """Cancel the order that a challenge is about, if it still waits, and give its points back; tell whether it has one.

    A confirm that came first stands.
    """
    if challenge.redemption_id is not None:
        redemptions.cancel_open(challenge.redemption_id, actor=actor, reason=reason)
    elif challenge.batch_id is not None:
        batches.cancel_open(challenge.batch_id, actor=actor, reason=reason)
    else:
        return False
    return True


def forget_accepted(at: datetime) -> int:
    """Erase what recognises a repeated right token, a day after its approval; return how many."""
    rows = Challenge.objects.filter(accepted__isnull=False, ended_at__lte=at - ACCEPTED_KEPT)
    return rows.update(accepted=None)


def _read(pk: UUID, storefront: Storefront) -> Challenge:
    rows = Challenge.objects.with_delivery().select_related("redemption").annotate(clock=Clock())
    try:
        challenge = rows.get(pk=pk, storefront=storefront)
    except Challenge.DoesNotExist:
        raise NotFound from None
    challenge.read_at = vars(challenge)["clock"]
    return challenge
