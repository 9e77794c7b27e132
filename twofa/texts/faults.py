"""What is wrong with a text, told to whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NAMES_NOBODY = _("It does not say who asks: use {{ requester }}.")
NO_TEXT = _("The text itself is missing: not every reader shows the rest.")
CANNOT_BE_MADE = _("The frame of this message cannot be rendered. Ask whoever runs this installation.")
NOT_APART = _("“%(name)s” must stand by itself: put a space before and after it.")
UNKNOWN = _("There is no such message.")
LINK = _("Links, and what a phone takes for one, do not go into this message. Is there no space after a dot?")
NOT_AN_ELEMENT = _("%(what)s is not allowed here. Elements without attributes that are: %(allowed)s.")


class Fault(Exception):
    """What is wrong with a text, in words, and where."""

    def __init__(self, reason: StrOrPromise, *, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.line, self.column = reason, line, column

    def __str__(self) -> str:
        if not self.line:
            return str(self.reason)
        place = str(_("Line %(line)d, character %(column)d:")) % {"line": self.line, "column": self.column}
        return f"{place} {self.reason}"


def place(source: str, offset: int) -> dict[str, int]:
    """Return line and column of a place in a text, both from 1."""
    before = source[:offset]
    return {"line": before.count("\n") + 1, "column": offset - (before.rfind("\n") + 1) + 1}
