"""One code of an app, given at once to our login and to a page of the host's that asks django-otp."""

from __future__ import annotations

from typing import Any

import django_otp
import pytest
from django.db import models

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.logins import asked_for, log_in
from twofa.flows import device_logins, transactions
from twofa.models import Authenticator, Event, Participant
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

DEADLOCK = "40P01"


@pytest.fixture
def both_ways(shop, monkeypatch) -> list[Any]:
    app = App(monkeypatch)
    apps.active(shop, app)
    name = factories.account(shop.participant)
    Participant.objects.update(two_factor_method="totp")
    asked_for(shop, name)
    app.at = now()
    Authenticator.objects.update(last_step=0)
    code = app.code()
    return [
        lambda: bool(log_in(shop, name, code)),
        lambda: django_otp.match_token(shop.participant.user, code) is not None,
    ] * 4


@pytest.fixture
def given_up(monkeypatch) -> list[str]:
    """The SQL states of what the database gave up meanwhile."""
    states: list[str] = []
    judge = transactions.is_given_up

    def recording(error: Any, *others: str) -> bool:
        states.append(error.__cause__.sqlstate)
        return judge(error, *others)

    for place in (transactions, device_logins):
        monkeypatch.setattr(place, "is_given_up", recording)
    return states


def test_code_is_taken_once_and_nobody_waits_in_a_circle(both_ways, threads, given_up):
    results = threads(both_ways)
    assert results.count(True) == 1
    assert DEADLOCK not in given_up
    assert Event.objects.filter(type="authenticator.verified").count() == 1


def test_who_waits_for_the_owner_with_the_devices_locked_waits_in_a_circle(both_ways, threads, given_up, monkeypatch):
    lock = models.QuerySet.select_for_update
    monkeypatch.setattr(
        models.QuerySet, "select_for_update", lambda rows, nowait=False, **options: lock(rows, **options)
    )
    for _round in range(5):
        threads(both_ways)
        if DEADLOCK in given_up:
            break
    assert DEADLOCK in given_up
    assert Event.objects.filter(type="authenticator.verified").count() <= 1
