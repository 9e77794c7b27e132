"""What is told of one redemption: read in a few statements, whatever its page shows of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from twofa.admin import explanations
from twofa.admin.explanations import Story
from twofa.admin.sections import Cell, Lead
from twofa.admin.timelines import READ
from twofa.models import Challenge, Delivery, Event, Redemption, RedemptionBatch

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Row = TypeVar("Row", bound=Model)
Points = Redemption.Points
POSITIONS: dict[str, StrOrPromise] = {
    Points.NONE: _("not set aside"),
    Points.RESERVED: _("set aside: neither spent nor free"),
    Points.COMPLETED: Points.COMPLETED.label,
    Points.RELEASED: Points.RELEASED.label,
}
FIRST_VERSION = 1


def challenge_of(row: Redemption | RedemptionBatch) -> Challenge | None:
    """Return the challenge of a redemption or a batch that has one, of a line its batch's; read once for each page."""
    if not row.two_factor_required:
        return None
    cache = row._state.fields_cache
    if "challenge" not in cache:
        is_alone = isinstance(row, Redemption) and row.batch_id is None
        batch = row.batch_id if isinstance(row, Redemption) else row.pk
        about = Q(redemption=row.pk) if is_alone else Q(batch=batch)
        cache["challenge"] = Challenge.objects.defer(*Challenge.SECRET_COLUMNS).filter(about).first()
    challenge: Challenge | None = cache["challenge"]
    return challenge


def read(redemption: Redemption) -> Story:
    """Return the newest events and deliveries of a redemption, in the order of time."""
    challenge = challenge_of(redemption)
    if challenge is None:
        events = Event.objects.filter(redemption=redemption).order_by("-pk")[:READ]
        return Story(redemption, None, _forwards(events), [])
    # What happened to a message is told of its challenge. Its id is read first: an equality has an index, a subquery
    # within an OR has none.
    events = Event.objects.filter(Q(redemption=redemption) | Q(challenge=challenge)).order_by("-pk")[:READ]
    deliveries = Delivery.objects.filter(challenge=challenge).defer("address").order_by("-pk")[:READ]
    return Story(redemption, challenge, _forwards(events), _forwards(deliveries))


def lead(story: Story, way: Callable[[Model], str]) -> Lead:
    """Return what became of it and why, whether a token was asked for and by which policy, and where the points are."""
    points = _("Points: %(position)s.") % {"position": POSITIONS[story.redemption.points]}
    return Lead([[Cell(explanations.outcome(story))], decision(story.redemption, way), [Cell(points)]])


def decided(row: Redemption | RedemptionBatch) -> str:
    """Return in one line whether a token was asked for, and why."""
    asked = _("Asked for a token") if row.two_factor_required else _("Not asked for a token")
    version = _("policy version %(version)d") % {"version": row.policy_version}
    return f"{asked}: {row.get_two_factor_reason_display()} ({version})."


def decision(row: Redemption | RedemptionBatch, way: Callable[[Model], str]) -> list[Cell]:
    """Return whether a token was asked for, why, and by which policy, which is a link to the change that made it."""
    asked = row.two_factor_required
    sentence = _("A token was asked for because %(reason)s;") if asked else _("No token was asked for: %(reason)s;")
    version = _("policy version %(version)d.") % {"version": row.policy_version}
    event = policy_event(row)
    said = sentence % {"reason": row.get_two_factor_reason_display()}
    return [Cell(said), Cell(version, url="" if event is None else way(event))]


def policy_event(row: Redemption | RedemptionBatch) -> Event | None:
    """Return the event that made the policy by which a row was decided, where it is still there."""
    # In the order of the index of these few: in the order of ids, the planner may walk the whole trail to find one.
    about = Event.objects.filter(campaign_id=row.campaign_id).order_by("-created_at")
    if row.policy_version == FIRST_VERSION:
        return about.filter(type="campaign.opened").first()
    return about.filter(type="campaign.policy_changed", data__policy_version=row.policy_version).first()


def _forwards(rows: QuerySet[Row]) -> list[Row]:
    return list(rows)[::-1]
