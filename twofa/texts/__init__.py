"""Texts of messages that staff write: a small language, read strictly, so that no text of theirs can lose the token.

It is a part of Django's: variables, ``if`` and ``for``. Nothing loads, includes or reaches into an object, because the
engine knows no such tag, no loader and no library, and whatever is parsed is looked through node by node. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.template import Context
from django.utils.translation import gettext_lazy as _

from twofa import wording
from twofa.texts import language, proof
from twofa.texts.faults import (
    CANNOT_BE_MADE,
    LINK,
    NAMES_NOBODY,
    NO_TEXT,
    NOT_AN_ELEMENT,
    UNKNOWN,
    Fault,
    place,
    without,
)
from twofa.texts.markup import ELEMENTS, html_fault
from twofa.texts.variables import REQUESTER, known, required

__all__ = [
    "CANNOT_BE_MADE",
    "ELEMENTS",
    "LONGEST",
    "NAMES_NOBODY",
    "NOT_AN_ELEMENT",
    "NO_TEXT",
    "REQUESTER",
    "UNKNOWN",
    "Fault",
    "Text",
    "ensure_no_link",
    "faults",
    "html_fault",
    "known",
    "read",
    "required",
]

LONGEST = {"subject": 200, "text": 2000, "html": 10_000}
"""Characters of each part: a message is no book, and what is looked through has an end."""
LONGEST_SMS = 600
_VARIABLE = re.compile(r"\A\{\{\s*(\w+)")
_MOST = 8
"""Faults that are told at once: who has made as many begins anew."""


@dataclass(frozen=True)
class Text:
    """A text that was read, and what it shows whichever way its branches go."""

    template: Any
    shown: frozenset[str]
    shown_to_approver: frozenset[str]

    def render(self, context: Mapping[str, Any], *, as_html: bool = False) -> str:
        """Return the text with the values of ``context``, escaped where it is HTML."""
        return str(self.template.render(Context(dict(context), autoescape=as_html, use_l10n=False)))


def read(source: str, *, event: str, channel: str, part: str) -> Text:
    """Read a text that staff wrote for one part of one message. Raises: Fault."""
    template = _parsed(source, event, channel, part)
    for fault in _unshown(template, event, part):
        raise fault
    shown, to_approver = _seen(template)
    return Text(template, shown.always, to_approver.always)


def faults(source: str, *, event: str, channel: str, part: str) -> list[Fault]:
    """Return what is wrong with a text, as far as it can be told at once; nothing where ``read`` takes it.

    What is wrong is left out and the rest looked at again. Where that cannot be, the look ends: what would be found
    then may come of the gap, and not of whoever wrote it.
    """
    found: list[Fault] = []
    rest = source
    while len(found) < _MOST:
        try:
            template = _parsed(rest, event, channel, part)
        except Fault as fault:
            span = fault.span
            if found and (span is None or span[0] in {earlier.span[0] for earlier in found if earlier.span}):
                return found
            found.append(fault)
            if span is None:
                return found
            rest = without(rest, span)
        else:
            # A variable that was left out is there, and at fault for something else.
            spans = [fault.span for fault in found if fault.span]
            shown = {name for start, end in spans for name in _VARIABLE.findall(source[start:end])}
            return [*found, *_unshown(template, event, part, shown)]
    return found


def _parsed(source: str, event: str, channel: str, part: str) -> Any:
    _ensure_short(source, channel, part)
    return language.parsed(source, event=event, channel=channel, part=part)


def _seen(template: Any) -> tuple[proof.Seen, proof.Seen]:
    """Return what is shown whichever way the branches go, and what of them whoever approves for another one sees."""
    shown = proof.shown(template.nodelist, frozenset(), given=frozenset())
    return shown, proof.shown(template.nodelist, frozenset(), given=frozenset({REQUESTER}))


def ensure_no_link(rendered: str, context: Mapping[str, Any]) -> None:
    """Raise where a message to a phone reads as a link that its words make: by branches, a filter, a value's end.

    Whoever writes texts is one person, and links in such messages take two. The values that are links by themselves are
    the campaign's own name and the one that the campaign allows; others were made safe. Raises: Fault.
    """
    values = [value for value in context.values() if isinstance(value, str) and wording.has_link(value)]
    for value in sorted(values, key=len, reverse=True):
        rendered = re.sub(re.escape(value), "x", rendered, flags=re.IGNORECASE)
    if wording.has_link(rendered):
        raise Fault(LINK)


def _ensure_short(source: str, channel: str, part: str) -> None:
    most = LONGEST_SMS if channel == "sms" else LONGEST[part]
    if len(source) > most:
        raise Fault(_("At most %(count)d characters.") % {"count": most})
    hidden = wording.invisible(source)
    if hidden:
        raise Fault(
            _("It has a character that cannot be seen (%(code)s). Delete it.") % {"code": f"U+{ord(hidden):04X}"},
            **place(source, source.index(hidden), source.index(hidden) + 1),
        )


def _unshown(template: Any, event: str, part: str, besides: Collection[str] = ()) -> Iterator[Fault]:
    """Give what is missing in some case, and what comes too late; of those ``besides`` nothing is said."""
    wanted, cases = [name for name in required(event, part=part) if name not in besides], _seen(template)
    missing = [name for name in wanted if any(name not in seen.always for seen in cases)]
    if missing:
        yield Fault(
            _("It must show %(names)s, in every case: not only inside of an “if” or a “for”.")
            % {"names": ", ".join("{{ " + name + " }}" for name in missing)}
        )
    # Of what is missing nothing comes too late, and nothing at all where the token is.
    is_there = "token" in wanted and "token" not in missing
    there = [name for name in wanted if name not in ("token", *missing)] if is_there else []
    late = [name for name in there if any(name not in (seen.before_token or ()) for seen in cases)]
    if late:
        yield Fault(
            _("%(names)s must come before the token: it is what the participant approves.")
            % {"names": ", ".join("{{ " + name + " }}" for name in late)}
        )
