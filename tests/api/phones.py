"""An authenticator app over HTTP: it knows what it was shown and the time, and nothing of our code."""

from __future__ import annotations

import base64
import hmac
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.api.client import Api, member
from tests.factories import token_of
from twofa.models import Authenticator, Challenge


class Phone:
    """An app that knows what it was shown: RFC 6238 by itself, and none of our code."""

    def __init__(self, uri: str) -> None:
        text = parse_qs(urlsplit(uri).query)["secret"][0]
        self.secret = base64.b32decode(text + "=" * (-len(text) % 8))

    def code(self, away: int = 0) -> str:
        counter = int(time.time()) // 30 + away
        digest = hmac.new(self.secret, counter.to_bytes(8, "big"), "sha1").digest()
        start = digest[19] & 15
        number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06d}"

    def wrong_code(self) -> str:
        near = {self.code(away) for away in range(-3, 4)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in near)


def forget_steps() -> None:
    """As if half a minute had passed: the present code may be typed once more, and at once."""
    Authenticator.objects.update(last_step=0, failed_at=None)


def enrol(api: Api, shop: Any, **members: Any) -> tuple[dict[str, Any], Phone]:
    body = api.post(f"{member(shop)}devices/", {"channel": "totp", **members}).json()
    return body, Phone(body["otpauth_uri"])


def activate(api: Api, shop: Any) -> tuple[dict[str, Any], Phone]:
    """An active app of a participant who has no contact."""
    shop.device.delete()
    pending, phone = enrol(api, shop)
    body = api.post(f"/devices/{pending['id']}/verify/", {"token": phone.code()}).json()
    forget_steps()
    return body, phone


def agree(api: Api, shop: Any, purpose: str, token: str | None = None) -> str:
    """The id of a challenge that the participant answered."""
    opened = api.post(f"{member(shop)}challenges/", {"purpose": purpose}).json()
    typed = token or token_of(Challenge.objects.get(pk=opened["id"]))
    answered = api.post(f"/challenges/{opened['id']}/verify/", {"token": typed})
    assert answered.json()["status"] == "approved", answered.json()
    forget_steps()
    return str(opened["id"])
