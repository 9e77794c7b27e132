"""The rows that the demo starts from, made by the same flows that the admin and the API use."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from example_project.loyalty import ledger
from example_project.loyalty.demo import company
from twofa import correlation
from twofa.flows import campaigns, participants, roles, storefronts, webhook_endpoints
from twofa.flows.history import WORKER, Actor
from twofa.models import Campaign, Participant, Storefront, WebhookEndpoint

GUARDED, OPEN, VERIFIED = "summer", "everyday", "premium"
REQUIRED_DOCUMENTS = ["cnh:front", "cnh:back", "selfie"]
DOCUMENT_NUMBER = "529.982.247-25"
PARTICIPANT = "ana"
NEWCOMER = "bruno"
UNREACHED = "nina"
PHONE = "+5511999990034"
FAILING_PHONE = "+5511999990500"
"""One that the demo's SMS provider fails for: see ``example_project.breakdowns``."""
STOREFRONT = "Points shop"
STAFF, REVIEWER = "admin", "rita"
POINTS = Decimal("50000.00")
FEW_POINTS = Decimal("900.00")
_CORRELATION_ID = "demo-seed"
COOLDOWN = timedelta(seconds=5)
"""Short, so that nobody waits half a minute in a demo."""


@dataclass(frozen=True)
class Logins:
    """What exists in clear only at this moment: the storefront's key, and the passwords of the two staff users."""

    key: str
    password: str
    reviewer_password: str = ""
    webhook_secret: str = ""


def plant(receiver: str = "") -> Logins:
    """Make two staff users, four campaigns with their members, and a storefront with a key.

    ``receiver`` is where the shop takes webhooks; without one it is told of nothing.
    """
    with correlation.bound(_CORRELATION_ID):
        return _plant(receiver)


def _plant(receiver: str) -> Logins:
    password = secrets.token_urlsafe(12)
    staff = get_user_model().objects.create_superuser(STAFF, password=password)
    actor = Actor.staff(staff)
    guarded, unguarded, verified = opened = _open_campaigns(actor)
    corporate = company.found(staff, actor, cooldown=COOLDOWN)
    storefront = storefronts.open_storefront(name=STOREFRONT, campaigns=(*opened, corporate), actor=actor)
    for campaign in (guarded, unguarded):
        _enroll(campaign, actor)
    _enroll(guarded, actor, NEWCOMER, "Bruno Lima", FEW_POINTS)
    _enroll(verified, actor, document_number=DOCUMENT_NUMBER)
    unreached = _enroll(guarded, actor, UNREACHED, "Nina Castro")
    for channel in ("sms", "whatsapp"):
        company.give_phone(unreached, channel, FAILING_PHONE)
    return Logins(
        key=storefronts.issue_key(storefront, actor=actor)[1],
        password=password,
        reviewer_password=_appoint_reviewer(actor),
        webhook_secret=webhook_endpoints.open_endpoint(storefront, actor=actor, url=receiver)[1] if receiver else "",
    )


def _open_campaigns(actor: Actor) -> tuple[Campaign, Campaign, Campaign]:
    return (
        campaigns.open_campaign(
            actor=actor, slug=GUARDED, name="Summer rewards", two_factor_mode="required", resend_cooldown=COOLDOWN
        ),
        campaigns.open_campaign(actor=actor, slug=OPEN, name="Everyday rewards", two_factor_mode="off"),
        campaigns.open_campaign(
            actor=actor,
            slug=VERIFIED,
            name="Premium rewards",
            two_factor_mode="required",
            resend_cooldown=COOLDOWN,
            identity_required=True,
            required_documents=REQUIRED_DOCUMENTS,
        ),
    )


def _appoint_reviewer(actor: Actor) -> str:
    """Make somebody who may decide about documents, and nothing else; return their password."""
    password = secrets.token_urlsafe(12)
    reviewer = get_user_model().objects.create_user(REVIEWER, password=password, is_staff=True)
    roles.restore(actor=actor)
    reviewer.groups.add(Group.objects.get(name=roles.REVIEWER))
    return password


def is_planted() -> bool:
    """Tell whether this database has the demo's rows."""
    return Storefront.objects.filter(name=STOREFRONT).exists()


def redirect_webhooks(receiver: str) -> None:
    """Have the shop's webhooks go to where it is served now."""
    with correlation.bound(_CORRELATION_ID):
        for endpoint in WebhookEndpoint.objects.filter(storefront__name=STOREFRONT):
            webhook_endpoints.update(endpoint, actor=WORKER, changes={"url": receiver})


def new_key() -> str:
    """Give the demo's storefront another key."""
    with correlation.bound(_CORRELATION_ID):
        return storefronts.issue_key(Storefront.objects.get(name=STOREFRONT), actor=WORKER)[1]


def participant(slug: str, external_id: str = PARTICIPANT) -> Participant:
    """Return the demo's participant in a campaign."""
    return Participant.objects.get(campaign__slug=slug, external_id=external_id)


def _enroll(
    campaign: Campaign,
    actor: Actor,
    external_id: str = PARTICIPANT,
    name: str = "Ana Souza",
    points: Decimal = POINTS,
    document_number: str | None = None,
) -> Participant:
    enrolled, _created = participants.enroll(
        campaign=campaign,
        external_id=external_id,
        name=name,
        document_number=document_number,
        locale="en",
        actor=actor,
    )
    ledger.grant(enrolled, points, key=f"welcome:{campaign.slug}:{external_id}")
    return enrolled
