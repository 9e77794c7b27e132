"""Guesses at the first step: counted by name, whoever has it, and apart from tokens."""

from __future__ import annotations

import pytest
from django import forms
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.forms import AuthenticationForm
from django.test import Client, RequestFactory

from tests.factories import token_of
from tests.login.people import INSIDE, LOGIN, PASSWORD, TOKEN, give_password, half
from tests.stories import travel, unchanged
from tests.threads import run_together
from twofa.contrib.login import passwords
from twofa.flows import login_budgets
from twofa.models import LoginBudget

pytestmark = pytest.mark.django_db(transaction=True)


def guess(name: str, password: str = "wrong") -> str:
    return Client().post(LOGIN, {"username": name, "password": password}).content.decode()


def use_up(name: str) -> None:
    for _guess in range(login_budgets.MOST_FAILURES):
        assert "Too many" not in guess(name)


@pytest.fixture
def name(person) -> str:
    return person.get_username()


def test_guessing_has_an_end_for_known_and_unknown_names(name, person):
    for username in (name, "nobody"):
        use_up(username)
        with unchanged():
            page = guess(username, PASSWORD)
        assert "Too many wrong passwords were given for this name. Wait 60 minutes, then try again." in page
        assert f'value="{username}"' in page

    travel(login_budgets.WINDOW)
    half(Client(), person)


def test_no_spelling_of_a_name_has_a_budget_of_its_own(name):
    use_up(name)
    for spelling in (f" {name}", f"{name}\t", name.upper(), f"\u00a0{name}\u2003"):
        with unchanged():
            assert "Too many" in guess(spelling, PASSWORD), ascii(spelling)


def test_half_that_waits_for_its_token_is_not_locked_out(name, person):
    browser = Client()
    challenge = half(browser, person)
    use_up(name)

    assert browser.post(TOKEN, {"token": token_of(challenge)})["Location"] == INSIDE


def test_another_name_is_not_locked_out(name, shop):
    use_up("nobody")
    use_up(f"{name}2")

    assert "Too many" not in guess(name)


def test_right_password_forgets_the_wrong_ones(name, person):
    for _guess in range(login_budgets.MOST_FAILURES - 1):
        guess(name)
    half(Client(), person)

    assert LoginBudget.objects.get().failures == 0


@pytest.mark.parametrize("form", [{}, {"username": "boss"}, {"password": "x"}, {"username": "a\0", "password": "x"}])
def test_what_no_backend_is_asked_is_not_counted(person, form):
    with unchanged():
        assert Client().post(LOGIN, form).status_code == 200


class BrokenBackend(BaseBackend):
    def authenticate(self, request, **credentials):
        raise RuntimeError("the directory is away")


def test_backend_that_fails_locks_nobody_out(name, settings):
    settings.AUTHENTICATION_BACKENDS = ["tests.login.test_passwords.BrokenBackend"]
    with pytest.raises(RuntimeError):
        guess(name)

    assert LoginBudget.objects.get().failures == 0


def test_a_hundred_guesses_at_once_are_no_more_than_one_after_another(name, monkeypatch):
    monkeypatch.setattr(login_budgets, "MOST_FAILURES", 2)

    pages = run_together([lambda: guess(name)] * 6)

    assert sorted("Too many" in str(page) for page in pages) == [False] * 2 + [True] * 4


class HostsForm(AuthenticationForm):
    pin = forms.CharField(required=False)


def test_form_of_the_host_is_counted_and_has_its_own_fields(name, shop):
    use_up(name)
    form = passwords.counted(HostsForm)(RequestFactory().post("/"), {"username": name, "password": PASSWORD})

    assert list(form.fields) == ["username", "password", "pin"]
    assert form.non_field_errors().as_data()[0].code == "throttled"


def test_login_of_the_api_and_the_page_count_together(name, shop, person):
    for _guess in range(login_budgets.MOST_FAILURES):
        login_budgets.charge(name, storefront=shop.storefront, campaign=shop.campaign)

    answer = give_password(Client(), person)

    assert (answer.status_code, "Too many" in answer.content.decode()) == (200, True)
