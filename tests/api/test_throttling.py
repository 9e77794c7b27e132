from __future__ import annotations

import pytest
from django.core.cache import cache

from tests import factories
from tests.api.client import Api, checkouts, member, nothing_changes, order, refused
from tests.factories import access_token, account


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


def test_throttling_is_off_until_it_is_set(api):
    assert {api.get("/campaigns/").status_code for _ in range(30)} == {200}


def test_storefront_is_throttled_and_its_neighbour_is_not(api, neighbour, shop, settings):
    settings.TWOFA_THROTTLE_RATES = {"storefront": "2/min"}
    for _ in range(2):
        assert api.get("/campaigns/").status_code == 200

    with nothing_changes():
        response = api.post(checkouts(shop), order(shop), idempotency_key="k")

    problem = refused(response, 429, "throttled")
    assert 0 < problem["retry_after"] <= 60
    assert response["Retry-After"] == str(problem["retry_after"])
    assert neighbour.get("/campaigns/").status_code == 200


def test_rate_of_something_else_throttles_nobody(api, settings):
    settings.TWOFA_THROTTLE_RATES = {"somebody": "1/day"}

    assert {api.get("/campaigns/").status_code for _ in range(3)} == {200}


def test_members_app_uses_up_nothing_of_the_shop(api, shop, settings):
    account(shop.participant)
    app = Api(access_token(shop))
    other = Api(access_token(shop, factories.participant(shop.campaign)))
    settings.TWOFA_THROTTLE_RATES = {"storefront": "2/min"}
    path = f"{member(shop)}devices/"
    assert [app.get(path).status_code for _ in range(3)] == [200, 200, 429]
    assert api.get(path).status_code == 200
    assert other.get(path).status_code == 404
