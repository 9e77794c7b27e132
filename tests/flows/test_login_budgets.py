from __future__ import annotations

import pytest

from tests import factories
from tests.factories import account, token_of
from tests.logins import asked_for, log_in
from tests.stories import refused, travel
from twofa.exceptions import InvalidCredentials, Throttled, TokenRequired
from twofa.flows import login_budgets
from twofa.models import LoginBudget
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def name(shop) -> str:
    return account(shop.participant)


def test_guessing_a_password_has_an_end_for_known_and_unknown_names(shop, name):
    for username in (name, "nobody"):
        for _guess in range(login_budgets.MOST_FAILURES):
            with pytest.raises(InvalidCredentials):
                log_in(shop, username, password="wrong")
        with refused(Throttled) as error:
            log_in(shop, username)
        assert 3500 < error.value.retry_after <= 3600
    travel(login_budgets.WINDOW)
    asked_for(shop, name)
    assert LoginBudget.objects.filter(failures=0).count() == 1


def test_budget_of_passwords_is_of_one_storefront_and_of_one_name(shop, name):
    other = factories.storefront(shop.campaign)
    for _guess in range(login_budgets.MOST_FAILURES):
        with pytest.raises(InvalidCredentials):
            log_in(shop, name.upper(), password="wrong")
    with refused(Throttled):
        log_in(shop, name)
    with pytest.raises(TokenRequired):
        log_in(shop, name, storefront=other)
    with pytest.raises(TokenRequired):
        log_in(shop, account(factories_with_phone(shop)))


def factories_with_phone(shop):
    participant = factories.participant(shop.campaign)
    factories.device(participant)
    return participant


def test_right_password_forgets_the_wrong_ones(shop, name):
    for _guess in range(login_budgets.MOST_FAILURES - 1):
        with pytest.raises(InvalidCredentials):
            log_in(shop, name, password="wrong")
    challenge = asked_for(shop, name)
    with pytest.raises(InvalidCredentials):
        log_in(shop, name, password="wrong")
    assert log_in(shop, name, token_of(challenge)).participant == shop.participant


def test_what_no_longer_counts_is_forgotten(shop):
    with pytest.raises(InvalidCredentials):
        log_in(shop, "nobody", password="wrong")
    travel(login_budgets.WINDOW)
    with pytest.raises(InvalidCredentials):
        log_in(shop, "somebody", password="wrong")
    assert login_budgets.forget(now()) == 1
    assert LoginBudget.objects.count() == 1
