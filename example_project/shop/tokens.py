"""What a page needs that asks for a token: of an order or of a device."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from example_project.shop import customers, words
from example_project.shop.storefront import Row
from example_project.shop.visits import Visit

_NONCE = re.compile(r"[0-9a-f]{24}[pe]?\Z")  # a page with two forms tells them apart


def new_nonce() -> str:
    """Return what makes one showing of a form the same however often it is sent."""
    return secrets.token_hex(12)


def nonce_of(visit: Visit) -> str:
    """Return the nonce of the form, or an empty text where it has none of ours."""
    text = visit.request.POST.get("nonce", "")
    return text if _NONCE.match(text) else ""


def channel_of(visit: Visit) -> str:
    """Return the channel that was chosen in place of an authenticator app, or an empty text."""
    channel = visit.request.POST.get("channel", "")
    return channel if channel in words.CHANNELS else ""


def order_context(visit: Visit, row: Row) -> dict[str, Any]:
    """Return the state of the challenge of an order, or of several at once, as their page shows it."""
    challenge, campaign = row["two_factor"]["challenge"], visit.api.campaign()
    # An approver's phones and addresses are theirs: by which of them it goes is not for whoever asks to choose.
    known = set() if row["approver"] else {device["channel"] for device in visit.api.usable_devices()}
    return {
        **token_context(challenge, row["next_action"], campaign),
        **way_context(visit, row),
        "channels": [name for name in campaign["two_factor"]["channels"] if name in known],
        "deadline": words.moment(challenge["deadline"]),
    }


def way_context(visit: Visit, row: Row) -> dict[str, Any]:
    """Return which way the token of an order goes, by which it was to go, and what became of it.

    A page that looks again says what it asks for in ``was``: where something else is to be done by now, it is out of
    date. A token expires without any change of state.
    """
    challenge, step = row["two_factor"]["challenge"], row["next_action"]["type"]
    asked = customers.way(visit.request, row["id"])
    return {
        **delivery_context(challenge, changed=visit.request.GET.get("was", step) != step),
        "step": step,
        "challenge": challenge,
        "says_way": challenge is not None,
        "detour_of": asked if challenge is not None and asked and asked != challenge["channel"] else "",
    }


def note_way(visit: Visit, row: Row) -> None:
    """Keep by which channel a token was to go, as it was sent or sent again."""
    challenge = row["two_factor"]["challenge"]
    if challenge is not None:
        customers.remember_way(visit.request, row["id"], challenge["channel"])


def token_context(challenge: Row, next_action: Row, campaign: Row) -> dict[str, Any]:
    """Return the state of a challenge as a page shows it."""
    at = datetime.now(UTC)
    expires, again = words.moment(challenge["expires_at"]), words.moment(challenge["resend_available_at"])
    return {
        "challenge": challenge,
        "expires": expires,
        "seconds_left": None if expires is None else max(0, int((expires - at).total_seconds())),
        "resend_in": 0 if again is None else max(0, round((again - at).total_seconds())),
        "asks_token": next_action["type"] in {"confirm_token", "authorize_device"},
        "offers_resend": next_action["type"] == "resend_token",
        "numeric": campaign["two_factor"]["token_alphabet"] == "numeric",
        "nonce": new_nonce(),
        **delivery_context(challenge, changed=False),
    }


def delivery_context(challenge: Row | None, *, changed: bool) -> dict[str, Any]:
    """Return what became of the message; ``changed`` says that the page around it is out of date."""
    # None of an app either, to which no message goes.
    delivery = None if challenge is None else challenge["delivery"]
    status = "" if delivery is None else delivery["status"]
    travelling = status in words.TRAVELLING
    retrying = travelling and delivery is not None and bool(delivery["reason"])
    shown = words.RETRYING if retrying else status
    return {"delivery": shown, "travelling": travelling, "changed": changed}
