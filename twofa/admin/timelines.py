"""One table of what happened, whoever asks: events and messages in the order of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.sections import Cell, Section, cells, moment, tone_of
from twofa.models import Delivery, Event

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

HEADERS = (_("when"), _("what"), _("who"), _("details"), _("correlation id"))
TITLE = _("Timeline")
MOST = 200
AFTER = 2**63
"""A message is queued by the event of the same moment, so it stands after it."""


def timeline(events: Iterable[Event], deliveries: Iterable[Delivery] = (), *, title: StrOrPromise = TITLE) -> Section:
    """Return events and deliveries as one table, oldest first."""
    told = [(event.created_at, event.pk, _event_row(event)) for event in events]
    told += [(delivery.created_at, AFTER, _delivery_row(delivery)) for delivery in deliveries]
    return Section(title, HEADERS, [line for _at, _pk, line in sorted(told, key=_when)], anchor="timeline")


def _when(line: tuple[datetime, int, list[Cell]]) -> tuple[datetime, int]:
    return line[0], line[1]


def who(event: Event) -> str:
    """Return the actor of an event: its kind, and its name where it has one."""
    kind = str(event.get_actor_kind_display())
    return f"{event.actor} ({kind})" if event.actor else kind


def _event_row(event: Event) -> list[Cell]:
    state = event.type.rpartition(".")[2]
    tone = tone_of(state) if event.type.startswith(("redemption.", "challenge.", "delivery.")) else ""
    return cells(
        moment(event.created_at),
        Cell(event.label, tone=tone),
        who(event),
        words.details(event.data),
        event.correlation_id,
    )


def _delivery_row(delivery: Delivery) -> list[Cell]:
    parts = [
        f"{delivery.get_channel_display()} {delivery.destination}",
        str(delivery.get_status_display()),
        words.reason(delivery.reason),
        str(_("token number %(number)d") % {"number": delivery.generation}) if delivery.generation else "",
        str(_("tries: %(tries)d") % {"tries": delivery.tries}) if delivery.tries else "",
        str(_("provider's id: %(id)s") % {"id": delivery.provider_message_id}) if delivery.provider_message_id else "",
    ]
    return cells(
        moment(delivery.created_at),
        Cell(_("Message: %(message)s") % {"message": delivery.message_label}, tone=tone_of(delivery.status)),
        "—",
        " · ".join(part for part in parts if part),
        delivery.correlation_id,
    )
