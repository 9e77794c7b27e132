"""What requests cost in SQL statements: ours, besides transaction control (issue 2, "Shows")."""

from __future__ import annotations

import pytest

from tests import factories
from tests.api.client import checkouts, order
from twofa.models import Challenge


@pytest.fixture
def ready(api, shop):
    """The key was used within the minute, as in any but the first request of a minute."""
    api.get("/campaigns/")
    return api


def test_checkout_costs_at_most_ten(ready, shop, sql):
    body = order(shop)
    with sql() as statements:
        response = ready.post(checkouts(shop), body)

    assert response.status_code == 201
    assert len(statements) <= 10, str(statements)


def test_right_confirm_costs_at_most_ten(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    token = factories.token_of(Challenge.objects.get())
    with sql() as statements:
        response = ready.post(f"/redemptions/{pk}/confirm/", {"token": token})

    assert response.json()["status"] == "completed"
    assert len(statements) <= 10, str(statements)


def test_wrong_confirm_costs_at_most_seven(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    token = factories.wrong_token(Challenge.objects.get())
    with sql() as statements:
        response = ready.post(f"/redemptions/{pk}/confirm/", {"token": token})

    assert response.status_code == 422
    assert len(statements) <= 7, str(statements)


def test_reading_a_redemption_costs_two(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    with sql() as statements:
        ready.get(f"/redemptions/{pk}/")

    assert len(statements) == 2, str(statements)


def test_idempotency_key_costs_four_more(ready, shop, sql):
    with sql() as bare:
        ready.post(checkouts(shop), order(shop))
    with sql() as keyed:
        ready.post(checkouts(shop), order(shop), idempotency_key="k")

    assert len(keyed) - len(bare) <= 4, str(keyed)
