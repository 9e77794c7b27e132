"""What must be read after the locks, each in one statement: the clock, the budgets, what may have changed meanwhile.

Counts and sums by text of our own, because the ORM has no way to ask for half a dozen of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import BooleanField, CharField, DateTimeField, DecimalField, IntegerField

from twofa.models import Campaign, Challenge, Delivery, Device, Event, Participant, Redemption, statements

DAY = timedelta(hours=24)
ATTEMPT_FAILED = "challenge.attempt_failed"

_NUMBER, _TIME, _FLAG = IntegerField(), DateTimeField(), BooleanField()
_FAILED_ATTEMPTS = f"""(SELECT count(*) FROM {{event}} WHERE event.type = '{ATTEMPT_FAILED}'
    AND event.created_at > {{yesterday}} AND event.participant_id = """

# Different participants may share an address, so no row lock orders them, and two counts made at the same time would
# both find the last place free. SQLite needs none: its transactions are IMMEDIATE, so one at a time.
_TURNS = statements.Select(
    "",
    extra={
        "campaign": (
            "CASE WHEN %(capped)s THEN pg_advisory_xact_lock(hashtextextended(%(campaign_turn)s, 0)) END",
            CharField(),
        ),
        "destination": (
            "CASE WHEN %(address)s <> '' THEN pg_advisory_xact_lock(hashtextextended(%(destination_turn)s, 0)) END",
            CharField(),
        ),
    },
)
_BUDGETS = statements.Select(
    "",
    joined={"redemption": Redemption, "challenge": Challenge, "delivery": Delivery, "event": Event},
    extra={
        "at": ("{now}", _TIME),
        "order_exists": (
            """EXISTS (SELECT 1 FROM {redemption}
            WHERE storefront_id = %(storefront)s AND campaign_id = %(campaign)s AND order_id = %(order)s)""",
            _FLAG,
        ),
        "open_challenges": (
            """(SELECT count(*) FROM {challenge} WHERE participant_id = %(participant)s
            AND status = 'pending' AND purpose <> 'device' AND deadline > {now})""",
            _NUMBER,
        ),
        "failed_attempts": (_FAILED_ATTEMPTS + "%(participant)s)", _NUMBER),
        "sends_of_participant": (
            "(SELECT count(*) FROM {delivery} WHERE participant_id = %(participant)s AND created_at > {yesterday})",
            _NUMBER,
        ),
        "sends_to_destination": (
            "(SELECT count(*) FROM {delivery} WHERE address = %(address)s AND created_at > {yesterday})",
            _NUMBER,
        ),
        "sends_of_campaign": (
            """CASE WHEN %(capped)s
            THEN (SELECT count(*) FROM {delivery} WHERE campaign_id = %(campaign)s AND created_at > {yesterday})
            ELSE 0 END""",
            _NUMBER,
        ),
        "spent": (
            """(SELECT coalesce(sum(amount), 0) FROM {redemption}
            WHERE participant_id = %(participant)s AND created_at > {yesterday}
            AND status IN ('pending_2fa_approval', 'approved', 'scheduled', 'completed'))""",
            DecimalField(max_digits=40, decimal_places=2),
        ),
    },
)


def _standing(condition: str) -> statements.Select:
    return statements.Select(
        """FROM {challenge}
        JOIN {campaign} ON campaign.id = challenge.campaign_id
        LEFT JOIN {participant} ON participant.id = challenge.participant_id
        LEFT JOIN {account} ON account.{account_key} = participant.user_id
        LEFT JOIN {device} ON device.id = challenge.device_id
        WHERE """
        + condition,
        joined={
            "challenge": Challenge,
            "campaign": Campaign,
            "participant": Participant,
            "account": get_user_model(),
            "device": Device,
            "event": Event,
        },
        extra={
            "at": ("{now}", _TIME),
            "campaign_active": ("campaign.is_active", _FLAG),
            "participant_active": ("participant.id IS NULL OR (participant.is_active AND {account_active})", _FLAG),
            "device_status": ("device.status", CharField()),
            "device_usable_from": ("device.usable_from", _TIME),
            "device_held": ("device.held_at IS NOT NULL", _FLAG),
            "failed_attempts": (_FAILED_ATTEMPTS + "challenge.participant_id)", _NUMBER),
        },
    )


_STANDING = _standing("challenge.id = %(challenge)s")
STANDING_OF_REDEMPTION = _standing("challenge.redemption_id = %(pk)s")
"""To be read together with a redemption's lock; its row is a :class:`Standing`'s members."""


@dataclass(frozen=True)
class Budgets:
    """The clock, and what a participant, a destination and a campaign have used up of the last 24 hours."""

    at: datetime
    order_exists: bool
    open_challenges: int
    failed_attempts: int
    sends_of_participant: int
    sends_to_destination: int
    sends_of_campaign: int
    spent: Decimal


@dataclass(frozen=True)
class Standing:
    """The clock, and whether those who take part in a challenge still may."""

    at: datetime
    campaign_active: bool
    participant_active: bool
    device_status: str | None
    device_usable_from: datetime | None
    device_held: bool
    failed_attempts: int

    @property
    def device_usable(self) -> bool:
        """Tell whether the contact is active, not held, and does not cool off."""
        usable_from = self.device_usable_from
        is_ready = usable_from is not None and usable_from <= self.at
        return self.device_status == Device.Status.ACTIVE and not self.device_held and is_ready


def budgets(
    *, participant: Participant, campaign: Campaign, address: str, storefront_id: int | None = None, order_id: str = ""
) -> Budgets:
    """Take turns with whoever else sends to ``address``, or spends the campaign's budget; read clock and budgets.

    Call it with the participant locked; the turn ends with the transaction.
    """
    asked = (_TURNS, _BUDGETS) if connection.vendor == "postgresql" else (_BUDGETS,)
    *_turn, (row,) = statements.read(
        *asked,
        participant=participant.pk,
        campaign=campaign.pk,
        capped=campaign.sends_per_campaign_per_day is not None,
        campaign_turn=f"twofa:campaign:{campaign.pk}",
        address=address,
        destination_turn=f"twofa:destination:{address}",
        storefront=storefront_id,
        order=order_id,
    )
    return Budgets(**row)


def standing(challenge: Challenge) -> Standing:
    """Read the clock and who may still take part; call it with the challenge locked."""
    row: Any = _STANDING.row(challenge=challenge.pk)
    return Standing(**row)
