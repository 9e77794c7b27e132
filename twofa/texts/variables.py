"""What each message may show, and what it must."""

from __future__ import annotations

COMMON = ("campaign", "sequence", "destination", "locale", "not_me")
_OF_TOKENS = ("token", "minutes")
_OF_REDEMPTIONS = ("amount", "unit", "item", "items", "items_left")
_OF_BATCHES = ("count", "total", "unit", "digest")
VARIABLES: dict[str, tuple[str, ...]] = {
    "redemption.token": (*_OF_TOKENS, *_OF_REDEMPTIONS, "requester"),
    "schedule.token": (*_OF_TOKENS, *_OF_REDEMPTIONS, "requester", "when"),
    "batch.token": (*_OF_TOKENS, *_OF_BATCHES, "requester"),
    "device.token": _OF_TOKENS,
    "device_change.token": (*_OF_TOKENS, "action"),
    "login.token": _OF_TOKENS,
    "contact.token": _OF_TOKENS,
    "step_up.token": (*_OF_TOKENS, "purpose", "description"),
    "redemption.completed": ("amount", "unit", "item"),
    "redemption.rejected": ("amount", "unit", "item"),
    "document.approved": ("document",),
    "document.rejected": ("document", "reason"),
}
"""What each message may show besides the common ones; a message that is not named here may show those alone."""
REQUIRED: dict[str, tuple[str, ...]] = {
    "redemption.token": ("amount", "item"),
    "schedule.token": ("amount", "item", "when"),
    "batch.token": ("count", "total", "digest"),
    "device_change.token": ("destination",),
    "step_up.token": ("description",),
}
"""What stands before the token in any case: it is what the participant approves (RTS (EU) 2018/389 Art. 5)."""
APART = frozenset({"token", "amount", "total", "count", "digest"})
"""What must not run into other signs: one digit more, and it is another amount, or a token that is none."""
REQUESTER = "requester"
"""Named too where the message goes to somebody who approves for another one."""
LINE = ("name", "quantity", "amount")


def known(event: str) -> tuple[str, ...]:
    """Return the variables of a message."""
    return (*COMMON, *VARIABLES.get(event, ()))


def required(event: str, *, part: str) -> tuple[str, ...]:
    """Return what one part of a message must show."""
    return () if part == "subject" or not event.endswith(".token") else (*REQUIRED.get(event, ()), "token")
