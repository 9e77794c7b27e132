"""Parked completions: the machine has given up, and a member of staff who looked decides."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from twofa.exceptions import WrongState
from twofa.flows import completions, reservations, settlements
from twofa.flows.history import Actor, Trail
from twofa.flows.turns import locked
from twofa.models import Failure, Redemption

Status, Points = Redemption.Status, Redemption.Points


def retry(pk: UUID, *, actor: Actor, reason: str) -> Redemption:
    """Try a parked completion again, by a member of staff. Raises: WrongState."""
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        if not redemption.is_parked:
            raise WrongState(redemption=redemption)
        # Not 0: that calls were made stays known, so that no refusal of ours gives back what one may have spent.
        redemption.move(at=redemption.read_at, parked_at=None, completion_tries=1, due_at=redemption.read_at)
        trail = Trail(actor, redemption.read_at)
        trail.add("redemption.completion_retried", redemption, reason=reason)
        trail.write()
    completions.drive(pk)
    return Redemption.objects.select_related("campaign", "participant").get(pk=pk)


def fail(pk: UUID, *, actor: Actor, reason: str) -> Redemption:
    """Fail a parked completion and give the points back, by a member of staff who looked. Raises: WrongState."""
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        if not redemption.is_parked:
            raise WrongState(redemption=redemption)
        at = redemption.read_at
        if redemption.points == Points.NONE:
            # A remote reserve may have succeeded without our hearing of it: release is asked for, to be sure.
            redemption.move(at=at, points=Points.RESERVED)
        redemption.move(
            at=at,
            status=Status.FAILED,
            failure_code=Failure.FAILED_BY_STAFF,
            completion_tries=0,
            due_at=at,
            parked_at=None,
        )
        trail = Trail(actor, at)
        trail.add("redemption.failed", redemption, reason=reason)
        trail.write()
    released = reservations.release(pk)
    if released.batch_id is not None:
        settlements.settle(released.batch_id)
    return released
