"""The rows that the demo starts from, made by the same flows that the admin and the API use."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth import get_user_model

from example_project.loyalty import ledger
from twofa import correlation
from twofa.flows import campaigns, participants, storefronts
from twofa.flows.history import WORKER, Actor
from twofa.models import Campaign, Participant, Storefront

GUARDED, OPEN = "summer", "everyday"
PARTICIPANT = "ana"
NEWCOMER = "bruno"
PHONE = "+5511999990034"
STOREFRONT = "Points shop"
STAFF = "admin"
POINTS = Decimal("50000.00")
FEW_POINTS = Decimal("900.00")
_CORRELATION_ID = "demo-seed"
COOLDOWN = timedelta(seconds=5)
"""Short, so that nobody waits half a minute in a demo."""


@dataclass(frozen=True)
class Logins:
    """What exists in clear only at this moment: the storefront's key, and the password of the staff user."""

    key: str
    password: str


def plant() -> Logins:
    """Make a staff user, two campaigns, a storefront with a key, and a participant with points in both campaigns."""
    with correlation.bound(_CORRELATION_ID):
        return _plant()


def _plant() -> Logins:
    password = secrets.token_urlsafe(12)
    staff = get_user_model().objects.create_superuser(STAFF, password=password)
    actor = Actor.staff(staff)
    guarded = campaigns.open_campaign(
        actor=actor, slug=GUARDED, name="Summer rewards", two_factor_mode="required", resend_cooldown=COOLDOWN
    )
    unguarded = campaigns.open_campaign(actor=actor, slug=OPEN, name="Everyday rewards", two_factor_mode="off")
    storefront = storefronts.open_storefront(name=STOREFRONT, campaigns=(guarded, unguarded), actor=actor)
    for campaign in (guarded, unguarded):
        _enroll(campaign, actor)
    _enroll(guarded, actor, NEWCOMER, "Bruno Lima", FEW_POINTS)
    _key, text = storefronts.issue_key(storefront, actor=actor)
    return Logins(key=text, password=password)


def is_planted() -> bool:
    """Tell whether this database has the demo's rows."""
    return Storefront.objects.filter(name=STOREFRONT).exists()


def new_key() -> str:
    """Give the demo's storefront another key."""
    with correlation.bound(_CORRELATION_ID):
        return storefronts.issue_key(Storefront.objects.get(name=STOREFRONT), actor=WORKER)[1]


def participant(slug: str) -> Participant:
    """Return the demo's participant in a campaign."""
    return Participant.objects.get(campaign__slug=slug, external_id=PARTICIPANT)


def _enroll(
    campaign: Campaign,
    actor: Actor,
    external_id: str = PARTICIPANT,
    name: str = "Ana Souza",
    points: Decimal = POINTS,
) -> None:
    enrolled, _created = participants.enroll(
        campaign=campaign, external_id=external_id, name=name, locale="en", actor=actor
    )
    ledger.grant(enrolled, points, key=f"welcome:{campaign.slug}:{external_id}")
