"""Opening redemptions: one transaction from the participant's lock to the points set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import OrderConflict
from twofa.flows import (
    buyers,
    calls,
    completions,
    fallbacks,
    issuing,
    recipients,
    redemptions,
    reservations,
    schedules,
    turns,
)
from twofa.flows.buyers import Buyer
from twofa.flows.decisions import Requirement, decide
from twofa.flows.history import Actor, Trail
from twofa.flows.recipients import Named, Recipient, Wish
from twofa.fulfillment import get_backend
from twofa.models import Challenge, Device, Purpose, Redemption, Storefront, writes

Status, Points = Redemption.Status, Redemption.Points


@dataclass(frozen=True)
class Order:
    """What a storefront asks for. ``items`` as they are stored: amounts are texts with two places."""

    participant: str
    order_id: str
    amount: Decimal
    description: str
    items: list[dict[str, Any]]
    channel: str | None = None
    device: UUID | None = None
    approver: Named | None = None
    scheduled_for: datetime | None = None

    @property
    def wish(self) -> Wish:
        """Return what is said about where the token goes."""
        return Wish(self.channel, self.device, self.approver)


@dataclass(frozen=True)
class _Checkout:
    """One call: what is asked, by whom, and whether the points live elsewhere."""

    order: Order
    storefront: Storefront
    slug: str
    actor: Actor
    remote: bool


@sensitive_variables()
def open_redemption(order: Order, *, storefront: Storefront, campaign: str, actor: Actor) -> tuple[Redemption, bool]:
    """Open a redemption, or return the one of this order id; tell whether it is new.

    Raises: NotFound, NotActive, OrderConflict, OnboardingIncomplete, ChannelUnavailable, DestinationNotAllowed,
    FailedAttemptsBudget, TooManyOpenChallenges, SendBudget, RedemptionRefused, Unavailable, Invalid,
    ApproverNotEntitled.
    """
    checkout = _Checkout(order, storefront, campaign, actor, remote=get_backend().remote)
    try:
        redemption = _open(checkout)
    except IntegrityError:
        # Two participants were given one order id at the same moment: whoever lost finds the winner's row now.
        redemption = _open(checkout)
    if redemption is None:
        return _same_order(checkout), False
    if checkout.remote:
        redemption = redemptions.refreshed(redemption, reservations.reserve_remote(redemption.pk))
    if redemption.status == Status.APPROVED and redemption.points == Points.RESERVED:
        redemption = completions.finish(redemption, storefront=checkout.storefront)
    return redemption, True


def _open(checkout: _Checkout) -> Redemption | None:
    """Store a new redemption with all that belongs to it, or return None where the order id is taken."""
    order = checkout.order
    with transaction.atomic(durable=True):
        buyer = buyers.locked(order.participant, storefront=checkout.storefront, slug=checkout.slug)
        event = "redemption.token" if order.scheduled_for is None else "schedule.token"
        recipient = recipients.choose(buyer, order.wish, amount=order.amount, event=event)
        recipient, budgets = fallbacks.reach(
            buyer, recipient, storefront_id=checkout.storefront.pk, order_id=order.order_id
        )
        if budgets.order_exists:
            return None
        buyer.ensure_active()
        schedules.ensure_allowed(order.scheduled_for, campaign=buyer.campaign, at=budgets.at)
        requirement = decide(
            buyer.campaign, buyer.participant, amount=order.amount, spent=buyer.spent, approver=recipient.by
        )
        buyers.ensure_identity(buyer.participant, recipient.refusal if requirement.required else None)
        if requirement.required:
            buyers.ensure_may_be_asked(buyer, budgets, recipient.refusal, sends=not recipient.is_unbound)
        with writes.together():
            redemption = _store(checkout, buyer, requirement, recipient, budgets.at)
        # Last, so that everything which may refuse has spoken before the host's points move.
        if not checkout.remote:
            calls.reserve(redemption)
    return redemption


def _store(
    checkout: _Checkout, buyer: Buyer, requirement: Requirement, recipient: Recipient, at: datetime
) -> Redemption:
    redemption = _build(checkout, buyer, requirement, recipient, at)
    writes.insert(redemption)
    trail = Trail(checkout.actor, at)
    opened = "redemption.pending" if requirement.required else "redemption.exempted"
    trail.add(opened, redemption, reason=requirement.reason)
    if requirement.required and recipient.contact is not None:
        challenge = _challenge(redemption, recipient.contact, checkout, trail)
        redemption.challenge = challenge
        # Of a remote ledger it is not known yet whether it has the points: the message waits for its answer.
        if not challenge.is_unbound:
            issuing.queue(challenge, at=at, held=checkout.remote)
    else:
        turns.put_down(redemption, trail)
    trail.write()
    return redemption


def _build(
    checkout: _Checkout, buyer: Buyer, requirement: Requirement, recipient: Recipient, at: datetime
) -> Redemption:
    order, campaign = checkout.order, buyer.campaign
    exempt = not requirement.required
    redemption = Redemption(
        storefront=checkout.storefront,
        campaign=campaign,
        participant=buyer.participant,
        approver=recipient.approver,
        order_id=order.order_id,
        amount=order.amount,
        unit=campaign.unit,
        description=order.description,
        items=order.items,
        scheduled_for=order.scheduled_for,
        test=campaign.test,
        status=Status.APPROVED if exempt else Status.PENDING,
        points=Points.NONE if checkout.remote else Points.RESERVED,
        two_factor_required=requirement.required,
        two_factor_reason=requirement.reason,
        two_factor_inputs=requirement.inputs,
        policy_version=campaign.policy_version,
        correlation_id=correlation.current(),
        created_at=at,
        updated_at=at,
        approved_at=at if exempt else None,
        # Whoever opened it goes on with it at once; if that process dies, the sweeper does.
        due_at=at + turns.GRACE if exempt or checkout.remote else None,
    )
    redemption.read_at = at
    if exempt:
        redemption.approved_digest = redemption.digest()
    return redemption


def _challenge(
    redemption: Redemption, contact: Device | issuing.Source, checkout: _Checkout, trail: Trail
) -> Challenge:
    request = issuing.Request(
        storefront=checkout.storefront,
        campaign=redemption.campaign,
        participant=redemption.participant,
        purpose=Purpose.REDEMPTION,
        digest=redemption.digest(),
        redemption=redemption,
        channel_chosen=checkout.order.wish.is_chosen,
        latest=schedules.latest(redemption),
    )
    return issuing.issue(request, contact, at=redemption.created_at, trail=trail)


def _same_order(checkout: _Checkout) -> Redemption:
    """Return the redemption of a repeated order id. Raises: OrderConflict."""
    order = checkout.order
    redemption = redemptions.find_order(checkout.storefront, checkout.slug, order.order_id)
    same = (
        redemption.participant.external_id == order.participant
        and redemption.amount == order.amount
        and redemption.description == order.description
        and redemption.items == order.items
        and redemption.scheduled_for == order.scheduled_for
        and recipients.is_same(redemption.approver, redemption.two_factor_inputs, order.approver)
    )
    if not same:
        raise OrderConflict(redemption=redemption)
    return redemption
