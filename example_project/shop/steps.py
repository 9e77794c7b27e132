"""The checklist of the onboarding page: what is asked of the member, how far it is, and what to do next, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from example_project.shop import words
from example_project.shop.storefront import Row

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

MISSING, UNDER_REVIEW, REJECTED, APPROVED = "missing", "under_review", "rejected", "approved"
DEVICE, ANY = "device", "document"
APPROVER_DEVICE = "approver_device"
"""What is missing is not the member's: whoever approves for them has nothing that a token can go to."""
"""What a phone is called in the checklist, and any one document, where the campaign does not say which."""
CHOICES = ("cnh", "rg", "passport")
"""Kinds that a member may choose from then."""
_POLL_SECONDS = 30
_WANTED = re.compile(r"(?P<kind>[a-z_]{1,20})(?::(?P<side>[a-z]{1,10}))?\Z")

HINTS: dict[str, StrPromise] = {
    "front": _("The side with your picture. Lay it flat, in daylight, with all four corners in sight."),
    "back": _("The other side. Lay it flat, in daylight, with all four corners in sight."),
    "selfie": _("Your face from the front, in good light, without hat or sunglasses."),
    "proof_of_address": _("A bill or a letter of the last three months, with your name and address on it."),
}
_HINT = _("Lay it flat, in daylight, with all four corners in sight.")

REASONS: dict[str, tuple[StrPromise, StrPromise]] = {
    "unreadable": (_("We cannot read it."), _("Take it again in daylight, without glare, close enough to read.")),
    "expired": (_("The document has expired."), _("Send one that is valid today.")),
    "wrong_kind": (_("It shows something else."), _("Send exactly what is named above.")),
    "name_mismatch": (
        _("The name or number is not the one you gave."),
        _("Send your own document. If your name has changed, write to us first."),
    ),
    "suspected_fraud": (_("We could not accept it as genuine."), _("Send a picture of the original, not of a copy.")),
}
_REASON = (_("We could not accept it."), _("Take another picture, please."))


@dataclass(frozen=True)
class Step:
    """One thing that is asked for; ``wanted`` is its name in an address, ``anchor`` on the page."""

    wanted: str
    status: str
    may_retry: bool
    reason: str = ""
    comment: str = ""
    document: str = ""
    is_open: bool = False

    @property
    def anchor(self) -> str:
        return self.wanted.replace(":", "-").replace("_", "-")

    @property
    def kind(self) -> str:
        return self.wanted.partition(":")[0]

    @property
    def is_device(self) -> bool:
        return self.wanted == DEVICE

    @property
    def mark(self) -> str:
        """Return what changes whenever the step has something new to say."""
        return f"{self.status}:{self.document}"

    @property
    def title(self) -> str:
        if self.is_device:
            return str(_("A phone or e-mail for your tokens"))
        if self.wanted == ANY:
            return str(_("A document with your picture"))
        return words.document(self.kind, self.wanted.partition(":")[2])

    @property
    def hint(self) -> StrPromise:
        return HINTS.get(self.wanted.partition(":")[2]) or HINTS.get(self.kind) or _HINT

    @property
    def camera(self) -> str:
        """Return which camera of a phone it is taken with."""
        return "user" if self.kind == "selfie" else "environment"

    @property
    def why(self) -> tuple[StrPromise, StrPromise]:
        """Return why it was not accepted, and what to do about it."""
        return REASONS.get(self.reason, _REASON)

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Return what the member chooses from, where the campaign takes any document."""
        return tuple((kind, words.document(kind, "")) for kind in CHOICES) if self.wanted == ANY else ()


@dataclass(frozen=True)
class Checklist:
    """All of it, as the page shows it."""

    status: str
    steps: Sequence[Step]
    poll_after: int | None
    waits_until: datetime | None

    @property
    def handed_in(self) -> int:
        """Return how much is not the member's to do any more."""
        return sum(step.status in (UNDER_REVIEW, APPROVED) for step in self.steps)

    @property
    def left(self) -> int:
        return len(self.steps) - self.handed_in


def checklist(onboarding: Row, opened: str = "") -> Checklist:
    """Return the checklist of the API's answer, ``opened`` or else the first thing to do unfolded.

    After a refusal for good no picture is asked for, since none would change it; unfolded is then why.
    """
    is_over = onboarding["status"] == REJECTED
    steps = [_step(row, is_over=is_over) for row in onboarding["checklist"]]
    todo = next((step.wanted for step in steps if _is_due(step, is_over=is_over)), "")
    shown = opened if any(step.wanted == opened for step in steps) else todo
    action: dict[str, Any] = onboarding["next_action"]
    waiting = any(step.status == UNDER_REVIEW for step in steps)
    return Checklist(
        status=onboarding["status"],
        steps=[replace(step, is_open=step.wanted == shown) for step in steps],
        poll_after=action.get("poll_after") or (_POLL_SECONDS if waiting else None),
        waits_until=words.moment(action.get("available_at")),
    )


def _is_due(step: Step, *, is_over: bool) -> bool:
    return step.status == REJECTED if is_over else step.may_retry and step.status != UNDER_REVIEW


def _step(row: Row, *, is_over: bool) -> Step:
    requirement: str = row["requirement"]
    wanted = requirement.removeprefix("document:")
    return Step(
        wanted=wanted,
        status=row["status"],
        may_retry=row["may_retry"] and (wanted == DEVICE or not is_over),
        reason=row["reason"] or "",
        comment=row["comment"] or "",
        document=row["document"] or "",
    )


def split(wanted: str, campaign: Row, chosen: str) -> tuple[str, str] | None:
    """Return kind and side of a document that the campaign asks for, or None; ``chosen`` counts where it takes any."""
    if wanted == ANY and not campaign["required_documents"] and chosen in CHOICES:
        return chosen, ""
    found = _WANTED.match(wanted)
    if found is None or wanted not in campaign["required_documents"]:
        return None
    return found["kind"], found["side"] or ""
