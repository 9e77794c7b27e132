"""What must be read after the locks, each in one statement: the clock, the budgets, what may have changed meanwhile.

Counts and sums by text of our own, because the ORM has no way to ask for half a dozen of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import BooleanField, CharField, DateTimeField, IntegerField

from twofa import contacts
from twofa.contacts import Contact
from twofa.models import (
    Approver,
    Campaign,
    Challenge,
    Channel,
    Delivery,
    Device,
    Event,
    Family,
    Participant,
    PrefixPause,
    Redemption,
    RedemptionBatch,
    SafeNumber,
    statements,
)
from twofa.models.purpose import family_sql

DAY = timedelta(hours=24)
ATTEMPT_FAILED = "challenge.attempt_failed"

_NUMBER, _TIME, _FLAG = IntegerField(), DateTimeField(), BooleanField()
NOBODY = 0
"""The key of no participant: who has no account yet has used up nothing."""


def _failed_attempts(participant: str, family: str) -> str:
    """Return the SQL that counts the wrong tokens of a participant's day in one family of purposes.

    By the index of the participant's events, and then by the keys of their challenges: as many as there are failures.
    """
    return f"""(SELECT count(*) FROM {{event}} JOIN {{failed}} ON failed.id = event.challenge_id
    WHERE event.type = '{ATTEMPT_FAILED}' AND event.created_at > {{yesterday}}
    AND event.participant_id = {participant} AND {family_sql("failed.purpose")} = {family})"""


# Different participants may share an address, and an approver receives what others ask for. So no row lock orders them,
# and two counts made at the same time would both find the last place free. SQLite needs none: its transactions are
# IMMEDIATE, so one at a time.
TURNS = (
    "campaign_turn",
    # Whoever redeems is locked, and whoever approves for them is not: two rows locked by each of two checkouts would
    # wait for one another where both people approve for both.
    "recipient_turn",
    "prefix_turn",
    "next_prefix_turn",
    "destination_turn",
    "next_destination_turn",
)
_TURNS = statements.Select(
    "",
    extra={
        name: (
            f"CASE WHEN %({name})s <> '' THEN pg_advisory_xact_lock(hashtextextended(%({name})s, 0)) END",
            CharField(),
        )
        for name in TURNS
    },
)
_TURN = statements.Select("", extra={"turn": ("pg_advisory_xact_lock(hashtextextended(%(turn)s, 0))", CharField())})
_IS_SAFE = """EXISTS (SELECT 1 FROM {safe_number}
    WHERE safe_number.removed_at IS NULL AND substr(%(address)s, 1, length(safe_number.prefix)) = safe_number.prefix)"""
_BUDGETS = statements.Select(
    "",
    joined={
        "redemption": Redemption,
        "challenge": Challenge,
        "failed": Challenge,
        "delivery": Delivery,
        "event": Event,
        "recipient": Participant,
        "account": get_user_model(),
        "prefix_pause": PrefixPause,
        "safe_number": SafeNumber,
    },
    extra={
        "at": ("{now}", _TIME),
        "order_exists": (
            """EXISTS (SELECT 1 FROM {redemption}
            WHERE storefront_id = %(storefront)s AND campaign_id = %(campaign)s AND order_id = %(order)s)""",
            _FLAG,
        ),
        "open_challenges": (
            f"""(SELECT count(*) FROM {{challenge}} WHERE participant_id = %(participant)s
            AND status = 'pending' AND deadline > {{now}} AND {family_sql("purpose")} = %(family)s)""",
            _NUMBER,
        ),
        "failed_attempts": (_failed_attempts("%(participant)s", "%(family)s"), _NUMBER),
        "sends_of_participant": (
            "(SELECT count(*) FROM {delivery} WHERE participant_id = %(recipient)s AND created_at > {yesterday})",
            _NUMBER,
        ),
        "sends_to_approver": (
            """CASE WHEN %(recipient)s = %(participant)s THEN 0
            ELSE (SELECT count(*) FROM {delivery} JOIN {challenge} ON challenge.id = delivery.challenge_id
                WHERE delivery.participant_id = %(recipient)s AND delivery.created_at > {yesterday}
                AND challenge.participant_id = %(participant)s) END""",
            _NUMBER,
        ),
        # After the turn, which an erasure takes as well: no message is stored for somebody who was just forgotten.
        "recipient_active": (
            """CASE WHEN %(recipient)s = %(participant)s THEN TRUE
            ELSE EXISTS (SELECT 1 FROM {recipient} JOIN {account} ON account.{account_key} = recipient.user_id
            WHERE recipient.id = %(recipient)s AND recipient.is_active AND {account_active}) END""",
            _FLAG,
        ),
        "sends_to_destination": (
            "(SELECT count(*) FROM {delivery} WHERE upper(address) = upper(%(address)s) AND created_at > {yesterday})",
            _NUMBER,
        ),
        "sends_of_campaign": (
            """CASE WHEN %(capped)s
            THEN (SELECT count(*) FROM {delivery} WHERE campaign_id = %(campaign)s AND created_at > {yesterday})
            ELSE 0 END""",
            _NUMBER,
        ),
        "sms_of_campaign": (
            """CASE WHEN %(sms_capped)s
            THEN (SELECT count(*) FROM {delivery}
                WHERE campaign_id = %(campaign)s AND created_at > {yesterday} AND channel = 'sms')
            ELSE 0 END""",
            _NUMBER,
        ),
        "sends_to_prefix": (
            f"""CASE WHEN %(prefix_capped)s AND NOT {_IS_SAFE}
            THEN (SELECT count(*) FROM {{delivery}}
                WHERE prefix = %(prefix)s AND prefix <> '' AND created_at > {{yesterday}})
            ELSE 0 END""",
            _NUMBER,
        ),
        # The safe list is looked at only where there is a pause: AND stops at what is false.
        "paused_until": (
            f"""(SELECT CASE WHEN max(paused_until) IS NOT NULL AND NOT {_IS_SAFE} THEN max(paused_until) END
            FROM {{prefix_pause}}
            WHERE prefix = %(prefix)s AND prefix <> '' AND ended_at IS NULL AND paused_until > {{now}})""",
            _TIME,
        ),
    },
)


IN_FORCE = """entitlement.is_active
    AND (entitlement.valid_until IS NULL OR entitlement.valid_until > {now})
    AND (entitlement.max_amount IS NULL OR entitlement.max_amount >= """
"""The condition of an entitlement that stands now; the amount, and a closing parenthesis, come after it."""
_APPROVER = "coalesce(redemption.approver_id, batch.approver_id)"
# Who approved a moment ago may not any more: asked again with each token, and before the token is looked at.
_IS_ENTITLED = f"""CASE WHEN {_APPROVER} IS NULL THEN TRUE ELSE EXISTS (
    SELECT 1 FROM {{approver}} JOIN {{account}} ON account.{{account_key}} = approver.user_id
    JOIN {{entitlement}} ON approver.id IN (entitlement.participant_id, entitlement.deputy_id)
    WHERE approver.id = {_APPROVER} AND approver.is_active AND {{account_active}}
    AND entitlement.requester_id = challenge.participant_id
    AND {IN_FORCE}coalesce(redemption.amount, batch.total))) END"""
# Of whoever must answer, and not in the hand of whoever asks: a requester who has proved the approver's phone since
# would be both people.
_IS_THEIRS = f"""device.participant_id = coalesce({_APPROVER}, challenge.participant_id)
    AND CASE WHEN {_APPROVER} IS NULL THEN TRUE ELSE NOT EXISTS (
    SELECT 1 FROM {{held}} WHERE held.participant_id = challenge.participant_id AND held.status = 'active'
    AND lower(held.address) = lower(device.address)) END"""


def _standing(condition: str) -> statements.Select:
    return statements.Select(
        """FROM {challenge}
        JOIN {campaign} ON campaign.id = challenge.campaign_id
        LEFT JOIN {participant} ON participant.id = challenge.participant_id
        LEFT JOIN {account} ON account.{account_key} = participant.user_id
        LEFT JOIN {device} ON device.id = challenge.device_id
        LEFT JOIN {redemption} ON redemption.id = challenge.redemption_id
        LEFT JOIN {batch} ON batch.id = challenge.batch_id
        WHERE """
        + condition,
        joined={
            "challenge": Challenge,
            "campaign": Campaign,
            "participant": Participant,
            "account": get_user_model(),
            "device": Device,
            "event": Event,
            "failed": Challenge,
            "redemption": Redemption,
            "batch": RedemptionBatch,
            "approver": Participant,
            "entitlement": Approver,
            "held": Device,
        },
        extra={
            "at": ("{now}", _TIME),
            "campaign_active": ("campaign.is_active", _FLAG),
            "participant_active": ("participant.id IS NULL OR (participant.is_active AND {account_active})", _FLAG),
            "device_status": ("device.status", CharField()),
            "device_usable_from": ("device.usable_from", _TIME),
            "device_is_theirs": (_IS_THEIRS, _FLAG),
            "approver_entitled": (_IS_ENTITLED, _FLAG),
            "device_held": ("device.held_at IS NOT NULL", _FLAG),
            "device_failures": ("device.failures", _NUMBER),
            "failed_attempts": (
                _failed_attempts("challenge.participant_id", family_sql("challenge.purpose")),
                _NUMBER,
            ),
        },
    )


_STANDING = _standing("challenge.id = %(challenge)s")
STANDING_OF_REDEMPTION = _standing("challenge.redemption_id = %(pk)s")
"""To be read together with a redemption's lock; its row is a :class:`Standing`'s members."""
STANDING_OF_BATCH = _standing("challenge.batch_id = %(pk)s")
"""The same for a batch."""


@dataclass(frozen=True)
class Budgets:
    """The clock, and what a participant, a destination and a campaign have used up of the last 24 hours.

    Messages are counted for whoever receives them, all else for whoever asks: they differ where somebody approves for
    another one.
    """

    at: datetime
    order_exists: bool
    open_challenges: int
    failed_attempts: int
    sends_of_participant: int
    sends_to_approver: int
    """Those that the same participant asked for, where another one receives them."""
    recipient_active: bool
    sends_to_destination: int
    sends_of_campaign: int
    sms_of_campaign: int
    """Counted where the contact is an SMS, and the campaign has a budget of them."""
    sends_to_prefix: int
    """Counted where the campaign has a budget of them, and the contact is no safe number."""
    paused_until: datetime | None
    """Until when nothing is sent to the contact's prefix."""


@dataclass(frozen=True)
class Standing:
    """The clock, and whether those who take part in a challenge still may."""

    at: datetime
    campaign_active: bool
    participant_active: bool
    device_status: str | None
    device_usable_from: datetime | None
    device_is_theirs: bool | None
    approver_entitled: bool
    device_held: bool
    device_failures: int | None
    """Wrong tokens in a row that went to the device, over all its challenges; None where it is gone."""
    failed_attempts: int
    """Of the last 24 hours, in the family of the challenge's purpose."""

    @property
    def device_usable(self) -> bool:
        """Tell whether the contact is active, not held, does not cool off, and is that of whoever must answer."""
        usable_from = self.device_usable_from
        is_ready = not self.device_held and usable_from is not None and usable_from <= self.at
        return self.device_status == Device.Status.ACTIVE and is_ready and bool(self.device_is_theirs)


def budgets(
    *,
    participant: Participant | None,
    campaign: Campaign,
    contact: Device | Contact | None,
    others: Sequence[Device] = (),
    recipient: Participant | None = None,
    family: Family = Family.ORDERS,
    storefront_id: int | None = None,
    order_id: str = "",
) -> Budgets:
    """Take turns with whoever else sends to ``contact``, or spends the campaign's budget; read clock and budgets.

    ``others`` are those that the same transaction may turn to where ``contact`` is closed: their turns are taken with
    its own, in one order for all. ``recipient`` is who gets the message, where that is not the participant, and
    ``family`` that of what is asked for. Call it with the participant locked, if there is one yet; the turns end with
    the transaction.
    """
    asks = NOBODY if participant is None else participant.pk
    receives = asks if recipient is None else recipient.pk
    asked = (_TURNS, _BUDGETS) if connection.vendor == "postgresql" else (_BUDGETS,)
    *_turn, (row,) = statements.read(
        *asked,
        participant=asks,
        recipient=receives,
        family=family.value,
        campaign=campaign.pk,
        capped=campaign.sends_per_campaign_per_day is not None,
        sms_capped=_is_sms_capped(campaign, contact),
        prefix_capped=campaign.sends_per_prefix_per_day is not None,
        address="" if contact is None else contact.address,
        prefix="" if contact is None else prefix_of(campaign, contact),
        storefront=storefront_id,
        order=order_id,
        **_turns(campaign, receives, contact, others),
    )
    return Budgets(**row)


def prefix_of(campaign: Campaign, contact: Device | Contact | Challenge) -> str:
    """Return the prefix by which messages to a contact are counted; empty where nobody is paid for one."""
    return "" if campaign.test else contacts.prefix(contact.channel, contact.address)


def _is_sms_capped(campaign: Campaign, contact: Device | Contact | None) -> bool:
    return campaign.sms_per_day is not None and contact is not None and contact.channel == Channel.SMS


def _turns(
    campaign: Campaign, receives: int, contact: Device | Contact | None, others: Sequence[Device]
) -> dict[str, str]:
    """Return whose turns to take, in the order in which everybody takes them.

    A transaction that finds its first contact closed goes on to another. If it took that one's turn only then, two of
    them, with two phones crosswise, would wait for each other. E-mail is never closed: nobody who holds its turn
    asks for another. Whoever turns to another contact of the same person has that person's turn already.
    """
    aimed = [] if contact is None else [contact, *(other for other in others if other.channel != Channel.EMAIL)]
    capped = campaign.sends_per_prefix_per_day is not None
    is_shared = campaign.sends_per_campaign_per_day is not None or campaign.sms_per_day is not None
    prefixes = sorted({prefix_of(campaign, device) for device in aimed} - {""}) if capped else []
    # As they are counted: capitals make no other mailbox.
    addresses = sorted({device.address.lower() for device in aimed})
    named = [
        f"twofa:campaign:{campaign.pk}" if is_shared else "",
        recipient_turn(receives) if aimed and receives != NOBODY else "",
        *_two([f"twofa:prefix:{prefix}" for prefix in prefixes]),
        *_two([f"twofa:destination:{address}" for address in addresses]),
    ]
    return dict(zip(TURNS, named, strict=True))


def _two(names: Sequence[str]) -> list[str]:
    """Return two names: there are two channels of phones, and so no more."""
    return [*names, "", ""][:2]


def take_turn(name: str) -> None:
    """Wait for a turn, and keep it until the transaction ends; SQLite has one at a time anyway."""
    if connection.vendor == "postgresql":
        _TURN.rows(turn=name)


def recipient_turn(participant: int) -> str:
    """Return the name of the turn of whoever sends something to a participant."""
    return f"twofa:recipient:{participant}"


def standing(challenge: Challenge) -> Standing:
    """Read the clock and who may still take part; call it with the challenge locked."""
    row: Any = _STANDING.row(challenge=challenge.pk)
    return Standing(**row)
