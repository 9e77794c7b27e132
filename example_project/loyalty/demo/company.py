"""A company's campaign: who asks, who approves, up to which amount; and phones that need no proof, being nobody's."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from example_project.loyalty import ledger
from twofa import contacts
from twofa.flows import approvers, campaigns, participants
from twofa.flows.history import Actor
from twofa.models import Campaign, Device, Participant
from twofa.models.clock import now

SLUG = "company"
BUYER, DIRECTOR = "lucas", "marta"
THRESHOLD, LIMIT = Decimal("5000.00"), Decimal("40000.00")
_POINTS = Decimal("200000.00")


def found(staff: Any, actor: Actor, *, cooldown: timedelta) -> Campaign:
    """Open the campaign with its two people, and let one approve what the other asks for, up to ``LIMIT``."""
    campaign = campaigns.open_campaign(
        actor=actor,
        slug=SLUG,
        name="Company rewards",
        two_factor_mode="required",
        approver_threshold=THRESHOLD,
        resend_cooldown=cooldown,
        links_in_messages=True,
    )
    buyer = _hire(campaign, BUYER, "Lucas Braga", actor)
    director = _hire(campaign, DIRECTOR, "Marta Reis", actor)
    give_phone(buyer, "sms", "+5511999990041")
    give_phone(director, "email", "marta@example.com")
    ledger.grant(buyer, _POINTS, key=f"welcome:{SLUG}:{BUYER}")
    approvers.entitle(
        requester=buyer, participant=director, by=staff, actor=actor, reason="Director of the company", max_amount=LIMIT
    )
    return campaign


def _hire(campaign: Campaign, external_id: str, name: str, actor: Actor) -> Participant:
    return participants.enroll(campaign=campaign, external_id=external_id, name=name, locale="en", actor=actor)[0]


def give_phone(of: Participant, channel: str, address: str) -> None:
    """Give somebody a phone or an address as if they had proved it.

    The one row that no flow makes: a flow would send a token, and these belong to nobody who could read it.
    """
    at = now()
    Device.objects.create(
        participant=of,
        user_id=of.user_id,
        channel=channel,
        address=address,
        destination=contacts.mask(channel, address),
        status=Device.Status.ACTIVE,
        confirmed=True,
        is_default=not Device.objects.filter(participant=of, is_default=True).exists(),
        activated_at=at,
        usable_from=at,
    )
