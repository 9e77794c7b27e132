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
from twofa.models import Challenge, Delivery, Event, Redemption

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


def challenge_of(redemption: Redemption) -> Challenge | None:
    """Return the challenge of a redemption that has one; read once for each page."""
    if not redemption.two_factor_required:
        return None
    if "challenge" not in redemption._state.fields_cache:
        redemption.challenge = Challenge.objects.defer(*Challenge.SECRET_COLUMNS).get(redemption=redemption)
    return redemption.challenge


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
    return Lead([[Cell(explanations.outcome(story))], _decision(story.redemption, way), [Cell(points)]])


def _decision(redemption: Redemption, way: Callable[[Model], str]) -> list[Cell]:
    asked = redemption.two_factor_required
    sentence = _("A token was asked for because %(reason)s;") if asked else _("No token was asked for: %(reason)s;")
    version = _("policy version %(version)d.") % {"version": redemption.policy_version}
    event = policy_event(redemption)
    said = sentence % {"reason": redemption.get_two_factor_reason_display()}
    return [Cell(said), Cell(version, url="" if event is None else way(event))]


def policy_event(redemption: Redemption) -> Event | None:
    """Return the event that made the policy which the redemption was decided by, where it is still there."""
    # In the order of the index of these few: in the order of ids, the planner may walk the whole trail to find one.
    about = Event.objects.filter(campaign_id=redemption.campaign_id).order_by("-created_at")
    if redemption.policy_version == FIRST_VERSION:
        return about.filter(type="campaign.opened").first()
    return about.filter(type="campaign.policy_changed", data__policy_version=redemption.policy_version).first()


def _forwards(rows: QuerySet[Row]) -> list[Row]:
    return list(rows)[::-1]
