"""Unsaved deliveries: composing a message reads loaded rows, and no table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from twofa.models import Agreement, Campaign, Challenge, Delivery, Device, Participant, Redemption, RedemptionBatch

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADDRESSES = {"sms": "+5511987650034", "whatsapp": "+5511987650034", "email": "ana@example.com"}
LOCALES = ("pt-br", "es", "en")
PURPOSES = {
    "redemption.token": ("redemption", ""),
    "redemption.token approver": ("redemption", ""),
    "schedule.token": ("redemption", ""),
    "schedule.token approver": ("redemption", ""),
    "batch.token": ("batch", ""),
    "batch.token approver": ("batch", ""),
    "login.token": ("login", ""),
    "contact.token": ("contact", ""),
    "device.token": ("device", "verify"),
    "device_change.token add": ("device", "add"),
    "device_change.token make_default": ("device", "make_default"),
    "device_change.token revoke": ("device", "revoke"),
    "device_change.token switch_off": ("device", "switch_off"),
    "step_up.token": ("step_up:transfer", ""),
    "step_up.token described": ("step_up:transfer", ""),
    **{f"step_up.token {Agreement(purpose).name}": (purpose, "") for purpose in Agreement.values},
}
NOTICES = (
    "device.activated",
    "device.made_default",
    "device.revoked",
    "device.held",
    "participant.switched_off",
    "participant.method_changed",
    "redemption.completed",
    "redemption.rejected",
    "document.approved",
    "document.rejected",
)
_ORDER = {"amount": "15000.00", "unit": "pontos", "item": "Fone de ouvido sem fio"}
TOLD: dict[str, dict[str, str]] = {
    "redemption.completed": _ORDER,
    "redemption.rejected": _ORDER,
    "document.approved": {"document": "cnh", "reason": ""},
    "document.rejected": {"document": "cnh", "reason": "unreadable"},
}
SCHEDULE = datetime(2026, 11, 27, 12, tzinfo=UTC)


def redemption_of(campaign: Campaign, participant: Participant, **changes: Any) -> Redemption:
    values: dict[str, Any] = {
        "campaign": campaign,
        "participant": participant,
        "amount": Decimal("15000.00"),
        "unit": "pontos",
        "description": "Fone de ouvido sem fio",
        "items": [
            {"sku": "HP-1", "name": "Fone <Pro>", "quantity": 1, "amount": "14000.00"},
            {"sku": "HP-2", "name": "Capa & alça", "quantity": 2, "amount": "1000.00"},
        ],
    }
    return Redemption(**values | changes)


def row(event: str, channel: str = "sms", *, locale: str = "pt-br", **changes: Any) -> Delivery:
    """A delivery of one event, with everything that it speaks of; ``changes`` of each by its name."""
    campaign = Campaign(**{"id": 1, "slug": "verao", "name": "Verão Premiado", **changes.pop("campaign", {})})
    participant = Participant(id=2, campaign=campaign, locale=locale)
    delivered = Delivery(
        id=9,
        campaign=campaign,
        participant=participant,
        event=event.split()[0],
        channel=channel,
        address=ADDRESSES[channel],
        context={} if event in PURPOSES else TOLD.get(event, {"destination": "+55 •• •••••-••34"}),
    )
    scheduled = {"scheduled_for": SCHEDULE} if event.startswith("schedule") else {}
    redemption = redemption_of(campaign, participant, **scheduled | changes.pop("redemption", {}))
    if event in PURPOSES:
        delivered.generation = 2
        delivered.challenge = challenge_of(delivered, event, redemption, **changes.pop("challenge", {}))
    if event.endswith("approver"):
        delivered.challenge.participant = Participant(id=4, campaign=campaign, name="Ana Souza")
    for name, value in changes.items():
        setattr(delivered, name, value)
    return delivered


def batch_of(delivered: Delivery) -> RedemptionBatch:
    return RedemptionBatch(
        id=UUID(int=7),
        campaign=delivered.campaign,
        participant=delivered.participant,
        count=40,
        total=Decimal("600000.00"),
        unit="pontos",
    )


def challenge_of(delivered: Delivery, event: str, redemption: Redemption, **changes: Any) -> Challenge:
    purpose, action = PURPOSES[event]
    values: dict[str, Any] = {
        "id": UUID(int=5),
        "campaign": delivered.campaign,
        "participant": delivered.participant,
        "purpose": purpose,
        "action": action,
        "redemption": redemption if purpose == "redemption" else None,
        "batch": batch_of(delivered) if purpose == "batch" else None,
        "subject": Device(id=3, uuid=UUID(int=3), destination="+55 •• •••••-••34") if action else None,
        "channel": delivered.channel,
        "address": delivered.address,
        "generation": 2,
        "kid": "test",
        "seed": bytes(32),
        "transaction_digest": bytes(32),
        "issued_at": AT,
        "deadline": AT + timedelta(minutes=30),
        "token_ttl": timedelta(minutes=5),
        "token_length": 6,
        "token_alphabet": "alphanumeric",
        "description": "Mudança do endereço de entrega" if event.startswith("step_up.token ") else "",
    }
    challenge = Challenge(**values | changes)
    if "transaction_digest" not in changes:
        challenge.transaction_digest = _digest_of(challenge)
    return challenge


def _digest_of(challenge: Challenge) -> bytes:
    """What the token was issued for: the row as it stands."""
    if challenge.redemption is not None:
        return challenge.redemption.digest()
    if challenge.batch is not None:
        return challenge.batch.digest([])
    return challenge.digest() if challenge.subject is None else challenge.subject.digest(challenge.action)
