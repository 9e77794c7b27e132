"""One challenge of a person, whatever browsers and cancels they have: the pause between messages, and one session."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from unittest.mock import Mock

import pytest
from django.test import Client

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.login.people import CANCEL, INSIDE, LOGIN, RESEND, TOKEN, give_password, half, is_out
from tests.stories import deliver_due, travel, unchanged
from tests.threads import run_together
from twofa.channels.memory import outbox
from twofa.exceptions import TransitionRefused
from twofa.flows import issuing
from twofa.models import Challenge, Delivery, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PAUSE = timedelta(seconds=31)


@pytest.fixture
def second(person):
    """Another browser of the same person."""
    return Client()


# --- the pause --------------------------------------------------------------------------------------------------------


def test_cancel_is_no_way_around_the_pause_between_messages(browser, person):
    half(browser, person)
    browser.post(CANCEL)

    for client in (browser, Client()):
        with unchanged():
            answer = give_password(client, person)
        assert (answer.status_code, is_out(client)) == (200, True)
        assert "twofa_login" not in client.session
        assert "seconds, then try again." in answer.content.decode()
        assert 'type="password"' in answer.content.decode()

    travel(PAUSE)
    half(browser, person)
    assert Delivery.objects.count() == 2


def test_fifty_sign_ins_that_were_cancelled_leave_the_owner_their_messages(browser, person):
    for _turn in range(50):
        give_password(browser, person)
        browser.post(CANCEL)
    deliver_due()

    assert Delivery.objects.count() == 1
    travel(PAUSE)
    half(browser, person)


def test_pause_holds_after_too_many_wrong_tokens(browser, person):
    challenge = half(browser, person)
    for _attempt in range(challenge.max_attempts):
        browser.post(TOKEN, {"token": factories.wrong_token(challenge)})

    with unchanged():
        assert "then try again." in give_password(browser, person).content.decode()


@pytest.fixture
def app(shop, monkeypatch) -> App:
    """The app of somebody who wants it to be their way, and has a phone as well."""
    found = App(monkeypatch)
    apps.active(shop, found)
    found.at = now()
    Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method="totp")
    factories.device(shop.participant)
    return found


def test_message_in_the_place_of_an_app_has_its_pause_too(browser, person, app):
    half(browser, person)
    browser.post(RESEND, {"channel": "sms"})
    browser.post(CANCEL)
    with unchanged():
        assert "then try again." in give_password(browser, person).content.decode()

    travel(PAUSE)
    assert half(browser, person).channel == "totp"
    assert Delivery.objects.count() == 1


def test_who_is_sent_no_message_has_no_pause(browser, person, app):
    for _turn in range(3):
        half(browser, person)
        browser.post(CANCEL)

    assert Challenge.objects.count() == 3
    assert not Delivery.objects.exists()


# --- the browsers -----------------------------------------------------------------------------------------------------


def test_browsers_of_one_person_share_a_challenge_and_no_second_message_leaves(browser, person):
    first = half(browser, person)
    for _browser in range(5):
        with unchanged():
            assert half(Client(), person).pk == first.pk

    deliver_due()
    assert browser.post(TOKEN, {"token": outbox[-1].token}).status_code == 302
    assert Challenge.objects.count() == Delivery.objects.count() == 1


def test_token_is_worth_one_session_and_the_other_browser_begins_anew(browser, second, person):
    challenge = half(browser, person)
    half(second, person)
    right = factories.token_of(challenge)
    assert second.post(TOKEN, {"token": right}).status_code == 302

    late = browser.post(TOKEN, {"token": right})

    assert (late.status_code, is_out(browser)) == (403, True)
    assert f'href="{LOGIN}"' in late.content.decode()
    assert second.get(INSIDE).status_code == 200
    assert half(browser, person).pk != challenge.pk, "whoever was answered waits for nothing"


def test_browser_without_the_password_has_nothing_of_another_s_half(browser, second, person, shop):
    challenge = half(browser, person)
    with unchanged(but="LoginBudget"):
        assert give_password(second, person, password="something else").status_code == 200
        assert second.post(TOKEN, {"token": factories.token_of(challenge)})["Location"] == LOGIN

    assert is_out(second)


def press(browser: Client, token: str) -> int:
    return int(browser.post(TOKEN, {"token": token}).status_code)


def test_browsers_with_one_token_at_once_get_one_session(person):
    browsers = [Client() for _ in range(4)]
    (challenge,) = {half(browser, person) for browser in browsers}

    answers = run_together([partial(press, browser, factories.token_of(challenge)) for browser in browsers])

    assert sorted(map(str, answers)) == ["302", "403", "403", "403"]
    assert sorted(browser.get(INSIDE).status_code for browser in browsers) == [200, 302, 302, 302]


def test_passwords_given_at_once_open_one_challenge_and_send_one_message(person):
    answers = run_together([lambda: give_password(Client(), person)["Location"]] * 4)

    assert answers == [TOKEN] * 4
    assert Challenge.objects.count() == Delivery.objects.count() == 1


def test_cancel_in_one_browser_ends_the_other_s_half_and_both_may_begin_anew(browser, second, person):
    challenge = half(browser, person)
    half(second, person)
    right = factories.token_of(challenge)
    browser.post(CANCEL)

    assert second.post(TOKEN, {"token": right}).status_code == 403
    assert is_out(second)
    travel(PAUSE)
    assert half(second, person).pk == half(browser, person).pk != challenge.pk


def test_half_that_has_ended_ends_nobody_s_challenge(second, person):
    """Whoever knows the password of yesterday ends nothing that was begun with today's."""
    stale = [Client() for _path in (TOKEN, RESEND, CANCEL)]
    (challenge,) = {half(browser, person) for browser in stale}
    person.set_password("of today")
    person.save()
    assert give_password(second, person, password="of today")["Location"] == TOKEN
    right = {"token": factories.token_of(challenge)}

    for browser, path in zip(stale, (TOKEN, RESEND, CANCEL), strict=True):
        assert browser.post(path, right).status_code == 403
        assert is_out(browser)

    assert second.post(TOKEN, right).status_code == 302


def test_password_given_again_brings_a_new_token_where_none_can_be_typed_any_more(browser, second, person):
    challenge = half(browser, person)
    deliver_due()
    travel(challenge.token_ttl)
    assert half(second, person).pk == challenge.pk
    assert Delivery.objects.count() == 2
    assert second.post(TOKEN, {"token": factories.token_of(challenge)}).status_code == 302


def test_where_no_token_may_be_sent_the_password_begins_anew(browser, second, person):
    challenge = half(browser, person)
    deliver_due()
    travel(challenge.token_ttl)
    Challenge.objects.update(resends=challenge.max_resends)
    with unchanged():
        assert 'role="alert"' in browser.post(RESEND).content.decode()
    fresh = half(second, person)
    assert fresh.pk != challenge.pk
    assert browser.get(TOKEN).status_code == 403
    assert second.post(TOKEN, {"token": factories.token_of(fresh)}).status_code == 302


def test_renewal_that_is_refused_halfway_leaves_nothing_of_it(browser, second, person, monkeypatch):
    challenge = half(browser, person)
    deliver_due()
    travel(challenge.token_ttl)
    monkeypatch.setattr(issuing, "queue", Mock(side_effect=TransitionRefused))
    with unchanged():
        assert half(second, person).pk == challenge.pk
    assert issuing.queue.called


def test_who_may_type_no_token_today_is_told_so_at_the_password(browser, second, person, shop):
    challenge = half(browser, person)
    browser.post(TOKEN, {"token": factories.wrong_token(challenge)})
    type(shop.campaign).objects.update(failed_attempts_per_day=1)

    with unchanged():
        assert give_password(second, person).status_code == 200
    assert "twofa_login" not in second.session
