"""Contact verifications: a token for an address that is nobody's yet, before there is a participant.

There is no row to lock and no owner to count for, so all is counted by the address itself: wrong tokens, open
verifications and the pause between messages. They take the turn of the address, as everybody does who sends there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.views.decorators.debug import sensitive_variables

from twofa import contacts
from twofa.contacts import Contact
from twofa.exceptions import (
    AttemptsExhausted,
    ChannelUnavailable,
    FailedAttemptsBudget,
    NotActive,
    TokenInvalid,
    TokenMalformed,
    TwoFactorError,
)
from twofa.flows import destinations, facts, issuing, renewals, shared_contacts
from twofa.flows.facts import ATTEMPT_FAILED, DAY, Standing
from twofa.flows.history import Actor, Trail
from twofa.models import Campaign, Challenge, Delivery, Family, Purpose, Storefront, Verdict

MESSAGE = "contact.token"


@dataclass(frozen=True)
class _Used:
    """What was used up of the budgets of one address in 24 hours, by whoever asked."""

    failed_attempts: int
    open_challenges: int


@sensitive_variables()
def open_verification(
    campaign: Campaign, *, storefront: Storefront, channel: str, address: str, actor: Actor, locale: str = ""
) -> Challenge:
    """Send a token to an address, and return the challenge that it answers.

    Raises: Invalid, NotActive, ChannelUnavailable, DestinationNotAllowed, ResendCooldown, FailedAttemptsBudget,
    TooManyOpenChallenges, SendBudget.
    """
    contact = Contact(channel, contacts.normalise(channel, address))
    with transaction.atomic(durable=True):
        if not campaign.is_active:
            raise NotActive
        destinations.ensure_allowed(campaign, channel, contact.address, event=MESSAGE)
        shared_contacts.ensure_room_for_another(campaign.pk, contact.address)
        budgets = facts.budgets(participant=None, campaign=campaign, contact=contact, family=Family.ACCESS)
        sent = _sent_to(campaign.pk, contact.address, budgets.at)
        used = _used_up(sent, budgets.at)
        issuing.ensure_attempts_left(used.failed_attempts, campaign)
        issuing.ensure_opens(replace(budgets, open_challenges=used.open_challenges), campaign)
        renewals.ensure_none_lately(sent, budgets.at)
        issuing.ensure_sends(budgets, campaign)
        issuing.ensure_share(contact.address, campaign, at=budgets.at)
        request = issuing.Request(
            storefront=storefront, campaign=campaign, participant=None, purpose=Purpose.CONTACT, locale=locale
        )
        trail = Trail(actor, budgets.at)
        challenge = issuing.issue(request, contact, at=budgets.at, trail=trail)
        issuing.queue(challenge, at=budgets.at)
        trail.write()
    challenge.read_at = budgets.at
    return challenge


@sensitive_variables()
def renew(challenge: Challenge, *, actor: Actor, channel: str | None = None) -> datetime:
    """Send the address a new token; return the time. Called inside a transaction, with the challenge locked.

    Raises: NotActive, ChannelUnavailable, DestinationNotAllowed, ResendCooldown, ResendsExhausted,
    FailedAttemptsBudget, SendBudget.
    """
    campaign = challenge.campaign
    found = standing(challenge)
    if not found.campaign_active:
        raise NotActive
    if channel not in (None, challenge.channel):
        # What is verified is this address on this channel: another one is another verification.
        raise ChannelUnavailable
    issuing.ensure_attempts_left(found.failed_attempts, campaign)
    is_counted = renewals.ensure_timely(challenge, found.at)
    contact = Contact(challenge.channel, challenge.address)
    destinations.ensure_allowed(campaign, contact.channel, contact.address, event=MESSAGE)
    budgets = facts.budgets(participant=None, campaign=campaign, contact=contact, family=Family.ACCESS)
    issuing.ensure_sends(budgets, campaign)
    issuing.ensure_share(contact.address, campaign, at=budgets.at)
    trail = Trail(actor, budgets.at)
    issuing.rotate(challenge, contact, at=budgets.at, trail=trail, cause="resent", counted=is_counted)
    trail.write()
    return budgets.at


def standing(challenge: Challenge) -> Standing:
    """Read the clock and who may still take part, with the wrong tokens of the address. With the challenge locked."""
    found = facts.standing(challenge)
    sent = _sent_to(challenge.campaign_id, challenge.address, found.at)
    return replace(found, failed_attempts=_used_up(sent, found.at).failed_attempts)


@sensitive_variables()
def judge_again(challenge: Challenge, given: object, *, standing: Standing, trail: Trail) -> TwoFactorError | None:
    """Judge the token of a locked verification that was answered before; charge each wrong one. None: the right one.

    Of any other challenge that has ended only what is stored is told, and guesses at it are worth nothing. This one is
    still worth an account, wherever the guess is made: so there are no more of them than of any other token.
    """
    if not standing.campaign_active:
        return NotActive()
    try:
        issuing.ensure_attempts_left(standing.failed_attempts, challenge.campaign)
        token = challenge.normalise(given)
    except (FailedAttemptsBudget, TokenMalformed) as error:
        return error
    if challenge.was_accepted(token):
        return None
    charged = min(challenge.attempts + 1, challenge.max_attempts)
    is_last = charged == challenge.max_attempts
    challenge.change(attempts=charged, guard=("attempts",), accepted=None if is_last else challenge.accepted)
    about = {"verdict": Verdict.WRONG.value, "attempts": charged, "generation": challenge.generation}
    trail.add(ATTEMPT_FAILED, challenge, **about)
    if is_last:
        return AttemptsExhausted(attempts_remaining=0, challenge=challenge)
    return TokenInvalid(attempts_remaining=challenge.attempts_remaining)


def _sent_to(campaign: int, address: str, at: datetime) -> QuerySet[Challenge]:
    """Return a campaign's verifications of an address in 24 hours, found by the index of its messages."""
    messages = Delivery.objects.to(address).filter(created_at__gt=at - DAY, event=MESSAGE)
    return Challenge.objects.filter(campaign=campaign, purpose=Purpose.CONTACT, pk__in=messages.values("challenge"))


def _used_up(sent: QuerySet[Challenge], at: datetime) -> _Used:
    found = sent.order_by().aggregate(
        attempts=Coalesce(Sum("attempts"), 0),
        right=Count("pk", filter=Q(status=Challenge.Status.APPROVED)),
        open=Count("pk", filter=Q(status=Challenge.Status.PENDING, deadline__gt=at)),
    )
    return _Used(found["attempts"] - found["right"], found["open"])
