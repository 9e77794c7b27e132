"""Signing in with an authenticator app, or with a recovery code."""

from __future__ import annotations

import pytest

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.login.people import INSIDE, RESEND, TOKEN, give_password, half, is_out
from tests.stories import deliver_due, unchanged
from twofa.channels.memory import outbox
from twofa.flows import recovery_codes
from twofa.models import Authenticator, Challenge, Delivery, Participant, RecoveryCode
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(shop, monkeypatch) -> App:
    """The app of somebody who has nothing else, and wants it to be their way."""
    found = App(monkeypatch)
    apps.active(shop, found)
    found.at = now()
    Authenticator.objects.update(last_step=0)
    Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method="totp")
    return found


@pytest.fixture
def code(shop, app) -> str:
    """A recovery code."""
    text = recovery_codes._random()
    RecoveryCode.objects.create(
        participant=shop.participant, hash=RecoveryCode.digest(shop.participant.pk, text), created_at=now()
    )
    return text


def test_code_of_the_app_leads_to_a_session_that_it_verified(browser, person, app):
    half(browser, person)
    page = browser.get(TOKEN).content.decode()
    assert "Type the code of your app" in page
    assert "We sent it" not in page
    assert "Send a new token" not in page

    answer = browser.post(TOKEN, {"token": app.code()})

    assert (answer.status_code, answer["Location"]) == (302, INSIDE)
    assert browser.get(INSIDE).status_code == 200
    assert browser.session["otp_device_id"] == Authenticator.objects.get().persistent_id
    assert not Delivery.objects.exists()


def test_wrong_code_lets_nobody_in_and_a_pause_follows(browser, person, app):
    half(browser, person)
    wrong = browser.post(TOKEN, {"token": app.wrong_code()})
    assert (wrong.status_code, is_out(browser)) == (200, True)
    again = browser.post(TOKEN, {"token": app.code()})
    assert (again.status_code, is_out(browser)) == (200, True)
    assert "Wait 1 second, then try again." in again.content.decode()
    assert Challenge.objects.get().attempts == 1
    Authenticator.objects.update(failed_at=None)
    assert browser.post(TOKEN, {"token": app.code()}).status_code == 302


def test_recovery_code_leads_in_once(browser, person, app, code):
    half(browser, person)
    page = browser.get(TOKEN).content.decode()
    assert "recovery codes" in page
    assert 'inputmode="text"' in page
    assert browser.post(TOKEN, {"token": code}).status_code == 302
    assert browser.get(INSIDE).status_code == 200
    # Ten came with the app.
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


def test_page_says_nothing_of_recovery_codes_to_who_has_none(browser, person, app):
    RecoveryCode.objects.all().delete()
    half(browser, person)
    page = browser.get(TOKEN).content.decode()
    assert "recovery codes" not in page
    assert 'inputmode="numeric"' in page


def test_message_takes_the_place_of_the_app_where_both_exist(browser, person, shop, app):
    half(browser, person)
    assert "instead" not in browser.get(TOKEN).content.decode()
    contact = factories.device(shop.participant)
    assert f"Send a token to <bdi>{contact.destination}</bdi> instead" in browser.get(TOKEN).content.decode()

    answer = browser.post(RESEND, {"channel": "sms"})

    assert (answer.status_code, answer["Location"]) == (302, TOKEN)
    deliver_due()
    assert contact.destination in browser.get(TOKEN).content.decode()
    assert browser.post(TOKEN, {"token": outbox[-1].token}).status_code == 302
    assert browser.session["otp_device_id"] == contact.persistent_id


@pytest.mark.parametrize("channel", ["email", "totp", ""])
def test_only_what_the_page_offers_is_sent(browser, person, shop, app, channel):
    factories.device(shop.participant)
    half(browser, person)
    page = browser.post(RESEND, {"channel": channel})
    assert page.status_code == 200
    assert "Name a channel" in page.content.decode()
    assert not Delivery.objects.exists()
    assert Challenge.objects.get().channel == "totp"


def test_app_that_is_held_meanwhile_uses_up_no_code_and_leaves_the_message(browser, person, shop, app, code):
    half(browser, person)
    Authenticator.objects.update(held_at=now(), confirmed=False)
    factories.device(shop.participant)
    for given in (app.code(), code):
        with unchanged():
            answer = browser.post(TOKEN, {"token": given})
        assert (answer.status_code, is_out(browser)) == (200, True)
        assert "on hold until the staff release it" in answer.content.decode()

    browser.post(RESEND, {"channel": "sms"})
    deliver_due()
    assert browser.post(TOKEN, {"token": outbox[-1].token}).status_code == 302
    assert browser.get(INSIDE).status_code == 200


def test_held_app_is_told_before_a_recovery_code_is_used_up(browser, person, shop, app, code):
    """Its session would not be verified, and lead back to the sign-in for ever."""
    shop.device.delete()
    Authenticator.objects.update(held_at=now(), confirmed=False)
    with unchanged(but="LoginBudget"):
        answer = give_password(browser, person)

    assert (answer.status_code, is_out(browser)) == (200, True)
    assert "Your authenticator app is on hold until the staff release it." in answer.content.decode()
