"""One table of what happened, whoever asks: events, messages and attempts in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.explanations import who
from twofa.admin.sections import Cell, Section, cells, moment, tone_of
from twofa.models import Channel, Delivery, Event, Unbound

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

HEADERS = (
    _("when"),
    _("what"),
    _("who"),
    _("channel"),
    _("details"),
    _("provider's id"),
    _("correlation id"),
)
TITLE = _("Timeline, from the first to the last")
LATEST_EVENTS = _("Latest events, the newest first")
MOST = 200
READ = MOST + 1
"""How many rows of a kind are read for a timeline: one more than it shows tells that there are more."""
CUT = _("Only the newest %(count)d lines are shown.")
AFTER = 2**63
"""A message is queued by the event of the same moment, so it stands after it."""


_OF_PROVIDER = ("delivery.sent", "delivery.delivered")


def nowhere(_row: Model) -> str:
    """Return the address of a row's page, for those who may open none."""
    return ""


def timeline(
    events: Iterable[Event],
    deliveries: Iterable[Delivery] = (),
    *,
    title: StrOrPromise = TITLE,
    newest_first: bool = False,
    way: Callable[[Model], str] = nowhere,
) -> Section:
    """Return events and deliveries as one table; ``way`` tells where a row's own page is, if it may be opened."""
    listed = list(deliveries)
    known = {delivery.pk: delivery for delivery in listed}
    told = [(event.created_at, event.pk, _event_row(event, known, way)) for event in events]
    told += [(delivery.created_at, AFTER, _delivery_row(delivery, way)) for delivery in listed]
    told.sort(key=_when)
    lines = [line for _at, _pk, line in told[-MOST:]]
    note = CUT % {"count": MOST} if len(told) > MOST else ""
    return Section(title, HEADERS, lines[::-1] if newest_first else lines, note=note, anchor="timeline")


def _when(line: tuple[datetime, int, list[Cell]]) -> tuple[datetime, int]:
    return line[0], line[1]


def _event_row(event: Event, known: dict[int, Delivery], way: Callable[[Model], str]) -> list[Cell]:
    state = event.type.rpartition(".")[2]
    tone = tone_of(state) if event.type.startswith(("redemption.", "batch.", "challenge.", "delivery.")) else ""
    data = dict(event.data)
    # By which the event is found. Whoever reads it is on the page of that batch, or on that of one of its lines.
    data.pop("batch", None)
    return cells(
        Cell(moment(event.created_at), url=way(event)),
        Cell(event.label, tone=tone),
        who(event),
        _channel(str(data.pop("channel", "")), str(data.pop("destination", ""))),
        words.details(data) or "—",
        _provider_id(known.get(event.delivery_id or 0) if event.type in _OF_PROVIDER else None),
        event.correlation_id or "—",
    )


def _delivery_row(delivery: Delivery, way: Callable[[Model], str]) -> list[Cell]:
    parts = [
        str(delivery.get_status_display()),
        words.reason(delivery.reason),
        str(_("token number %(number)d") % {"number": delivery.generation}) if delivery.generation else "",
        str(_("tries: %(tries)d") % {"tries": delivery.tries}) if delivery.tries else "",
    ]
    return cells(
        moment(delivery.created_at),
        Cell(
            _("Message: %(message)s") % {"message": delivery.message_label},
            url=way(delivery),
            tone=tone_of(delivery.status),
        ),
        "—",
        _channel(delivery.channel, delivery.destination),
        " · ".join(part for part in parts if part),
        _provider_id(delivery),
        delivery.correlation_id or "—",
    )


def _channel(channel: str, destination: str) -> str:
    name = str(dict([*Channel.choices, *Unbound.choices]).get(channel, channel))
    return " ".join(part for part in (name, destination) if part) or "—"


def _provider_id(delivery: Delivery | None) -> str:
    if delivery is None:
        return "—"
    return f"{delivery.provider} {delivery.provider_message_id}".strip() or "—"
