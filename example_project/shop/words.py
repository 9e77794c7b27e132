"""What the API's words are called here, and numbers and times as people read them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import formats, translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

STATES: dict[str, StrPromise] = {
    "pending_2fa_approval": _("Waits for your token"),
    "approved": _("Being completed"),
    "scheduled": _("Scheduled"),
    "completed": _("Completed"),
    "rejected": _("Rejected"),
    "expired": _("Time ran out"),
    "cancelled": _("Cancelled"),
    "failed": _("Failed"),
    # Of several at once.
    "completing": _("Being completed"),
    "partly_completed": _("Completed in part"),
}
UNKNOWN_STATE = _("In progress")
"""Of a state that a later version of the API brings: not final, as far as this shop knows."""

CHANNELS: dict[str, StrPromise] = {
    "sms": _("SMS"),
    "whatsapp": _("WhatsApp"),
    "email": _("E-mail"),
    "totp": _("Authenticator app"),
}

RETRYING = "retrying"
"""Of a message that its provider did not take, and that is tried again: the API says ``queued``, with a reason."""
DELIVERIES: dict[str, StrPromise] = {
    "queued": _("The message is on its way."),
    "sending": _("The message is on its way."),
    RETRYING: _("The message could not be handed over yet. We try again by ourselves, and then another way."),
    "sent": _("The message was sent."),
    "delivered": _("The message was delivered."),
    "failed": _("The message could not be delivered. Ask for a new token below."),
    "expired": _("The message could not be sent in time. Ask for a new token below."),
    "superseded": _("This message was replaced by a newer one."),
}
KINDS: dict[str, StrPromise] = {
    "cnh": _("Driving licence"),
    "rg": _("Identity card"),
    "cpf": _("CPF card"),
    "passport": _("Passport"),
    "selfie": _("A picture of you"),
    "proof_of_address": _("Proof of address"),
    "other": _("Another document"),
}
SIDES: dict[str, StrPromise] = {"front": _("front"), "back": _("back")}

TRAVELLING = frozenset({"queued", "sending"})
"""States of a delivery that change by themselves, soon."""


def state(status: str) -> str:
    """Return an order's state for people."""
    return str(STATES.get(status, UNKNOWN_STATE))


def channel(name: str) -> str:
    """Return a channel's name for people."""
    return str(CHANNELS.get(name, name))


def delivery(status: str) -> str:
    """Return what became of a message, as a sentence; nothing for a state that is not known here."""
    return str(DELIVERIES.get(status, ""))


def document(kind: str, side: str) -> str:
    """Return what a document is called, as a heading."""
    name = str(KINDS.get(kind, kind))
    return f"{name}, {SIDES[side]}" if side in SIDES else name


def points(amount: Decimal, unit: str) -> str:
    """Return an amount as the visitor's language writes it, without needless decimals."""
    places = 0 if amount == amount.to_integral_value() else 2
    number = formats.number_format(amount, places, use_l10n=True, force_grouping=True)
    # Any other unit is the campaign's own word, in the language of its staff.
    known = ngettext("%(number)s point", "%(number)s points", int(amount)) % {"number": number}
    return (known if unit == "points" else f"{number} {unit}").replace(" ", "\u00a0")


def duration(seconds: int) -> str:
    """Return a time as the two largest of hours, minutes and seconds."""
    minutes, second = divmod(max(seconds, 0), 60)
    hour, minute = divmod(minutes, 60)
    parts = [
        ngettext("%(count)d hour", "%(count)d hours", hour) % {"count": hour} if hour else "",
        ngettext("%(count)d minute", "%(count)d minutes", minute) % {"count": minute} if minute else "",
        ngettext("%(count)d second", "%(count)d seconds", second) % {"count": second} if second or not minutes else "",
    ]
    return " ".join([part for part in parts if part][:2])


def countdown(seconds: int) -> str:
    """Return a time that runs down, as ``shop.js`` goes on with it: minutes, and seconds in two digits."""
    minutes, second = divmod(max(seconds, 0), 60)
    return f"{minutes}:{second:02d}"


def moment(text: str | None) -> datetime | None:
    """Return a time of the API, or None."""
    return None if not text else datetime.fromisoformat(text)


def tag() -> str:
    """Return the visitor's language as the API writes it: ``pt-BR`` for ``pt-br``."""
    name, dash, region = (translation.get_language() or "en").partition("-")
    return f"{name}{dash}{region.upper()}"
