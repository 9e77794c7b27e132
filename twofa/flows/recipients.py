"""Who receives a token: whoever asks, or the person who approves for them; and by which device.

An approver is found among those who are entitled for this requester, and nowhere else. So an unknown number costs the
same statements and the same comparisons as a known one, and whoever measures learns nothing from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import ApproverNotEntitled, Invalid, OnboardingIncomplete, TwoFactorError
from twofa.flows import destinations, unbound
from twofa.flows.buyers import Buyer
from twofa.flows.decisions import DEMANDED, NAMED, demands_approver
from twofa.flows.facts import IN_FORCE
from twofa.flows.issuing import Source
from twofa.flows.next_actions import NONE
from twofa.models import Approver, Challenge, Device, Participant, statements

APPROVER_DEVICE = "approver_device"
_JOINED: dict[str, Any] = {"entitlement": Approver, "account": get_user_model(), "held": Device}
_WHERE = f"""WHERE entitlement.requester_id = %(requester)s AND {IN_FORCE}%(amount)s)
    AND approver.campaign_id = %(campaign)s AND approver.is_active AND {{account_active}}"""
_PEOPLE = """FROM {entitlement}
    JOIN {approver} ON approver.id IN (entitlement.participant_id, entitlement.deputy_id)
    JOIN {account} ON account.{account_key} = approver.user_id"""
_APPROVERS = statements.Select(
    f"{_PEOPLE} {_WHERE} ORDER BY entitlement.id, (approver.id = entitlement.participant_id) DESC",
    approver=Participant,
    joined=_JOINED,
)
_CONTACTS = statements.Select(
    f"""{_PEOPLE} JOIN {{device}} ON device.participant_id = approver.id AND device.status = 'active' {_WHERE}
    ORDER BY device.is_default DESC, device.id""",
    device=Device,
    joined={**_JOINED, "approver": Participant},
)


@dataclass(frozen=True)
class Named:
    """The approver whom a storefront names, and how to reach them."""

    document_number: str
    channel: str | None = None


@dataclass(frozen=True)
class Wish:
    """What a storefront says about where the token goes."""

    channel: str | None = None
    device: UUID | None = None
    approver: Named | None = None

    @property
    def is_chosen(self) -> bool:
        """Tell whether the way to the recipient was chosen: then no other one is tried."""
        named = self.approver is not None and self.approver.channel is not None
        return named or bool(self.channel or self.device)


@dataclass(frozen=True)
class Recipient:
    """Who receives the token, and by which device; or why nobody can, which matters only where one is needed.

    ``others`` are their contacts on other channels, for when the first is closed: none where it was chosen. ``by``
    tells how an approver comes in, and is empty where the participant answers for themselves.
    """

    participant: Participant
    contact: Device | Source | None = None
    others: Sequence[Device] = ()
    refusal: TwoFactorError | None = None
    by: str = ""

    @property
    def is_unbound(self) -> bool:
        """Tell whether they answer without a message."""
        return isinstance(self.contact, Source)

    @property
    def approver(self) -> Participant | None:
        """Return the other person, or None where there is none, or none that may."""
        return self.participant if self.by and self.contact is not None else None


@sensitive_variables()
def choose(buyer: Buyer, wish: Wish, *, amount: Decimal, event: str) -> Recipient:
    """Return who receives the token for ``amount``, of the buyer's locked checkout. Never raises: see ``refusal``.

    ``event`` is the message that carries it: a campaign may have it switched off for a channel.
    """
    by = NAMED if wish.approver is not None else ""
    if not by and demands_approver(buyer.campaign, amount=amount, spent=buyer.spent):
        by = DEMANDED
    if not by:
        source = None if wish.is_chosen else unbound.for_order(buyer.participant, buyer.devices, buyer.at)
        if isinstance(source, OnboardingIncomplete):
            return Recipient(buyer.participant, refusal=source)
        if source is not None:
            return Recipient(buyer.participant, source)
        return _reached(buyer, buyer.participant, buyer.devices, wish, event)
    if wish.channel or wish.device:
        return Recipient(buyer.participant, refusal=_misplaced(wish), by=by)
    people, devices = _entitled(buyer, amount)
    if wish.approver is not None:
        return _named(buyer, wish.approver, people, devices, event)
    return _first(buyer, people, devices, event)


def _misplaced(wish: Wish) -> Invalid:
    return Invalid.field(
        "channel" if wish.channel else "device",
        "not_with_approver",
        _("Another person approves this: say in “approver” by which channel, or leave it out."),
    )


def _entitled(buyer: Buyer, amount: Decimal) -> tuple[list[Participant], list[Device]]:
    """Return who may approve, in the order in which they are asked, and their devices."""
    found, contacts = statements.read(
        _APPROVERS, _CONTACTS, requester=buyer.participant.pk, campaign=buyer.campaign.pk, amount=amount
    )
    people = list({row["approver"].pk: row["approver"] for row in found}.values())
    for person in people:
        person.campaign = buyer.campaign
    devices = list({row["device"].pk: row["device"] for row in contacts}.values())
    return people, unshared(devices, buyer.devices)


@sensitive_variables()
def _named(
    buyer: Buyer, named: Named, people: Sequence[Participant], devices: Sequence[Device], event: str
) -> Recipient:
    same = [person for person in people if person.has_document(named.document_number)]
    if not same:
        return Recipient(buyer.participant, refusal=ApproverNotEntitled(), by=NAMED)
    return _reached(buyer, same[0], devices, Wish(channel=named.channel), event, by=NAMED)


def _first(buyer: Buyer, people: Sequence[Participant], devices: Sequence[Device], event: str) -> Recipient:
    held_up = None
    for person in people:
        reached = _reached(buyer, person, devices, Wish(), event, by=DEMANDED)
        if reached.contact is not None:
            return reached
        held_up = held_up or (reached if _passes(reached.refusal) else None)
    return held_up or Recipient(buyer.participant, refusal=ApproverNotEntitled(), by=DEMANDED)


def _passes(refusal: TwoFactorError | None) -> bool:
    """Return whether an approver is there, and only their device is held or cools off."""
    return isinstance(refusal, OnboardingIncomplete) and refusal.params["next_action"].type == "wait"


def _reached(
    buyer: Buyer, person: Participant, devices: Iterable[Device], wish: Wish, event: str, by: str = ""
) -> Recipient:
    own = [device for device in devices if device.participant_id == person.pk]
    policy: Any = {
        "campaign": buyer.campaign,
        "at": buyer.at,
        "allowed_channels": buyer.campaign.allowed_channels,
        "event": event,
    }
    try:
        contact = destinations.choose(own, participant=person, channel=wish.channel, device=wish.device, **policy)
    except OnboardingIncomplete as error:
        return Recipient(person, refusal=of_approver(error) if by else error, by=by)
    except TwoFactorError as error:
        return Recipient(person, refusal=error, by=by)
    others = [] if wish.is_chosen else destinations.next_contacts(own, tried={contact.channel}, **policy)
    return Recipient(person, contact, others, by=by)


def of_approver(error: OnboardingIncomplete) -> OnboardingIncomplete:
    """Return why an approver cannot be reached: it is theirs to finish onboarding, and not the requester's."""
    action = error.params["next_action"]
    return OnboardingIncomplete(
        _("The approver has no device that may receive the token now."),
        missing=[APPROVER_DEVICE],
        next_action=action if action.type == "wait" else NONE,
    )


def unshared(devices: Iterable[Device], held: Iterable[Device]) -> list[Device]:
    """Return devices at addresses that the requester does not hold as well: one phone would be both people.

    By the address alone: what comes by SMS and by WhatsApp comes to the same phone.
    """
    addresses = {device.address.lower() for device in held}
    return [device for device in devices if device.address.lower() not in addresses]


def approver_of(challenge: Challenge) -> int | None:
    """Return the key of who approves for another one, or None where whoever asks answers."""
    if challenge.redemption_id is not None and challenge.redemption is not None:
        return challenge.redemption.approver_id
    if challenge.batch_id is not None and challenge.batch is not None:
        return challenge.batch.approver_id
    return None


def reachable(challenge: Challenge) -> tuple[Participant | None, list[Device], datetime | None]:
    """Return who must answer a challenge, their active devices that may be used for it, and when these were read."""
    approver, requester = approver_of(challenge), challenge.participant
    if requester is None:
        return None, [], None
    devices, at = destinations.devices_of(requester)
    if approver is None:
        return requester, devices, at
    person = Participant.objects.get(pk=approver)
    own, at = destinations.devices_of(person)
    return person, unshared(own, devices), at


@sensitive_variables()
def is_same(approver: Participant | None, inputs: Mapping[str, Any], named: Named | None) -> bool:
    """Tell whether an order that is repeated names the approver that it named first.

    ``approver`` and ``inputs`` are what was stored. One whom we chose, because the campaign demands one, was not named.
    """
    if inputs.get("approver") != NAMED or approver is None:
        return named is None
    return named is not None and approver.has_document(named.document_number)
