"""Tables below the fields of a page: plain cells, escaped by the template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NOTHING = _("Nothing yet.")
GOOD, BAD, OPEN, ENDED = "good", "bad", "open", "ended"
"""Tones: a colour beside the words, which say the same."""

_TONES = {
    "completed": GOOD,
    "partly_completed": BAD,
    "completing": OPEN,
    "approved": GOOD,
    "active": GOOD,
    "sent": GOOD,
    "delivered": GOOD,
    "required": GOOD,
    "attempt_failed": BAD,
    "failed": BAD,
    "rejected": BAD,
    "pending": OPEN,
    "open": OPEN,
    "pending_2fa_approval": OPEN,
    "scheduled": OPEN,
    "queued": OPEN,
    "sending": OPEN,
    "reserved": OPEN,
    "optional": OPEN,
}


@dataclass(frozen=True)
class Cell:
    """One cell: its words, the page they lead to, and a tone."""

    text: object
    url: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """A titled table; ``empty`` is said where it has no rows."""

    title: StrOrPromise
    headers: tuple[StrOrPromise, ...]
    rows: list[list[Cell]]
    empty: StrOrPromise = NOTHING
    note: StrOrPromise = ""
    anchor: str = ""

    @property
    def lines(self) -> list[list[tuple[StrOrPromise, Cell]]]:
        """Return the rows with each cell beside its header, which a narrow screen shows with it."""
        return [list(zip(self.headers, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Lead:
    """What a page says before all else: sentences, each in pieces of which some are links."""

    lines: list[list[Cell]]


def tone_of(state: str) -> str:
    """Return the tone of a state."""
    return _TONES.get(state, ENDED)


def badge(tone: str, label: StrOrPromise) -> SafeString:
    """Return a label with the mark of its tone."""
    return format_html('<span class="twofa-tone twofa-tone-{}">{}</span>', tone, label)


def moment(at: datetime | None) -> str:
    """Return a time to the second, in the time zone of the page."""
    # A format of the language with seconds: Django's own ones have none. Translators write it in Django's letters.
    return "—" if at is None else formats.date_format(timezone.localtime(at), str(_("Y-m-d H:i:s")))


def day(on: date) -> str:
    """Return a day as the page's other times are written."""
    return formats.date_format(on, str(_("Y-m-d")))


def cells(*given: object) -> list[Cell]:
    """Return a row; what is not a cell becomes one."""
    return [cell if isinstance(cell, Cell) else Cell(cell) for cell in given]
