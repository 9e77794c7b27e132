"""Prefixes of phone numbers that cost money and bring no token back: paused by the sweeper, lifted by staff.

SMS pumping: a ring rents a range of numbers, has tokens sent to it, and shares what the carrier earns. It types no
token, because it owns no phone. So what tells it apart is how few of the tokens sent to one range come back; people
who are asked for a token answer far more often than one in ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from twofa import contacts, correlation
from twofa.conf import conf
from twofa.exceptions import PolicyRefused, WrongState
from twofa.flows.history import WORKER, Actor, Trail
from twofa.models import TOKEN_LIFE_CAP, Challenge, Delivery, PrefixPause, SafeNumber
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

PAUSED = "prefix_paused"
"""Why a message to a paused prefix failed."""
RECENT = 3 * TOKEN_LIFE_CAP
"""How far back a prefix must have got a message to be looked at: one waits and lives for twenty minutes at most, so
that what is older was judged before. Where no sweeper ran meanwhile, the next message brings its prefix back."""

SPREAD = 5
"""How many people must have asked, and for how many numbers, before a prefix is paused.

One account that answers nothing would else close ten thousand numbers in all campaigns, its neighbour's whom it wants
to stop among them. What a few people or a few numbers can cost is held by the budgets of each.
"""


def watch(at: datetime) -> int:
    """End the pauses whose time is over, pause the prefixes that earned it; return how many of both that were.

    Both by indexes, however many messages there are: so it may run with each sweep, in any number of sweepers.
    """
    ended = sum(_resume(pause, at) for pause in PrefixPause.objects.overdue(at))
    breaker = conf.prefix_breaker
    if breaker is None:
        return ended
    return ended + sum(_pause(**found, at=at, until=at + breaker["pause"]) for found in _suspects(at, breaker))


def _suspects(at: datetime, breaker: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the prefixes to which many messages went, of which hardly any was answered.

    One counts once it was confirmed, or is too old to be. What went out before a pause ended does not count again:
    staff who lift one would see it come back within the minute.
    """
    lately = Delivery.objects.filter(created_at__gt=at - RECENT).exclude(prefix="").values("prefix")
    confirmed = Q(challenge__status=Challenge.Status.APPROVED, challenge__address=F("address"))
    of_age = Q(sent_at__lte=at - F("challenge__token_ttl"))
    pauses = PrefixPause.objects.filter(prefix=OuterRef("prefix"))
    sent = (
        Delivery.objects.filter(prefix__in=lately, created_at__gt=at - breaker["window"], sent_at__isnull=False)
        .filter(confirmed | of_age, challenge__isnull=False)
        .exclude(Exists(pauses.filter(Q(ended_at=None) | Q(ended_at__gt=OuterRef("created_at")))))
        .exclude(Exists(SafeNumber.objects.of("address")))
    )
    counts = sent.order_by().values("prefix").annotate(sends=Count("pk"), confirmations=Count("pk", filter=confirmed))
    least = min(SPREAD, breaker["sends"])
    # Messages of nobody are of one each: accounts that do not exist yet cost a ring nothing.
    people = Count(Coalesce("participant_id", -F("pk")), distinct=True)
    spread = counts.annotate(people=people, numbers=Count("address", distinct=True))
    for found in spread.filter(sends__gte=breaker["sends"], people__gte=least, numbers__gte=least):
        if found["confirmations"] < found["sends"] * breaker["conversion"]:
            yield {name: found[name] for name in ("prefix", "sends", "confirmations")}


def _pause(*, prefix: str, sends: int, confirmations: int, at: datetime, until: datetime) -> int:
    pause = PrefixPause(prefix=prefix, sends=sends, confirmations=confirmations, paused_at=at, paused_until=until)
    try:
        with transaction.atomic():
            pause.save(force_insert=True)
            _record(
                "prefix.paused", pause, WORKER, sends=sends, confirmations=confirmations, paused_until=until.isoformat()
            )
    except IntegrityError:
        logger.info("another sweeper paused a prefix at the same moment")
        return 0
    return 1


def _resume(pause: PrefixPause, at: datetime) -> int:
    with transaction.atomic():
        ended = PrefixPause.objects.overdue(at).filter(pk=pause.pk).update(ended_at=F("paused_until"))
        if ended:
            _record("prefix.resumed", pause, WORKER)
    return ended


def lift(pause: PrefixPause, *, actor: Actor, reason: str) -> None:
    """Let messages go to a prefix again before its time. Raises: WrongState where they go there already."""
    with transaction.atomic():
        locked = PrefixPause.objects.select_for_update(no_key=True).get(pk=pause.pk)
        at = now()
        if not locked.is_running(at):
            raise WrongState
        locked.ended_at, locked.lifted_by = at, actor.label
        locked.save(update_fields=["ended_at", "lifted_by"])
        _record("prefix.lifted", locked, actor, reason=reason)


def is_paused(prefix: str, address: str, at: datetime) -> bool:
    """Tell whether nothing may be sent to a number now."""
    if not prefix or not PrefixPause.objects.running(at).filter(prefix=prefix).exists():
        return False
    return (
        not SafeNumber.objects.living()
        .filter(prefix__in=[address[:length] for length in range(len(address) + 1)])
        .exists()
    )


def add_safe_number(prefix: str, *, actor: Actor, reason: str) -> SafeNumber:
    """Exempt a number, or all that begin so, from pauses and from the budget of prefixes.

    Raises: PolicyRefused where it is on the list already.
    """
    try:
        with transaction.atomic():
            row = SafeNumber(prefix=prefix, reason=reason, created_by=actor.label, created_at=now())
            row.save(force_insert=True)
            _record("safe_number.added", row, actor, reason=reason)
    except IntegrityError:
        raise PolicyRefused(_("It is on the list already.")) from None
    return row


def remove_safe_number(row: SafeNumber, *, actor: Actor, reason: str) -> None:
    """Take a number off the list. Raises: WrongState where it is not on it any more."""
    with transaction.atomic():
        locked = SafeNumber.objects.select_for_update(no_key=True).get(pk=row.pk)
        if locked.removed_at is not None:
            raise WrongState
        locked.removed_at = now()
        locked.save(update_fields=["removed_at"])
        _record("safe_number.removed", locked, actor, reason=reason)


def forget(addresses: Iterable[str], *, actor: Actor) -> None:
    """Delete the safe numbers that are somebody's own whole phone, who is being erased."""
    rows = SafeNumber.objects.filter(prefix__in=list(addresses))
    for row in rows.living():
        remove_safe_number(row, actor=actor, reason="erased")
    rows.delete()


def _record(type_: str, row: PrefixPause | SafeNumber, actor: Actor, **data: Any) -> None:
    trail = Trail(actor, now())
    # A safe number is never told whole: no event holds an address.
    named = {"prefix": row.prefix} if isinstance(row, PrefixPause) else {"number": contacts.shortened(row.prefix)}
    trail.add(type_, row, **named, **data)
    trail.write()
