"""Texts of messages that staff write: a small language, read strictly, so that no text of theirs can lose the token.

It is a part of Django's: variables, ``if`` and ``for``. Nothing loads, includes or reaches into an object, because the
engine knows no such tag, no loader and no library, and whatever is parsed is looked through node by node. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    NOT_APART,
    UNKNOWN,
    Fault,
    place,
)
from twofa.texts.markup import ELEMENTS, html_fault
from twofa.texts.variables import APART, REQUESTER, known, required

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
    "ensure_apart",
    "ensure_no_link",
    "html_fault",
    "known",
    "read",
    "required",
]

LONGEST = {"subject": 200, "text": 2000, "html": 10_000}
"""Characters of each part: a message is no book, and what is looked through has an end."""
LONGEST_SMS = 600


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
    _ensure_short(source, channel, part)
    template = language.parsed(source, event=event, channel=channel, part=part)
    shown = proof.shown(template.nodelist, frozenset(), given=frozenset())
    to_approver = proof.shown(template.nodelist, frozenset(), given=frozenset({REQUESTER}))
    for seen in (shown, to_approver):
        _ensure_shown(seen, event, part)
    return Text(template, shown.always, to_approver.always)


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


def ensure_apart(rendered: str, context: Mapping[str, Any]) -> None:
    """Raise where what is approved or typed stands nowhere by itself, as branches made the text. Raises: Fault."""
    for name in sorted(APART & context.keys()):
        value = str(context[name])
        if value and value in rendered and not re.search(rf"(?<!\w)(?<!\w[.,]){re.escape(value)}(?![.,]?\w)", rendered):
            raise Fault(NOT_APART % {"name": "{{ " + name + " }}"})


def _ensure_short(source: str, channel: str, part: str) -> None:
    most = LONGEST_SMS if channel == "sms" else LONGEST[part]
    if len(source) > most:
        raise Fault(_("At most %(count)d characters.") % {"count": most})
    hidden = wording.invisible(source)
    if hidden:
        raise Fault(
            _("It has a character that cannot be seen (%(code)s). Delete it.") % {"code": f"U+{ord(hidden):04X}"},
            **place(source, source.index(hidden)),
        )


def _ensure_shown(seen: proof.Seen, event: str, part: str) -> None:
    wanted = required(event, part=part)
    missing = [name for name in wanted if name not in seen.always]
    if missing:
        raise Fault(
            _("It must show %(names)s, in every case: not only inside of an “if” or a “for”.")
            % {"names": ", ".join("{{ " + name + " }}" for name in missing)}
        )
    late = [name for name in wanted if name != "token" and name not in (seen.before_token or ())]
    if late:
        raise Fault(
            _("%(names)s must come before the token: it is what the participant approves.")
            % {"names": ", ".join("{{ " + name + " }}" for name in late)}
        )
