"""Whose turn it is: one redemption locked for a call of the host's, and the pauses between such calls."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import BooleanField, DateTimeField, DurationField, JSONField

from twofa.conf import conf
from twofa.exceptions import NotFound
from twofa.flows.history import Trail
from twofa.models import Campaign, Challenge, Participant, Redemption, statements

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(hours=1)
GRACE = timedelta(seconds=30)
"""How long whoever approved a redemption has to complete it before the sweeper does."""

_LOCKED = statements.Select(
    """FROM {redemption} JOIN {campaign} ON campaign.id = redemption.campaign_id
    JOIN {participant} ON participant.id = redemption.participant_id
    JOIN {account} ON account.{account_key} = participant.user_id WHERE redemption.id = %(pk)s""",
    redemption=Redemption,
    joined={"campaign": Campaign, "participant": Participant, "account": get_user_model(), "challenge": Challenge},
    extra={
        "at": ("{clock}", DateTimeField()),
        "campaign_active": ("campaign.is_active", BooleanField()),
        "participant_active": ("participant.is_active", BooleanField()),
        "user_active": ("{account_active}", BooleanField()),
        "is_confirmed": (
            """NOT redemption.two_factor_required OR EXISTS (SELECT 1 FROM {challenge}
            WHERE challenge.redemption_id = redemption.id AND challenge.status = 'approved') OR EXISTS (SELECT 1
            FROM {challenge} WHERE challenge.batch_id = redemption.batch_id AND challenge.status = 'approved')""",
            BooleanField(),
        ),
        "schedule_grace": ("campaign.schedule_grace", DurationField()),
        "message_switches": ("campaign.message_switches", JSONField()),
    },
    lock=("redemption",),
)


def backoff(tries: int) -> timedelta:
    """Return the pause after ``tries`` failures: doubled each time, with jitter, so that a crowd spreads."""
    jitter: float = 1 + secrets.randbelow(250) / 1000
    doublings: int = 2 ** min(tries, 12)
    return min(FIRST_DELAY * doublings, LONGEST_DELAY) * jitter


def locked(pk: UUID) -> Redemption:
    """Return the redemption, locked, and the time.

    The time is read with the lock, so it may be of before the wait for it: good enough here, where it dates what was
    decided already. Held against the time of a schedule it errs on the side of what was asked for: nothing is executed
    early, and what waited for this lock is not late by the wait.
    """
    row = _LOCKED.row(pk=pk)
    if row is None:
        raise NotFound
    redemption: Redemption = row["redemption"]
    redemption.read_at = row["at"]
    redemption.is_confirmed = row["is_confirmed"]
    redemption.is_active = row["campaign_active"] and row["participant_active"] and row["user_active"]
    # The campaign's grace of now, and not of then: after a long failure staff can still let what is late go through.
    scheduled_for = redemption.scheduled_for
    redemption.executable_until = None if scheduled_for is None else scheduled_for + row["schedule_grace"]
    redemption.message_switches = row["message_switches"]
    return redemption


def put_down(redemption: Redemption, trail: Trail) -> None:
    """Put an approved redemption down for its time, where it has one and its points are set aside."""
    if redemption.scheduled_for is None or redemption.points != Redemption.Points.RESERVED:
        return
    redemption.move(at=trail.at, status=Redemption.Status.SCHEDULED, due_at=redemption.scheduled_for)
    trail.add("redemption.scheduled", redemption, scheduled_for=redemption.scheduled_for.isoformat())


def park(redemption: Redemption, trail: Trail, tries: int) -> None:
    """Leave it to staff: the machine does not know whether the points were spent, and must not guess."""
    redemption.move(at=trail.at, completion_tries=tries, due_at=None, parked_at=trail.at)
    trail.add("redemption.parked", redemption, tries=tries)


def postpone(redemption: Redemption, trail: Trail, event: str, *, parks: bool, announced: bool = False) -> None:
    """Try again later; after the last try park it in sight of staff, where no deadline ends it."""
    tries = redemption.completion_tries + (not announced)
    if parks and tries >= conf.completion_max_tries:
        park(redemption, trail, tries)
        return
    redemption.move(at=trail.at, completion_tries=tries, due_at=trail.at + backoff(tries - 1))
    trail.add(event, redemption, tries=tries)


def with_known(redemption: Redemption, known: Redemption | None) -> Redemption:
    """Spare the queries for what the caller's copy of the row has loaded: its campaign, participant and challenge."""
    if known is None:
        return redemption
    cache = known._state.fields_cache
    for name in ("campaign", "participant", "storefront", "approver"):
        # Only where it is still the same one: a row written to by hand may point elsewhere.
        if name in cache and getattr(known, f"{name}_id") == getattr(redemption, f"{name}_id"):
            redemption._state.fields_cache[name] = cache[name]
    if "challenge" in cache:
        redemption._state.fields_cache["challenge"] = cache["challenge"]
    return redemption
