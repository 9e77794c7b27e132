"""What is asked of whoever gave a right password, however often and wherever they begin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from tests.authenticators import App, active
from tests.factories import token_of
from tests.login.people import CANCEL, INSIDE, TOKEN, give_password, half, is_out
from tests.stories import travel, unchanged
from twofa.models import Authenticator
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


def test_cancelling_is_no_way_around_the_pause_between_messages(browser, person):
    half(browser, person)
    browser.post(CANCEL)
    with unchanged():
        answer = give_password(browser, person)

    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (200, True)
    travel(timedelta(seconds=31))
    half(browser, person)


def test_other_browsers_are_asked_for_the_same_token(browser, person):
    first = half(browser, person)
    others = [Client() for _ in range(5)]
    with unchanged():
        assert {half(other, person).pk for other in others} == {first.pk}
    browser.post(TOKEN, {"token": token_of(first)})

    assert browser.get(INSIDE).status_code == 200
    assert [is_out(other) for other in others] == [True] * 5


def test_held_app_is_told_before_a_recovery_code_is_used_up(browser, person, shop, monkeypatch):
    """Its session would not be verified, and lead back to the sign-in for ever."""
    active(shop, App(monkeypatch))
    Authenticator.objects.update(held_at=now(), confirmed=False)
    with unchanged(but="LoginBudget"):
        answer = give_password(browser, person)

    assert (answer.status_code, is_out(browser)) == (200, True)
    assert "on hold" in answer.content.decode()
