"""Many tokens to numbers of one prefix, of which few came back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests import factories
from twofa.models import Challenge, Delivery, Participant
from twofa.models.clock import now
from twofa.models.ids import uuid7

PREFIX = "+551198765"


def pump(
    shop: factories.Shop,
    number: int = 20,
    *,
    confirmed: int = 0,
    prefix: str = PREFIX,
    age: timedelta = timedelta(minutes=10),
    people: int = 5,
    numbers: int = 10_000,
    **columns: Any,
) -> list[Delivery]:
    """Messages that were handed over `age` ago, each to a number of its own; the first ones were confirmed.

    `people` are how many ask for them in turn, and `numbers` how many numbers they have at most.
    """
    at = now() - age
    pattern = Challenge.objects.filter(participant=shop.participant).first() or shop.open().challenge
    rows = [
        _challenge(pattern, f"{prefix}{count % numbers:04}", at, is_confirmed=count < confirmed)
        for count in range(number)
    ]
    asking = [_person(shop, count) for count in range(min(people, number))]
    for count, row in enumerate(rows):
        row.participant = asking[count % people]
    Challenge.objects.bulk_create(rows)
    messages = [_message(challenge, prefix, at, columns) for challenge in rows]
    return Delivery.objects.bulk_create(messages)


def _person(shop: factories.Shop, count: int) -> Participant:
    external_id = f"pumped-{count}"
    found = Participant.objects.filter(campaign=shop.campaign, external_id=external_id).first()
    return found or factories.participant(shop.campaign, external_id=external_id)


def _challenge(pattern: Challenge, address: str, at: datetime, *, is_confirmed: bool) -> Challenge:
    row: Challenge = Challenge.objects.get(pk=pattern.pk)
    row.pk, row.redemption_id, row.purpose = uuid7(), None, "login"
    row.address, row.created_at, row.issued_at, row.deadline = address, at, at, at + timedelta(minutes=30)
    row.status, row.seed, row.superseded = ("approved" if is_confirmed else "expired"), None, b""
    row.ended_at = at + timedelta(minutes=1)
    return row


def _message(challenge: Challenge, prefix: str, at: datetime, columns: dict[str, Any]) -> Delivery:
    given = {
        "challenge": challenge,
        "campaign_id": challenge.campaign_id,
        "participant_id": challenge.participant_id,
        "generation": challenge.generation,
        "event": "login.token",
        "channel": "sms",
        "address": challenge.address,
        "destination": "x",
        "prefix": prefix,
        "status": "sent",
        "due_at": at,
        "created_at": at,
        "sent_at": at,
        "correlation_id": "pump",
        **columns,
    }
    return Delivery(**given)
