"""What a page needs that asks for a token: of an order or of a device."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from example_project.shop import words
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
    status = "" if challenge is None else challenge["delivery"]["status"]
    return {"delivery": status, "travelling": status in words.TRAVELLING, "changed": changed}
