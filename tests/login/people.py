"""Who signs in, and what their browser sends."""

from __future__ import annotations

from typing import Any

from django.test import Client

from twofa.models import Challenge, Participant

LOGIN = "/accounts/login/"
TOKEN = "/accounts/login/token/"
RESEND = "/accounts/login/token/resend/"
CANCEL = "/accounts/login/token/cancel/"
INSIDE = "/inside/"
GUARDED = (INSIDE, "/inside/class/")
PASSWORD = "a password of the tests"


def sign_up(participant: Participant, password: str = PASSWORD) -> Any:
    """The participant's user, with a password."""
    user: Any = participant.user
    user.set_password(password)
    user.save()
    return user


def give_password(browser: Client, user: Any, *, following: str = "", password: str = PASSWORD) -> Any:
    """The first step."""
    form = {"username": user.get_username(), "password": password}
    return browser.post(LOGIN, {**form, "next": following} if following else form)


def half(browser: Client, user: Any) -> Challenge:
    """The first step done; and the challenge that waits."""
    answer = give_password(browser, user)
    assert (answer.status_code, answer["Location"]) == (302, TOKEN), answer.content
    return Challenge.objects.get(pk=browser.session["twofa_login"]["challenge"])


def is_out(browser: Client) -> bool:
    """Whether this browser has no session of anybody, and comes nowhere."""
    return "_auth_user_id" not in browser.session and all(browser.get(path).status_code == 302 for path in GUARDED)
