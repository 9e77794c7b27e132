"""Rows to run on: enough participants that nobody buys more than a few times, and budgets that stop nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth import get_user_model

from tests import factories
from twofa import contacts
from twofa.models import Campaign, Device, Participant
from twofa.models.clock import now

_UNBOUND = 1_000_000
"""For budgets of a day; the number of open challenges is a SMALLINT."""


@dataclass(frozen=True)
class Seeded:
    """What a client needs to know."""

    campaign: str
    key: str
    participants: int


def seed(participants: int) -> Seeded:
    """Store a campaign that asks everybody, its storefront, and participants with one phone each."""
    campaign = factories.campaign(
        slug="bench",
        max_open_challenges=32_000,
        failed_attempts_per_day=_UNBOUND,
        sends_per_destination_per_day=_UNBOUND,
        sends_per_participant_per_day=_UNBOUND,
    )
    storefront = factories.storefront(campaign)
    _members(campaign, participants)
    return Seeded(campaign.slug, factories.key(storefront), participants)


def external_id(number: int) -> str:
    """Return a participant's id."""
    return f"bench-{number}"


def _members(campaign: Campaign, count: int) -> None:
    model = get_user_model()
    users = model.objects.bulk_create([model(username=external_id(number), password="!") for number in range(count)])
    members = Participant.objects.bulk_create(
        [
            Participant(campaign=campaign, user_id=user.pk, external_id=external_id(number), name="Ana Souza")
            for number, user in enumerate(users)
        ]
    )
    at = now() - timedelta(minutes=1)
    addresses = [f"+55119{90_000_000 + number}" for number in range(count)]
    Device.objects.bulk_create(
        [
            Device(
                participant=member,
                user_id=member.user_id,
                channel="sms",
                address=address,
                destination=contacts.mask("sms", address),
                status=Device.Status.ACTIVE,
                confirmed=True,
                is_default=True,
                activated_at=at,
                usable_from=at,
            )
            for member, address in zip(members, addresses, strict=True)
        ]
    )
