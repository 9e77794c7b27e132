"""What the caller should do next: the same answer in API, admin and demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twofa.models import Challenge, Delivery, Redemption, RedemptionBatch

POLL_SECONDS = 2
REVIEW_POLL_SECONDS = 30
"""After so many seconds it is worth looking again whether staff have decided."""


@dataclass(frozen=True)
class NextAction:
    """One thing to do: its type, when it may be done, or after how many seconds to look again."""

    type: str
    available_at: datetime | None = None
    poll_after: int | None = None


NONE = NextAction("none")
CONFIRM = NextAction("confirm_token")
HELD = NextAction("wait", poll_after=REVIEW_POLL_SECONDS)
"""Of a device that staff have to release: nothing else helps."""


def of_redemption(redemption: Redemption) -> NextAction:
    """Return what to do about a redemption, as it was read."""
    challenge = redemption.deciding_challenge
    if redemption.status == Redemption.Status.PENDING and challenge is not None:
        return of_challenge(challenge, redemption.read_at)
    if redemption.status == Redemption.Status.SCHEDULED and not redemption.is_time:
        return NextAction("wait", available_at=redemption.scheduled_for)
    if redemption.status in Redemption.COMPLETABLE:
        return NextAction("wait", poll_after=POLL_SECONDS)
    return NONE


def of_batch(batch: RedemptionBatch) -> NextAction:
    """Return what to do about a batch, as it was read."""
    if batch.status == RedemptionBatch.Status.PENDING:
        return of_challenge(batch.challenge, batch.read_at)
    return NextAction("wait", poll_after=POLL_SECONDS) if batch.status == RedemptionBatch.Status.COMPLETING else NONE


def of_challenge(challenge: Challenge, at: datetime) -> NextAction:
    """Return what to do about a challenge at ``at``: type the token, ask for another, or nothing more."""
    if challenge.is_final or challenge.is_past_deadline(at):
        return NONE
    if challenge.delivery_status in Delivery.UNDELIVERED:
        return NextAction("resend_token", available_at=at)
    if challenge.is_token_expired(at):
        return (
            NextAction("resend_token", available_at=challenge.resend_available_at)
            if challenge.resends_remaining
            else NONE
        )
    return CONFIRM
