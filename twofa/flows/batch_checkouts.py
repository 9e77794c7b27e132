"""Opening batches: one transaction from the participant's lock to the points of all lines, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import OrderConflict, RedemptionRefused
from twofa.flows import (
    batch_completions,
    batch_reservations,
    batches,
    buyers,
    calls,
    fallbacks,
    issuing,
    recipients,
    turns,
)
from twofa.flows.decisions import Requirement, decide
from twofa.flows.history import Actor, Trail
from twofa.flows.recipients import Named, Wish
from twofa.fulfillment import get_backend
from twofa.models import Purpose, Redemption, RedemptionBatch, Storefront, writes
from twofa.models.ids import uuid7

Status, Points = RedemptionBatch.Status, Redemption.Points


@dataclass(frozen=True)
class Line:
    """One redemption of a batch. ``items`` as they are stored: amounts are texts with two places."""

    order_id: str
    amount: Decimal
    description: str
    items: list[dict[str, Any]]

    def is_as(self, row: Redemption) -> bool:
        """Tell whether a stored line is this one."""
        asked = (self.order_id, self.amount, self.description, self.items)
        return asked == (row.order_id, row.amount, row.description, row.items)


@dataclass(frozen=True)
class BatchOrder:
    """What a storefront asks for: lines in the order in which they are shown, and who receives the one token."""

    participant: str
    request_id: str
    lines: tuple[Line, ...]
    channel: str | None = None
    approver: Named | None = None

    @property
    def wish(self) -> Wish:
        """Return what is said about where the token goes."""
        return Wish(channel=self.channel, approver=self.approver)

    @property
    def total(self) -> Decimal:
        """Return the points of all lines."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(frozen=True)
class _Checkout:
    """One call: what is asked, by whom, and whether the points live elsewhere."""

    order: BatchOrder
    storefront: Storefront
    slug: str
    actor: Actor
    remote: bool


@sensitive_variables()
def open_batch(
    order: BatchOrder, *, storefront: Storefront, campaign: str, actor: Actor
) -> tuple[RedemptionBatch, bool]:
    """Open a batch with all its lines, or return the one of this request id; tell whether it is new.

    A refusal that is about one line names it by its place, from 0 on, as ``line``.

    Raises: NotFound, NotActive, OrderConflict, OnboardingIncomplete, ApproverNotEntitled, Invalid, ChannelUnavailable,
    DestinationNotAllowed, FailedAttemptsBudget, TooManyOpenChallenges, SendBudget, RedemptionRefused, Unavailable.
    """
    checkout = _Checkout(order, storefront, campaign, actor, remote=get_backend().remote)
    try:
        batch = _open(checkout)
    except IntegrityError:
        # The same ids were used at the same moment: whoever lost finds the winner's rows now.
        batch = _open(checkout)
    if batch is None:
        return _same_request(checkout), False
    if checkout.remote:
        batch_reservations.reserve(batch.pk)
    if batch.status == Status.COMPLETING:
        batch_completions.finish(batch, storefront=checkout.storefront)
    return batches.get(batch.pk, storefront=storefront), True


def _open(checkout: _Checkout) -> RedemptionBatch | None:
    """Store a new batch with all that belongs to it, or return None where the request id is taken."""
    order = checkout.order
    with transaction.atomic(durable=True):
        buyer = buyers.locked(order.participant, storefront=checkout.storefront, slug=checkout.slug)
        if _is_taken(checkout, buyer):
            return None
        recipient = recipients.choose(buyer, order.wish, amount=order.total, event="batch.token")
        recipient, budgets = fallbacks.reach(buyer, recipient)
        buyer.ensure_active()
        requirement = decide(
            buyer.campaign, buyer.participant, amount=order.total, spent=buyer.spent, approver=recipient.by
        )
        buyers.ensure_identity(buyer.participant, recipient.refusal if requirement.required else None)
        if requirement.required:
            buyers.ensure_may_be_asked(buyer, budgets, recipient.refusal, sends=not recipient.is_unbound)
        with writes.together():
            batch = _store(checkout, buyer, requirement, recipient, budgets.at)
        # Last, so that everything which may refuse has spoken before the host's points move.
        if not checkout.remote:
            _reserve(batch)
    return batch


def _is_taken(checkout: _Checkout, buyer: buyers.Buyer) -> bool:
    """Tell whether the request id is taken. Raises: OrderConflict where the order id of a line is."""
    asked = {"storefront": checkout.storefront, "campaign": buyer.campaign}
    if RedemptionBatch.objects.filter(**asked, request_id=checkout.order.request_id).exists():
        return True
    order_ids = [line.order_id for line in checkout.order.lines]
    taken = {row.order_id: row for row in Redemption.objects.filter(**asked, order_id__in=order_ids)}
    for number, order_id in enumerate(order_ids):
        if order_id in taken:
            raise OrderConflict(redemption=taken[order_id], line=number)
    return False


def _reserve(batch: RedemptionBatch) -> None:
    """Set the points of all lines aside; what one of them is refused undoes the whole checkout.

    Raises: RedemptionRefused with the number of the line, Unavailable.
    """
    for number, line in enumerate(batch.lines):
        try:
            calls.reserve(line)
        except RedemptionRefused as refusal:
            refusal.params["line"] = number
            raise


def _store(
    checkout: _Checkout,
    buyer: buyers.Buyer,
    requirement: Requirement,
    recipient: recipients.Recipient,
    at: datetime,
) -> RedemptionBatch:
    batch = _build(checkout, buyer, requirement, recipient, at)
    batch.lines = _lines(checkout, batch, at)
    exempt = not requirement.required
    if exempt:
        batch.approved_digest, batch.approved_at = batch.digest(batch.lines), at
        for line in batch.lines:
            line.approved_digest, line.approved_at = line.digest(), at
    writes.insert(batch)
    trail = Trail(checkout.actor, at)
    if recipient.contact is not None and requirement.required:
        request = issuing.Request(
            storefront=checkout.storefront,
            campaign=buyer.campaign,
            participant=buyer.participant,
            purpose=Purpose.BATCH,
            digest=batch.digest(batch.lines),
            batch=batch,
            channel_chosen=checkout.order.wish.is_chosen,
        )
        batch.challenge = issuing.issue(request, recipient.contact, at=at, trail=trail)
        # Of a remote ledger it is not known yet whether it has the points: the message waits for its answer.
        if not batch.challenge.is_unbound:
            issuing.queue(batch.challenge, at=at, held=checkout.remote)
    _date(checkout, batch, at)
    writes.insert_all(batch.lines)
    about = [batch] if exempt else [batch, batch.challenge]
    trail.add("batch.exempted" if exempt else "batch.pending", *about, batch=str(batch.pk), reason=requirement.reason)
    for line in batch.lines:
        trail.add("redemption.exempted" if exempt else "redemption.pending", line, reason=requirement.reason)
    trail.write()
    return batch


def _date(checkout: _Checkout, batch: RedemptionBatch, at: datetime) -> None:
    """Say when each line is looked at if nobody has gone on with it.

    What waits for a token is looked at a moment after its deadline. The deadline ends it together with its batch; a
    line that somebody took out of the batch by hand would otherwise hold its points for ever.
    """
    is_next = checkout.remote or batch.status == Status.COMPLETING
    for line in batch.lines:
        line.due_at = at + turns.GRACE if is_next else batch_reservations.looked_at(batch)


def _build(
    checkout: _Checkout,
    buyer: buyers.Buyer,
    requirement: Requirement,
    recipient: recipients.Recipient,
    at: datetime,
) -> RedemptionBatch:
    return RedemptionBatch(
        storefront=checkout.storefront,
        campaign=buyer.campaign,
        participant=buyer.participant,
        approver=recipient.approver,
        request_id=checkout.order.request_id,
        count=len(checkout.order.lines),
        total=checkout.order.total,
        unit=buyer.campaign.unit,
        test=buyer.campaign.test,
        status=Status.PENDING if requirement.required else Status.COMPLETING,
        two_factor_required=requirement.required,
        two_factor_reason=requirement.reason,
        two_factor_inputs=requirement.inputs,
        policy_version=buyer.campaign.policy_version,
        correlation_id=correlation.current(),
        created_at=at,
        updated_at=at,
    )


def _lines(checkout: _Checkout, batch: RedemptionBatch, at: datetime) -> list[Redemption]:
    """Return the rows of the lines. Their ids are in their order, by which they are locked, digested and shown."""
    shared = ("storefront", "campaign", "participant", "approver", "unit", "test", "two_factor_required")
    decided = ("two_factor_reason", "two_factor_inputs", "policy_version", "correlation_id")
    common = {name: getattr(batch, name) for name in (*shared, *decided)}
    keys = sorted(uuid7() for _line in checkout.order.lines)
    pending = batch.status == Status.PENDING
    return [
        Redemption(
            id=key,
            batch=batch,
            order_id=line.order_id,
            amount=line.amount,
            description=line.description,
            items=line.items,
            status=Redemption.Status.PENDING if pending else Redemption.Status.APPROVED,
            points=Points.NONE if checkout.remote else Points.RESERVED,
            created_at=at,
            updated_at=at,
            **common,
        )
        for key, line in zip(keys, checkout.order.lines, strict=True)
    ]


def _same_request(checkout: _Checkout) -> RedemptionBatch:
    """Return the batch of a repeated request id. Raises: OrderConflict."""
    order = checkout.order
    batch = batches.find_request(checkout.storefront, checkout.slug, order.request_id)
    same = (
        batch.participant.external_id == order.participant
        and len(batch.lines) == len(order.lines)
        and all(line.is_as(row) for line, row in zip(order.lines, batch.lines, strict=True))
        and recipients.is_same(batch.approver, batch.two_factor_inputs, order.approver)
    )
    if not same:
        raise OrderConflict(batch=batch)
    return batch
