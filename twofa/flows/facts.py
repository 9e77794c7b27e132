"""What must be read after the locks, in one statement each: the clock, the budgets, what may have changed meanwhile.

Plain SQL, because each is one round trip with half a dozen counts in the hot path. ``statement_timestamp()`` and not
``now()``: it is the start of *this* statement, so of a time after the lock was granted; and unlike
``clock_timestamp()`` it is stable, so that the indexes on ``created_at`` serve the windows of 24 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connection, connections

from twofa.models import Campaign, Challenge, Delivery, Device, Event, Participant, Redemption, statements

DAY = timedelta(hours=24)
ATTEMPT_FAILED = "challenge.attempt_failed"

_CLOCKS = {
    "postgresql": ("statement_timestamp()", "statement_timestamp() - interval '24 hours'"),
    "sqlite": ("STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')", "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 day')"),
}
_TABLES = {
    model.__name__.lower(): model._meta.db_table
    for model in (Campaign, Challenge, Delivery, Device, Event, Participant, Redemption)
} | {"account": get_user_model()._meta.db_table}

_FAILED_ATTEMPTS = """
    (SELECT count(*) FROM {event}
      WHERE participant_id = %(participant)s AND type = %(attempt_failed)s AND created_at > {yesterday})"""

_BUDGETS = (
    """
SELECT {now},
    (SELECT 1 FROM {redemption}
      WHERE storefront_id = %(storefront)s AND campaign_id = %(campaign)s AND order_id = %(order)s),
    (SELECT count(*) FROM {challenge}
      WHERE participant_id = %(participant)s AND status = 'pending' AND purpose <> 'device' AND deadline > {now}),"""
    + (_FAILED_ATTEMPTS)
    + """,
    (SELECT count(*) FROM {delivery} WHERE participant_id = %(participant)s AND created_at > {yesterday}),
    (SELECT count(*) FROM {delivery} WHERE address = %(address)s AND created_at > {yesterday}),
    CASE WHEN %(campaign_capped)s
        THEN (SELECT count(*) FROM {delivery} WHERE campaign_id = %(campaign)s AND created_at > {yesterday})
        ELSE 0 END,
    (SELECT coalesce(sum(amount), 0) FROM {redemption}
      WHERE participant_id = %(participant)s AND created_at > {yesterday}
        AND status IN ('pending_2fa_approval', 'approved', 'scheduled', 'completed'))
"""
)

_STANDING = (
    """
SELECT {now}, campaign.is_active, participant.is_active AND {account_active}, device.status, device.usable_from,"""
    + (_FAILED_ATTEMPTS)
    + """
FROM {challenge} AS challenge
JOIN {campaign} AS campaign ON campaign.id = challenge.campaign_id
LEFT JOIN {participant} AS participant ON participant.id = challenge.participant_id
LEFT JOIN {account} AS account ON account.{account_key} = participant.user_id
LEFT JOIN {device} AS device ON device.id = challenge.device_id
WHERE challenge.id = %(challenge)s
"""
)


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
    failed_attempts: int

    @property
    def device_usable(self) -> bool:
        """Tell whether the contact is active and does not cool off."""
        usable_from = self.device_usable_from
        return self.device_status == Device.Status.ACTIVE and usable_from is not None and usable_from <= self.at


def budgets(
    *, participant: Participant, campaign: Campaign, address: str, storefront_id: int | None = None, order_id: str = ""
) -> Budgets:
    """Read the clock and the budgets; call it with the participant locked."""
    at, exists, opened, failed, of_participant, to_destination, of_campaign, spent = _row(
        _BUDGETS,
        participant=participant.pk,
        campaign=campaign.pk,
        campaign_capped=campaign.sends_per_campaign_per_day is not None,
        address=address,
        storefront=storefront_id,
        order=order_id,
        attempt_failed=ATTEMPT_FAILED,
    )
    return Budgets(
        at=_time(at),
        order_exists=exists is not None,
        open_challenges=opened,
        failed_attempts=failed,
        sends_of_participant=of_participant,
        sends_to_destination=to_destination,
        sends_of_campaign=of_campaign,
        spent=Decimal(str(spent)),
    )


def standing(challenge: Challenge) -> Standing:
    """Read the clock and who may still take part; call it with the challenge locked."""
    at, campaign_active, participant_active, status, usable_from, failed = _row(
        _STANDING,
        challenge=_prepared(challenge.pk),
        participant=challenge.participant_id,
        attempt_failed=ATTEMPT_FAILED,
    )
    return Standing(
        at=_time(at),
        campaign_active=bool(campaign_active),
        participant_active=participant_active is None or bool(participant_active),
        device_status=status,
        device_usable_from=None if usable_from is None else _time(usable_from),
        failed_attempts=failed,
    )


def lock_destination(*, address: str, campaign: Campaign) -> None:
    """Take turns with whoever else sends to ``address`` (or spends the campaign's budget) until the commit.

    Different participants may share an address, so no row lock orders them, and two counts made at the same time would
    both find the last place free. SQLite needs none: its transactions are IMMEDIATE, so one at a time.
    """
    if connection.vendor != "postgresql":
        return
    names = [f"twofa:destination:{address}"]
    if campaign.sends_per_campaign_per_day is not None:
        names.insert(0, f"twofa:campaign:{campaign.pk}")
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _row(template: str, **params: Any) -> tuple[Any, ...]:
    database = connections[DEFAULT_DB_ALIAS]
    with database.cursor() as cursor:
        cursor.execute(_composed(template, database.vendor), params)
        row: tuple[Any, ...] = cursor.fetchone()
    return row


@lru_cache(maxsize=8)
def _composed(template: str, vendor: str) -> str:
    now, yesterday = _CLOCKS[vendor]
    return template.format(now=now, yesterday=yesterday, **_TABLES, **statements.account_names())


def _prepared(pk: UUID) -> Any:
    return Challenge._meta.pk.get_db_prep_value(pk, connection)


def _time(value: datetime | str) -> datetime:
    """Return a driver's time in UTC. SQLite's clock is a text, and its columns come without a zone."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
