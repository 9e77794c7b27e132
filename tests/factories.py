"""Rows for tests, made the short way where no flow is what is tested."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model

from twofa import contacts
from twofa.flows import (
    access_tokens,
    batch_checkouts,
    challenges,
    checkouts,
    contact_verifications,
    participants,
    storefronts,
)
from twofa.flows.history import WORKER, Actor
from twofa.models import (
    Campaign,
    Case,
    Challenge,
    Device,
    Participant,
    PrefixPause,
    Purpose,
    Redemption,
    RedemptionBatch,
    SafeNumber,
    Storefront,
)
from twofa.models.clock import now

_numbers = itertools.count(1)


def campaign(**policy: Any) -> Campaign:
    """A campaign that requires a second factor, unless ``policy`` says otherwise."""
    number = next(_numbers)
    columns = {"slug": f"campaign-{number}", "name": f"Campaign {number}", "two_factor_mode": "required", **policy}
    return Campaign.objects.create(**columns)


def storefront(*campaigns: Campaign) -> Storefront:
    """A storefront that serves ``campaigns``."""
    row = Storefront.objects.create(name=f"Storefront {next(_numbers)}")
    row.campaigns.set(campaigns)
    return row


def staff() -> Any:
    """A member of staff."""
    return get_user_model().objects.create(username=f"staff-{next(_numbers)}", is_staff=True)


def key(of: Storefront) -> str:
    """The text of a new key."""
    return storefronts.issue_key(of, actor=WORKER)[1]


def participant(of: Campaign, **columns: Any) -> Participant:
    """A participant without devices."""
    external_id = columns.pop("external_id", f"u-{next(_numbers)}")
    row, _created = participants.enroll(campaign=of, external_id=external_id, name="Ana Souza", actor=WORKER)
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()
    return row


def device(of: Participant, channel: str = "sms", address: str | None = None, **columns: Any) -> Device:
    """An active device, the default one if it is the first."""
    number = next(_numbers)
    address = address or (f"ana{number}@example.com" if channel == "email" else f"+55119{90000000 + number}")
    at = now() - timedelta(minutes=1)
    return Device.objects.create(
        **{
            "participant": of,
            "user_id": of.user_id,
            "channel": channel,
            "address": address,
            "destination": contacts.mask(channel, address),
            "status": "active",
            "confirmed": True,
            "is_default": not Device.objects.filter(participant=of, is_default=True).exists(),
            "activated_at": at,
            "usable_from": at,
            **columns,
        }
    )


def prefix_pause(**columns: Any) -> PrefixPause:
    """A running pause of a prefix that no phone of these factories has."""
    at = now()
    given = {"sends": 20, "confirmations": 0, "paused_at": at, "paused_until": at + timedelta(hours=12), **columns}
    return PrefixPause.objects.create(**{"prefix": f"+39312{next(_numbers):05}", **given})


def safe_number(**columns: Any) -> SafeNumber:
    """A safe number that no phone of these factories has."""
    given = {"reason": "The office.", "created_by": "maria", "created_at": now(), **columns}
    return SafeNumber.objects.create(**{"prefix": f"+39313{next(_numbers):05}", **given})


class Shop:
    """A campaign, a storefront that serves it, a participant with a phone: what most tests begin with."""

    def __init__(self, **policy: Any) -> None:
        self.campaign = campaign(**policy)
        self.storefront = storefront(self.campaign)
        self.participant = participant(self.campaign)
        self.device = device(self.participant)
        self.actor = Actor.storefront(self.storefront)

    def order(self, **changes: Any) -> checkouts.Order:
        """An order of 150.00 points."""
        columns: dict[str, Any] = {
            "participant": self.participant.external_id,
            "order_id": f"A-{next(_numbers)}",
            "amount": Decimal("150.00"),
            "description": "Headphones",
            "items": [],
            **changes,
        }
        return checkouts.Order(**columns)

    def open(self, **changes: Any) -> Redemption:
        """An opened redemption."""
        order = self.order(**changes)
        return checkouts.open_redemption(
            order, storefront=self.storefront, campaign=self.campaign.slug, actor=self.actor
        )[0]

    def batch_order(self, *amounts: str, **changes: Any) -> batch_checkouts.BatchOrder:
        """A batch with a line for each of ``amounts``; three of them, of 450.00 points, where none are given."""
        lines = [
            batch_checkouts.Line(f"L-{next(_numbers)}", Decimal(amount), "Mug", [])
            for amount in amounts or ("100.00", "150.00", "200.00")
        ]
        columns: dict[str, Any] = {
            "participant": self.participant.external_id,
            "request_id": f"R-{next(_numbers)}",
            "lines": tuple(lines),
            **changes,
        }
        return batch_checkouts.BatchOrder(**columns)

    def open_batch(self, *amounts: str, **changes: Any) -> RedemptionBatch:
        """An opened batch, with its lines."""
        order = self.batch_order(*amounts, **changes)
        return batch_checkouts.open_batch(
            order, storefront=self.storefront, campaign=self.campaign.slug, actor=self.actor
        )[0]


def ended_batch(shop: Shop) -> RedemptionBatch:
    """A batch of long ago, without lines: for what is asked of any row of its kind."""
    at = now() - timedelta(minutes=2)
    return RedemptionBatch.objects.create(
        storefront=shop.storefront,
        campaign=shop.campaign,
        participant=shop.participant,
        request_id=f"R-{next(_numbers)}",
        count=1,
        total=Decimal("150.00"),
        unit="points",
        status=RedemptionBatch.Status.CANCELLED,
        two_factor_required=False,
        two_factor_reason="campaign_off",
        policy_version=1,
        correlation_id="ended",
        created_at=at,
        updated_at=at,
    )


def token_of(challenge: Challenge) -> str:
    """The present token, as a worker would derive it."""
    return Challenge.objects.get(pk=challenge.pk).derive_token()


def wrong_token(challenge: Challenge) -> str:
    """A well-formed token that is not the right one."""
    right = token_of(challenge)
    return ("0" if right[0] != "0" else "1") + right[1:]


def step_up(shop: Shop, purpose: str = "step_up:transfer", **asked: Any) -> Challenge:
    """An open challenge of a purpose that stands alone, for the shop's participant."""
    ask = challenges.Ask(**{"participant": shop.participant.external_id, "purpose": purpose, **asked})
    return challenges.open_challenge(ask, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor)


def login_challenge(shop: Shop) -> Challenge:
    """An open login challenge on the shop's device."""
    return step_up(shop, Purpose.LOGIN.value)


def contact_challenge(shop: Shop, channel: str = "email", address: str | None = None, **columns: Any) -> Challenge:
    """An open verification of an address that is nobody's yet."""
    number = next(_numbers)
    address = address or (f"new{number}@example.com" if channel == "email" else f"+55119{80000000 + number}")
    given: dict[str, Any] = {"storefront": shop.storefront, "channel": channel, "address": address, **columns}
    return contact_verifications.open_verification(shop.campaign, actor=shop.actor, **given)


PASSWORD = "correct horse battery staple"


def account(of: Participant, username: str | None = None) -> str:
    """Let a participant log in with ``PASSWORD``; return their name."""
    user: Any = of.user
    user.username = username or f"ana{next(_numbers)}@example.com"
    user.set_password(PASSWORD)
    user.save()
    return str(user.username)


def access_token(shop: Shop, of: Participant | None = None) -> str:
    """The text of a new access token."""
    return access_tokens.OpaqueIssuer().issue(participant=of or shop.participant, storefront=shop.storefront).token


def link_of(challenge: Challenge, contact: Device | None = None) -> tuple[Any, str]:
    """What the link “it was not me” has in its address: the challenge's id, and the seal for a contact."""
    row = Challenge.objects.get(pk=challenge.pk)
    return row.pk, row.denial_seal((contact or row.device).pk)


def case(challenge: Challenge, **columns: Any) -> Case:
    """An open case about a challenge, whose device is not held."""
    row = Challenge.objects.get(pk=challenge.pk)
    about = {name: getattr(row, name) for name in ("campaign_id", "participant_id", "redemption_id", "device_id")}
    return Case.objects.create(challenge=row, opened_at=now(), correlation_id="c-1", **{**about, **columns})
