"""Moving a message of the outbox: its state, and the event that tells of it in the same words whoever moves it."""

from __future__ import annotations

from typing import Any

from twofa.flows.history import Trail
from twofa.models import Delivery


def move(row: Delivery, trail: Trail, status: Delivery.Status, *, guard: tuple[str, ...] = (), **changes: Any) -> None:
    """Move a row that the caller has locked or leased. Raises: TransitionRefused.

    Workers, receipts and renewals all come here: staff who look for what became of a message must not have to know
    who wrote the event to know what it holds.
    """
    row.change(guard=guard, status=status, **changes)
    # The challenge brings the redemption and the storefront with it: both are asked what became of a message.
    about = [] if row.challenge is None else [row.challenge]
    trail.add(
        f"delivery.{status.value}",
        row,
        *about,
        channel=row.channel,
        destination=row.destination,
        provider=row.provider,
        reason=row.reason,
        tries=row.tries,
        # A notice carries no token, and so has no number of one.
        generation=row.generation or None,
    )
