"""Logins at the same moment: one token lets in once, and guesses are counted one after another."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import PASSWORD, account, contact_challenge, token_of, wrong_token
from tests.logins import asked_for
from tests.races.guards import blind_changes, meet_after, unlocked
from tests.stories import travel
from twofa.exceptions import InvalidCredentials, Throttled, TokenRequired
from twofa.flows import login_budgets, logins, participants
from twofa.flows.accounts import Account
from twofa.flows.logins import Credentials, LoggedIn
from twofa.flows.registrations import Proof
from twofa.models import AccessToken, Challenge, Delivery, LoginBudget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def logging_in(shop, name, token=None, password=PASSWORD):
    credentials = Credentials(name, password, token)
    asked = {"storefront": shop.storefront, "actor": shop.actor, "credentials": credentials}
    return lambda: logins.log_in(shop.campaign, **asked)


@pytest.fixture
def name(shop) -> str:
    return account(shop.participant)


def entered(results) -> int:
    return sum(isinstance(result, LoggedIn) for result in results)


def test_right_token_lets_in_once(shop, name, threads):
    results = threads([logging_in(shop, name, token_of(asked_for(shop, name)))] * 10)
    assert entered(results) == AccessToken.objects.count() == 1
    assert {result.code for result in results if isinstance(result, Exception)} == {"challenge_closed"}


def test_without_the_guards_it_lets_in_more_than_once(shop, name, threads, monkeypatch):
    token = token_of(asked_for(shop, name))
    blind_changes(monkeypatch)
    meet_after(monkeypatch, logins, "_last", 4)
    assert entered(threads([unlocked(logging_in(shop, name, token))] * 4)) > 1


def test_grant_of_a_registration_lets_in_once(shop, threads):
    challenge = contact_challenge(shop, "sms")
    token = token_of(challenge)
    participants.register(
        campaign=shop.campaign, external_id="bia", name="Bia", storefront=shop.storefront, actor=shop.actor,
        proof=Proof(challenge.pk, token), account=Account("bia", PASSWORD),
    )  # fmt: skip
    results = threads([logging_in(shop, "bia", token)] * 10)
    assert entered(results) == AccessToken.objects.count() == 1


def test_right_passwords_at_once_send_one_message(shop, name, threads):
    results = threads([logging_in(shop, name)] * 10)
    assert {type(result) for result in results} == {TokenRequired}
    assert Challenge.objects.count() == Delivery.objects.count() == 1


def test_wrong_tokens_at_once_are_five(shop, name, threads):
    challenge = asked_for(shop, name)
    results = threads([logging_in(shop, name, wrong_token(challenge))] * 12)
    codes = [result.code for result in results]
    assert (codes.count("token_invalid"), codes.count("attempts_exhausted")) == (4, 1)
    assert Challenge.objects.get().attempts == 5


@pytest.mark.parametrize("is_known", [True, False])
def test_guesses_at_once_are_as_many_as_there_are(shop, name, threads, is_known, monkeypatch):
    monkeypatch.setattr(login_budgets, "MOST_FAILURES", 3)
    results = threads([logging_in(shop, name if is_known else "nobody", password="wrong")] * 12)
    kinds = [type(result) for result in results]
    assert (kinds.count(InvalidCredentials), kinds.count(Throttled)) == (3, 9)
    assert LoginBudget.objects.get().failures == 3


def test_guess_after_the_hour_begins_anew_once(shop, threads, monkeypatch):
    monkeypatch.setattr(login_budgets, "MOST_FAILURES", 3)
    threads([logging_in(shop, "nobody", password="wrong")] * 4)
    travel(timedelta(hours=1))
    results = threads([logging_in(shop, "nobody", password="wrong")] * 8)
    assert [type(result) for result in results].count(InvalidCredentials) == 3
