"""Opening redemptions: one transaction from the participant's lock to the points set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import BooleanField, DateTimeField
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import NotActive, NotFound, OnboardingIncomplete, OrderConflict, TwoFactorError
from twofa.flows import calls, completions, destinations, facts, fallbacks, issuing, onboarding, redemptions
from twofa.flows.decisions import Decision, decide
from twofa.flows.history import Actor, Trail
from twofa.fulfillment import get_backend
from twofa.models import Campaign, Challenge, Device, Participant, Purpose, Redemption, Storefront, statements, writes

Status, Points = Redemption.Status, Redemption.Points
_LOCKED = statements.Select(
    """FROM {participant}
    JOIN {campaign} ON campaign.id = participant.campaign_id
    JOIN {served} ON served.campaign_id = campaign.id AND served.storefront_id = %(storefront)s
    JOIN {account} ON account.{account_key} = participant.user_id
    WHERE campaign.slug = %(slug)s AND participant.external_id = %(external_id)s""",
    participant=Participant,
    campaign=Campaign,
    joined={"served": Storefront.campaigns.through, "account": get_user_model()},
    extra={"user_active": ("{account_active}", BooleanField()), "at": ("{clock}", DateTimeField())},
    lock=("participant",),
)
_DEVICES = statements.Select(
    """FROM {device}
    JOIN {participant} ON participant.id = device.participant_id
    JOIN {campaign} ON campaign.id = participant.campaign_id
    WHERE campaign.slug = %(slug)s AND participant.external_id = %(external_id)s AND device.status = 'active'
    ORDER BY device.is_default DESC, device.id""",
    device=Device,
    joined={"participant": Participant, "campaign": Campaign},
)


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


@dataclass(frozen=True)
class _Buyer:
    """Whoever redeems, locked, with their active devices, the default one first; and the time of the lock."""

    participant: Participant
    user_active: bool
    devices: list[Device]
    at: datetime


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
    FailedAttemptsBudget, TooManyOpenChallenges, SendBudget, RedemptionRefused, Unavailable.
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
        redemption = redemptions.refreshed(redemption, completions.reserve_remote(redemption.pk))
    if redemption.status == Status.APPROVED and redemption.points == Points.RESERVED:
        redemption = completions.finish(redemption, mode=redemption.campaign.completion_mode)
    return redemption, True


def _open(checkout: _Checkout) -> Redemption | None:
    """Store a new redemption with all that belongs to it, or return None where the order id is taken."""
    with transaction.atomic(durable=True):
        buyer = _locked(checkout)
        participant, campaign = buyer.participant, buyer.participant.campaign
        contacts, refusal = _contacts(checkout.order, buyer)
        contact, budgets = _aim(checkout, participant, contacts)
        if budgets.order_exists:
            return None
        if not (campaign.is_active and participant.is_active and buyer.user_active):
            raise NotActive
        decision = decide(campaign, participant, amount=checkout.order.amount, spent=budgets.spent)
        _ensure_identity(participant, refusal if decision.required else None)
        if decision.required:
            _ensure_may_be_asked(participant, budgets, refusal)
        with writes.together():
            redemption = _store(checkout, participant, decision, contact, budgets.at)
        # Last, so that everything which may refuse has spoken before the host's points move.
        if not checkout.remote:
            calls.reserve(redemption)
    return redemption


def _locked(checkout: _Checkout) -> _Buyer:
    """Lock whoever redeems: one checkout of a participant at a time, so that budgets are counted one after another."""
    order = checkout.order
    rows, devices = statements.read(
        _LOCKED, _DEVICES, slug=checkout.slug, storefront=checkout.storefront.pk, external_id=order.participant
    )
    if not rows:
        known = Campaign.objects.filter(slug=checkout.slug, storefronts=checkout.storefront).exists()
        raise NotFound(**({"resource": "participant"} if known else {}))
    (row,) = rows
    row["participant"].ensure_kept()
    row["participant"].campaign = row["campaign"]
    return _Buyer(row["participant"], row["user_active"], [found["device"] for found in devices], row["at"])


def _contacts(order: Order, buyer: _Buyer) -> tuple[list[Device], TwoFactorError | None]:
    """Return the device for the token, or why there is none: it is not known yet whether one is needed.

    Where the caller chose neither channel nor device, those of the other channels follow, for when it is closed.
    """
    campaign = buyer.participant.campaign
    policy: Any = {"campaign": campaign, "at": buyer.at, "allowed_channels": campaign.allowed_channels}
    try:
        first = destinations.choose(
            buyer.devices, participant=buyer.participant, channel=order.channel, device=order.device, **policy
        )
    except TwoFactorError as error:
        return [], error
    if order.channel or order.device:
        return [first], None
    return [first, *destinations.next_contacts(buyer.devices, tried={first.channel}, **policy)], None


def _aim(checkout: _Checkout, participant: Participant, contacts: list[Device]) -> tuple[Device | None, facts.Budgets]:
    asked: dict[str, Any] = {
        "participant": participant,
        "campaign": participant.campaign,
        "storefront_id": checkout.storefront.pk,
        "order_id": checkout.order.order_id,
    }
    return fallbacks.aim(contacts, **asked) if contacts else (None, facts.budgets(contact=None, **asked))


def _ensure_identity(participant: Participant, refusal: TwoFactorError | None) -> None:
    """Raise where the campaign demands an identity that is not proved, whether or not a token is asked for.

    ``refusal`` is why there is no device for the token: what is missing is told at once, not one after the other.
    """
    unproved = onboarding.refusal(participant)
    if unproved is None:
        return
    if isinstance(refusal, OnboardingIncomplete):
        missing = [*refusal.params["missing"], *unproved.params["missing"]]
        raise OnboardingIncomplete(missing=missing, next_action=onboarding.read(participant).next_action)
    raise unproved


def _ensure_may_be_asked(participant: Participant, budgets: facts.Budgets, refusal: TwoFactorError | None) -> None:
    """Raise where a required factor cannot be asked for: whoever cannot be asked cannot redeem."""
    campaign = participant.campaign
    if refusal is not None:
        raise refusal
    issuing.ensure_attempts_left(budgets.failed_attempts, campaign, participant.pk)
    issuing.ensure_opens(budgets, campaign, participant.pk)
    issuing.ensure_sends(budgets, campaign, participant.pk)


def _store(
    checkout: _Checkout, participant: Participant, decision: Decision, contact: Device | None, at: datetime
) -> Redemption:
    redemption = _build(checkout, participant, decision, at)
    writes.insert(redemption)
    trail = Trail(checkout.actor, at)
    trail.add("redemption.pending" if decision.required else "redemption.exempted", redemption, reason=decision.reason)
    if decision.required and contact is not None:
        challenge = _challenge(redemption, contact, checkout, trail)
        redemption.challenge = challenge
        # Of a remote ledger it is not known yet whether it has the points: the message waits for its answer.
        issuing.queue(challenge, at=at, held=checkout.remote)
    trail.write()
    return redemption


def _build(checkout: _Checkout, participant: Participant, decision: Decision, at: datetime) -> Redemption:
    order, campaign = checkout.order, participant.campaign
    exempt = not decision.required
    redemption = Redemption(
        storefront=checkout.storefront,
        campaign=campaign,
        participant=participant,
        order_id=order.order_id,
        amount=order.amount,
        unit=campaign.unit,
        description=order.description,
        items=order.items,
        test=campaign.test,
        status=Status.APPROVED if exempt else Status.PENDING,
        points=Points.NONE if checkout.remote else Points.RESERVED,
        two_factor_required=decision.required,
        two_factor_reason=decision.reason,
        two_factor_inputs=decision.inputs,
        policy_version=campaign.policy_version,
        correlation_id=correlation.current(),
        created_at=at,
        updated_at=at,
        approved_at=at if exempt else None,
        # Whoever opened it goes on with it at once; if that process dies, the sweeper does.
        due_at=at + completions.GRACE if exempt or checkout.remote else None,
    )
    redemption.read_at = at
    if exempt:
        redemption.approved_digest = redemption.digest()
    return redemption


def _challenge(redemption: Redemption, contact: Device, checkout: _Checkout, trail: Trail) -> Challenge:
    request = issuing.Request(
        storefront=checkout.storefront,
        campaign=redemption.campaign,
        participant=redemption.participant,
        purpose=Purpose.REDEMPTION,
        digest=redemption.digest(),
        redemption=redemption,
        channel_chosen=bool(checkout.order.channel or checkout.order.device),
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
    )
    if not same:
        raise OrderConflict(redemption=redemption)
    return redemption
