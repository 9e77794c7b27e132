"""What is wrong with a text, told to whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NAMES_NOBODY = _("It does not say who asks: use {{ requester }}.")
NO_TEXT = _("The text itself is missing: not every reader shows the rest.")
CANNOT_BE_MADE = _("The frame of this message cannot be rendered. Ask whoever runs this installation.")
NOT_APART = _("“%(name)s” must stand by itself: put a space before and after it.")
UNKNOWN = _("There is no such message.")
LINK = _("Links, and what a phone takes for one, do not go into this message. Is there no space after a dot?")
NOT_AN_ELEMENT = _(
    "%(what)s is not allowed here, or not closed where it belongs. Allowed, without attributes: %(allowed)s."
)


class Fault(Exception):
    """What is wrong with a text, in words, and where; ``span`` is what can be left out to look for more.

    ``values`` go into the words when they are read: a text is looked through in its own language, and whoever wrote it
    may read another one.
    """

    def __init__(
        self,
        reason: StrOrPromise,
        *,
        line: int = 0,
        column: int = 0,
        span: tuple[int, int] | None = None,
        **values: str,
    ) -> None:
        super().__init__(reason)
        self.reason, self.line, self.column, self.span, self.values = reason, line, column, span, values

    def __str__(self) -> str:
        said = str(self.reason) % self.values if self.values else str(self.reason)
        if not self.line:
            return said
        place = str(_("Line %(line)d, character %(column)d:")) % {"line": self.line, "column": self.column}
        return f"{place} {said}"


def place(source: str, start: int, end: int | None = None) -> dict[str, Any]:
    """Return line and column of a place in a text, both from 1, and its span where it has an end."""
    before = source[:start]
    line, column = before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
    return {"line": line, "column": column, "span": None if end is None else (start, end)}


def without(source: str, span: tuple[int, int]) -> str:
    """Return a text with blanks in the place of a fault, so that all else stands where it stood.

    Where it is the head of an ``if`` one that says nothing takes its place: its end stays one.
    """
    start, end = span
    is_condition = source[start:end].removeprefix("{%").split()[:1] == ["if"]
    return source[:start] + ("{%if 1%}" if is_condition else "").ljust(end - start) + source[end:]
