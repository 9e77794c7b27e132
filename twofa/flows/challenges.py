"""Challenges of any purpose: read, expire, and those of no resource of their own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from twofa.exceptions import NotFound
from twofa.flows import batch_ends, batches, redemptions, verdicts
from twofa.flows.history import WORKER, Actor, Trail
from twofa.models import ACCEPTED_KEPT, Challenge, Storefront
from twofa.models.clock import Clock, now


def get(pk: UUID, *, storefront: Storefront) -> Challenge:
    """Return a challenge as it is now: one whose deadline has passed is expired. Raises: NotFound."""
    challenge = _read(pk, storefront)
    if not challenge.is_final and challenge.is_past_deadline(challenge.read_at):
        expire(challenge)
        challenge = _read(pk, storefront)
    return challenge


def expire(challenge: Challenge) -> None:
    """End a challenge whose deadline has passed, and whatever waits for it."""
    if challenge.redemption_id is not None:
        redemptions.expire(challenge.redemption_id)
        return
    if challenge.batch_id is not None:
        batch_ends.expire(challenge.batch_id)
        return
    with transaction.atomic(durable=True):
        locked = Challenge.objects.select_for_update(no_key=True, of=("self",)).get(pk=challenge.pk)
        at = now()
        if not locked.is_final and locked.is_past_deadline(at):
            trail = Trail(WORKER, at)
            verdicts.end(locked, Challenge.Status.EXPIRED, at=at, trail=trail)
            trail.write()


def cancel_order(challenge: Challenge, *, actor: Actor, reason: str) -> bool:
    """Cancel the order that a challenge is about, if it still waits, and give its points back; tell whether it has one.

    A confirm that came first stands.
    """
    if challenge.redemption_id is not None:
        redemptions.cancel_open(challenge.redemption_id, actor=actor, reason=reason)
    elif challenge.batch_id is not None:
        batches.cancel_open(challenge.batch_id, actor=actor, reason=reason)
    else:
        return False
    return True


def forget_accepted(at: datetime) -> int:
    """Erase what recognises a repeated right token, a day after its approval; return how many."""
    rows = Challenge.objects.filter(accepted__isnull=False, ended_at__lte=at - ACCEPTED_KEPT)
    return rows.update(accepted=None)


def _read(pk: UUID, storefront: Storefront) -> Challenge:
    rows = Challenge.objects.with_delivery().select_related("redemption").annotate(clock=Clock())
    try:
        challenge = rows.get(pk=pk, storefront=storefront)
    except Challenge.DoesNotExist:
        raise NotFound from None
    challenge.read_at = vars(challenge)["clock"]
    return challenge
