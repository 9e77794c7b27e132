"""An authenticator app, as its owner has it: it knows what it read from the picture, and the time."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django_otp import oath

from tests import factories
from twofa.flows import authenticators, challenges, recovery_codes
from twofa.models import Authenticator, Challenge, Device
from twofa.models.clock import now


class App:
    """Computes codes by another implementation than ours; time passes for it and for the flows by ``forward``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: datetime = now()
        self.secret = b""
        for flow in (authenticators, recovery_codes):
            monkeypatch.setattr(flow, "now", lambda: self.at)

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)

    def read(self, uri: str) -> None:
        text = parse_qs(urlsplit(uri).query)["secret"][0]
        self.secret = base64.b32decode(text)

    def code(self, away: int = 0) -> str:
        step = int(self.at.timestamp()) // 30 + away
        return str(oath.hotp(self.secret, step)).zfill(6)

    def wrong_code(self) -> str:
        right = {self.code(away) for away in range(-2, 3)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in right)


def agreed(shop: factories.Shop, purpose: str) -> Challenge:
    """A challenge that the participant answered on their phone."""
    challenge = factories.step_up(shop, purpose)
    token = factories.token_of(challenge)
    return challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def enrol(shop: factories.Shop, **more: Any) -> authenticators.Enrolment:
    return authenticators.enrol(shop.participant, storefront=shop.storefront, actor=shop.actor, **more)


def active(shop: factories.Shop, app: App) -> Authenticator:
    """An active authenticator of a participant without another factor, whose next code is the present one."""
    Device.objects.filter(participant=shop.participant).delete()
    enrolment = enrol(shop)
    app.read(enrolment.uri)
    authenticators.confirm(enrolment.authenticator, token=app.code(), actor=shop.actor)
    app.forward(minutes=2)
    return Authenticator.objects.get(pk=enrolment.authenticator.pk)
