from __future__ import annotations

import base64

import pytest

from tests import factories
from tests.api.client import checkouts, refused
from twofa.models import Redemption


@pytest.fixture
def five(shop):
    shop.campaign.max_open_challenges = 9
    shop.campaign.save()
    return [str(shop.open().pk) for _ in range(5)][::-1]


def ids(page):
    return [row["id"] for row in page["results"]]


def test_walk_goes_through_all_and_back(api, shop, five):
    first = api.get(f"{checkouts(shop)}?page_size=2").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()

    assert [ids(first), ids(second), ids(third)] == [five[:2], five[2:4], five[4:]]
    assert (first["previous"], third["next"]) == (None, None)
    back = api.get(third["previous"]).json()
    assert ids(back) == five[2:4]
    assert ids(api.get(back["previous"]).json()) == five[:2]
    assert ids(api.get(back["next"]).json()) == five[4:]
    assert api.get(back["previous"]).json()["previous"] is None


def test_rows_written_meanwhile_neither_repeat_nor_hide_others(api, shop, five):
    first = api.get(f"{checkouts(shop)}?page_size=3").json()
    newer = str(shop.open().pk)

    assert ids(api.get(first["next"]).json()) == five[3:]
    assert ids(api.get(f"{checkouts(shop)}?page_size=1").json()) == [newer]


def test_rows_of_one_moment_are_told_apart(api, shop, five):
    Redemption.objects.update(created_at=Redemption.objects.earliest("created_at").created_at)

    walked, path = [], f"{checkouts(shop)}?page_size=2"
    while path:
        page = api.get(path).json()
        walked += ids(page)
        path = page["next"]

    assert walked == five


def test_next_keeps_the_filters_and_has_no_host_in_it(api, shop, five):
    page = api.get(f"{checkouts(shop)}?page_size=2&status=pending_2fa_approval", host="evil.example").json()

    assert page["next"].startswith(f"/api/v1{checkouts(shop)}?")
    assert "status=pending_2fa_approval" in page["next"]
    assert "evil" not in page["next"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "%00",
        "====",
        "a" * 5000,
        base64.urlsafe_b64encode(b"n1:nope").decode(),
        base64.urlsafe_b64encode(b"n" + b"9" * 17 + b":" + b"0" * 36).decode(),
        base64.urlsafe_b64encode(b"q1:0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d").decode(),
        base64.urlsafe_b64encode(b"n-1:0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d").decode(),
    ],
    ids=lambda value: value[:12] or "empty",
)
def test_made_up_cursor_is_refused(api, shop, cursor):
    problem = refused(api.get(f"{checkouts(shop)}?cursor={cursor}"), 400, "invalid")

    assert problem["errors"][0]["field"] == "cursor"


def test_cursor_of_another_list_shows_nothing_of_it(api, neighbour, shop, five):
    page = api.get(f"{checkouts(shop)}?page_size=2").json()

    refused(neighbour.get(page["next"]), 404, "not_found")


def test_list_of_redemptions_costs_the_same_at_every_size(api, shop, five, sql):
    api.get("/campaigns/")
    with sql() as few:
        api.get(f"{checkouts(shop)}?page_size=1")
    with sql() as many:
        api.get(f"{checkouts(shop)}?page_size=5")

    assert len(many) == len(few) == 3, str(many)


def test_default_page_holds_fifty(api, shop, monkeypatch):
    shop.storefront.campaigns.add(*(factories.campaign() for _ in range(51)))

    page = api.get("/campaigns/").json()

    assert len(page["results"]) == 50
    assert len(api.get(page["next"]).json()["results"]) == 2
