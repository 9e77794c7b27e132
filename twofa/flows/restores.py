"""After a database was put back to an earlier time.

What was pending then may have ended since: its attempts are counted from where they stood, a token that was used up
lives again, and the points that it guards may have left already. So every pending challenge is ended before the doors
open again; whoever still wants something asks for it anew.
"""

from __future__ import annotations

from django.db import transaction

from twofa import correlation
from twofa.flows import challenges, changes
from twofa.flows.history import Actor
from twofa.models import Challenge
from twofa.models.clock import now

logger = correlation.get_logger(__name__)


def end_pending(*, actor: Actor, reason: str) -> tuple[int, int]:
    """End every challenge that is pending now, give back the points that waited for it, and leave events.

    Each in a transaction of its own, so that it can be broken off and run again. What is past its deadline expires, as
    it would have without us: ``reason`` is told of the others. Return how many ended, and how many failed: those are
    in the log.
    """
    with correlation.bound(correlation.current() or correlation.accept(None)):
        pending = (
            Challenge.objects.filter(status=Challenge.Status.PENDING).order_by("deadline").select_related("campaign")
        )
        ended = failed = 0
        for challenge in list(pending):
            try:
                _end(challenge, actor, reason)
            except Exception:  # one row must not keep the others alive
                logger.exception("challenge %s was not ended", challenge.pk)
                failed += 1
            else:
                ended += 1
    return ended, failed


def _end(challenge: Challenge, actor: Actor, reason: str) -> None:
    if challenge.is_past_deadline(now()):
        challenges.expire(challenge)
    elif not challenges.cancel_order(challenge, actor=actor, reason=reason):
        with transaction.atomic(durable=True):
            changes.end_challenge(challenge, actor=actor, reason=reason)
