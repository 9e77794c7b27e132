"""The way in, and every way past it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from tests import factories
from tests.canary import disguises, texts_of
from tests.factories import token_of, wrong_token
from tests.login.people import (
    CANCEL,
    GUARDED,
    INSIDE,
    LOGIN,
    PASSWORD,
    RESEND,
    TOKEN,
    give_password,
    half,
    is_out,
    sign_up,
)  # fmt: skip
from tests.stories import deliver_due, stored, travel, unchanged
from tests.threads import run_together
from twofa.channels.memory import outbox
from twofa.models import Challenge

pytestmark = pytest.mark.django_db(transaction=True)


def test_password_and_token_lead_to_a_verified_session(browser, person):
    challenge = half(browser, person)
    deliver_due()
    (message,) = outbox
    page = browser.get(TOKEN)
    answer = browser.post(TOKEN, {"token": message.token})

    assert page.status_code == 200
    assert challenge.destination in page.content.decode()
    assert (answer.status_code, answer["Location"]) == (302, INSIDE)
    assert [browser.get(path).status_code for path in GUARDED] == [200, 200]
    assert "twofa_login" not in browser.session
    assert Challenge.objects.get().status == "approved"


def test_password_alone_is_nobodys_session(browser, person):
    half(browser, person)

    assert is_out(browser)
    assert browser.get("/user/").status_code == 302


def test_wrong_password_opens_no_challenge(browser, person):
    with unchanged(but="LoginBudget"):
        answer = give_password(browser, person, password="something else")

    assert (answer.status_code, is_out(browser)) == (200, True)
    assert "twofa_login" not in browser.session


@pytest.mark.parametrize("path", [TOKEN, RESEND, CANCEL])
def test_steps_lead_to_the_password_where_none_was_given(browser, path):
    with unchanged():
        answer = browser.post(path, {"token": "ABCDEFGH"})

    assert (answer.status_code, answer["Location"]) == (302, LOGIN)


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "   "}, {"token": "\0"}, {"token": "!"}])
def test_no_token_is_no_way_in_and_charges_nothing(browser, person, form):
    half(browser, person)
    with unchanged():
        answer = browser.post(TOKEN, form)

    assert (answer.status_code, is_out(browser)) == (200, True)
    assert 'role="alert"' in answer.content.decode()


def test_wrong_token_is_not_on_the_page_that_refuses_it(browser, person):
    wrong = wrong_token(half(browser, person))

    page = browser.post(TOKEN, {"token": wrong}).content.decode()

    assert "Wrong token" in page
    assert wrong not in page


def test_wrong_tokens_end_the_half_and_the_right_one_comes_too_late(browser, person):
    challenge = half(browser, person)
    right, wrong = token_of(challenge), wrong_token(challenge)
    answers = [browser.post(TOKEN, {"token": wrong}).status_code for _ in range(challenge.max_attempts)]

    assert answers == [200] * (challenge.max_attempts - 1) + [403]
    assert Challenge.objects.get().status == "rejected"
    with unchanged():
        assert browser.post(TOKEN, {"token": right})["Location"] == LOGIN
    assert is_out(browser)


def test_token_of_another_person_or_purpose_does_not_help(browser, person, shop):
    challenge = half(browser, person)
    other = factories.participant(shop.campaign)
    factories.device(other)
    stranger = Client()
    of_other = half(stranger, sign_up(other))
    of_redemption = factories.step_up(shop)
    for foreign in (of_other, of_redemption):
        assert browser.post(TOKEN, {"token": token_of(foreign)}).status_code == 200
    assert is_out(browser)
    assert Challenge.objects.get(pk=challenge.pk).attempts == 2
    assert Challenge.objects.get(pk=of_other.pk).status == "pending"


def test_half_that_names_somebody_elses_challenge_is_dead(browser, person, shop):
    half(browser, person)
    other = factories.participant(shop.campaign)
    factories.device(other)
    stranger = Client()
    foreign = half(stranger, sign_up(other))
    session = browser.session
    session["twofa_login"] = {**session["twofa_login"], "challenge": str(foreign.pk)}
    session.save()

    assert browser.post(TOKEN, {"token": token_of(foreign)}).status_code == 403
    assert is_out(browser)


def change_password(user):
    user.set_password("another one")
    user.save()


def switch_off(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("change", [change_password, switch_off, lambda user: travel(timedelta(minutes=31))])
def test_half_ends_with_what_was_true_at_the_password(browser, person, change):
    challenge = half(browser, person)
    right = token_of(challenge)
    change(person)
    answer = browser.post(TOKEN, {"token": right})

    assert (answer.status_code, is_out(browser)) == (403, True)
    assert "twofa_login" not in browser.session
    assert Challenge.objects.get().status in ("pending", "expired")


def test_half_ends_after_ten_minutes(browser, person):
    challenge = half(browser, person)
    session = browser.session
    kept = session["twofa_login"]
    begun = challenge.created_at - timedelta(minutes=10)
    session["twofa_login"] = {**kept, "begun_at": begun.isoformat()}
    session.save()

    assert browser.post(TOKEN, {"token": token_of(challenge)}).status_code == 403
    assert is_out(browser)


def test_session_has_a_new_key_after_each_step(browser, person):
    chosen = Client().session
    chosen["x"] = 1
    chosen.save()
    browser.cookies["sessionid"] = chosen.session_key
    challenge = half(browser, person)
    after_password = browser.cookies["sessionid"].value
    browser.post(TOKEN, {"token": token_of(challenge)})
    after_token = browser.cookies["sessionid"].value

    assert len({chosen.session_key, after_password, after_token}) == 3
    assert set(Session.objects.values_list("session_key", flat=True)) == {after_token}


def test_half_brought_back_with_its_token_opens_no_second_session(browser, person):
    challenge = half(browser, person)
    right, kept = token_of(challenge), browser.session["twofa_login"]
    browser.post(TOKEN, {"token": right})
    thief = Client()
    session = thief.session
    session["twofa_login"] = kept
    session.save()
    thief.cookies["sessionid"] = session.session_key

    assert thief.post(TOKEN, {"token": right}).status_code == 403
    assert is_out(thief)


def test_second_press_of_the_button_goes_where_the_first_one_went(browser, person):
    challenge = half(browser, person)
    token = {"token": token_of(challenge)}
    assert [browser.post(TOKEN, token)["Location"] for _ in range(2)] == [INSIDE, INSIDE]


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"])
def test_nobody_is_sent_to_another_host(browser, person, following):
    answer = give_password(browser, person, following=following)
    challenge = Challenge.objects.get()
    assert answer["Location"] == TOKEN
    page = browser.get(TOKEN, {"next": following}).content.decode()
    assert "evil" not in page
    assert "alert(1)" not in page
    assert browser.post(TOKEN, {"token": token_of(challenge), "next": following})["Location"] == INSIDE


def test_page_that_was_asked_for_is_reached_in_the_end(browser, person):
    asked = browser.get("/inside/class/?a=1&b=2")
    first = give_password(browser, person, following="/inside/class/?a=1&b=2")
    page = browser.get(first["Location"]).content.decode()
    answer = browser.post(TOKEN, {"token": token_of(Challenge.objects.get()), "next": "/inside/class/?a=1&b=2"})

    assert asked["Location"].startswith(f"{LOGIN}?next=")
    assert 'name="next" value="/inside/class/?a=1&amp;b=2"' in page
    assert answer["Location"] == "/inside/class/?a=1&b=2"


def test_new_token_replaces_the_old_one_after_the_pause(browser, person):
    challenge = half(browser, person)
    old = token_of(challenge)
    with unchanged():
        answer = browser.post(RESEND)
    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (200, True)

    Challenge.objects.update(issued_at=challenge.issued_at - timedelta(minutes=2))
    assert browser.post(RESEND)["Location"] == TOKEN
    assert "Only the newest counts." in browser.get(TOKEN).content.decode()
    assert browser.post(TOKEN, {"token": old}).status_code == 200
    assert browser.post(TOKEN, {"token": token_of(challenge)}).status_code == 302


def test_cancel_ends_the_challenge_and_the_half(browser, person):
    challenge = half(browser, person)
    right = token_of(challenge)

    assert browser.post(CANCEL)["Location"] == LOGIN
    assert Challenge.objects.get().status == "cancelled"
    assert browser.post(TOKEN, {"token": right})["Location"] == LOGIN
    assert is_out(browser)
    assert browser.get(CANCEL).status_code == 302


def test_password_given_again_sends_no_second_message(browser, person):
    first = half(browser, person)
    with unchanged():
        assert half(browser, person).pk == first.pk


def test_password_of_another_ends_what_the_first_one_began(browser, person, shop):
    first = half(browser, person)
    other = factories.participant(shop.campaign)
    factories.device(other)
    half(browser, sign_up(other))

    assert Challenge.objects.get(pk=first.pk).status == "cancelled"


def test_user_who_is_no_participant_or_has_no_device_is_refused(browser, person, shop):
    stranger = factories.staff()
    stranger.set_password(PASSWORD)
    stranger.save()
    shop.device.delete()
    for user in (stranger, person):
        with unchanged(but="LoginBudget"):
            answer = give_password(browser, user)
        assert (answer.status_code, is_out(browser)) == (200, True)
        assert "twofa_login" not in browser.session
        assert "Ask the staff." in answer.content.decode()
        assert "missing" not in answer.content.decode(), "that is a member of the API's answer"


def test_neither_password_nor_token_is_kept_or_logged(browser, person, caplog):
    caplog.set_level(logging.DEBUG)
    challenge = half(browser, person)
    token, wrong = token_of(challenge), wrong_token(challenge)
    browser.post(TOKEN, {"token": wrong})
    kept = [json.dumps(row.get_decoded()) for row in Session.objects.all()]
    kept += [str(stored()), *texts_of(caplog.records)]
    secret = {form for text in (PASSWORD, token, wrong) for form in disguises(text)}

    assert set(browser.session["twofa_login"]) == {"user", "backend", "seal", "begun_at", "challenge"}
    assert {form for form in {*secret, person.password} if form in "\n".join(kept)} == set()


def test_two_at_once_with_one_half_get_one_session(browser, person):
    challenge = half(browser, person)
    token, key = token_of(challenge), browser.session.session_key

    def press() -> bool:
        other = Client()
        other.cookies["sessionid"] = key
        answer = other.post(TOKEN, {"token": token})
        assert answer.status_code in (302, 403), "and no error of Django's"
        return other.get(INSIDE).status_code == 200

    came_in = run_together([press] * 8)

    assert sorted(map(str, came_in)) == ["False"] * 7 + ["True"]
    assert Challenge.objects.get().status == "approved"


def test_another_person_in_the_same_browser_replaces_the_first_one(browser, person, shop):
    browser.post(TOKEN, {"token": token_of(half(browser, person))})
    other = factories.participant(shop.campaign)
    factories.device(other)
    second = sign_up(other)
    challenge = half(browser, second)
    before = browser.get(INSIDE).content.decode()
    browser.post(TOKEN, {"token": token_of(challenge)})

    assert before == f"inside {person.get_username()}"
    assert browser.get(INSIDE).content.decode() == f"inside {second.get_username()}"


def test_participant_or_campaign_that_is_switched_off_is_refused(browser, person, shop):
    for row in (shop.participant, shop.campaign):
        type(row).objects.filter(pk=row.pk).update(is_active=False)
        with unchanged(but="LoginBudget"):
            assert give_password(browser, person).status_code == 200
        type(row).objects.filter(pk=row.pk).update(is_active=True)
    assert is_out(browser)


def test_participant_who_is_switched_off_between_the_steps_is_refused(browser, person, shop):
    challenge = half(browser, person)
    right = token_of(challenge)
    type(shop.participant).objects.update(is_active=False)

    assert browser.post(TOKEN, {"token": right}).status_code == 403
    assert is_out(browser)


@pytest.mark.parametrize("setting", ["TWOFA_LOGIN_STOREFRONT", "TWOFA_LOGIN_CAMPAIGN"])
@pytest.mark.parametrize("value", ["Nowhere", None])
def test_setting_that_names_nothing_is_an_error_that_names_it(browser, person, settings, setting, value):
    setattr(settings, setting, value)
    with unchanged(), pytest.raises(ImproperlyConfigured, match=setting):
        give_password(browser, person)
    assert is_out(browser)


def test_campaign_that_the_storefront_does_not_serve_is_an_error(browser, person, shop):
    shop.storefront.campaigns.clear()
    with unchanged(), pytest.raises(ImproperlyConfigured, match="TWOFA_LOGIN_CAMPAIGN"):
        give_password(browser, person)


@pytest.mark.parametrize("path", [TOKEN, RESEND, CANCEL])
def test_forms_of_other_sites_are_refused(person, path):
    browser = Client()
    half(browser, person)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = browser.cookies["sessionid"].value
    with unchanged():
        assert strict.post(path, {"token": "x"}).status_code == 403


def test_verified_person_signs_in_again_only_by_another_token(browser, person):
    challenge = half(browser, person)
    browser.post(TOKEN, {"token": token_of(challenge)})
    again = half(browser, person)

    assert again.pk != challenge.pk
    assert browser.get(INSIDE).status_code == 200


def test_pages_have_a_stylesheet_and_are_kept_by_nobody(browser, person):
    half(browser, person)
    page = browser.get(TOKEN)
    style = browser.get("/accounts/login/style.css")

    assert "no-store" in page["Cache-Control"]
    assert 'autocomplete="one-time-code"' in page.content.decode()
    assert (style.status_code, style["Content-Type"]) == (200, "text/css")
