from __future__ import annotations

import pytest
from django.db.models import F

from tests import factories
from tests.api.client import checkouts, order, refused
from tests.fulfillment import RecordingBackend
from twofa.models import Challenge


@pytest.fixture
def opened(api, shop):
    return api.post(checkouts(shop), order(shop)).json()


def test_overdue_redemption_says_so_before_any_sweep(api, shop, opened):
    Challenge.objects.update(deadline=F("created_at"))

    assert api.get(f"{checkouts(shop)}?status=pending_2fa_approval").json()["results"] == []
    assert [row["status"] for row in api.get(f"{checkouts(shop)}?status=expired").json()["results"]] == ["expired"]
    assert api.get(f"/redemptions/{opened['id']}/").json()["status"] == "expired"
    assert RecordingBackend.count("release") == 1


def test_line_of_a_batch_is_found_by_its_state_as_it_is_now(api, shop):
    batch = shop.open_batch()
    waiting = {str(line.pk) for line in batch.lines}

    def found(status):
        return {row["id"] for row in api.get(f"{checkouts(shop)}?status={status}").json()["results"]}

    assert (found("pending_2fa_approval"), found("expired")) == (waiting, set())
    Challenge.objects.update(deadline=F("created_at"))
    assert (found("pending_2fa_approval"), found("expired")) == (set(), waiting)


def test_list_is_filtered(api, shop):
    other = factories.participant(shop.campaign)
    factories.device(other)
    first = api.post(checkouts(shop), order(shop)).json()
    second = api.post(checkouts(shop), order(shop, participant=other.external_id)).json()
    api.post(f"/redemptions/{second['id']}/cancel/")

    def found(query):
        return [row["id"] for row in api.get(f"{checkouts(shop)}?{query}").json()["results"]]

    assert found("") == found("unknown=1") == [second["id"], first["id"]]
    assert found("status=cancelled") == found(f"participant={other.external_id}") == [second["id"]]
    assert found(f"order_id={first['order_id']}") == [first["id"]]
    assert found(f"created_after={first['created_at']}") == [second["id"]]
    assert found(f"created_before={second['created_at']}") == [first["id"]]
    assert found(f"updated_after={second['created_at']}") == [second["id"]]


def test_line_of_a_batch_is_found_by_its_state_while_it_waits_and_once_its_time_is_over(api, shop):
    batch = shop.open_batch("100.00", "150.00")
    lines = {str(line.pk) for line in batch.lines}

    def found(status):
        return {row["id"] for row in api.get(f"{checkouts(shop)}?status={status}").json()["results"]}

    assert (found("pending_2fa_approval"), found("expired")) == (lines, set())
    Challenge.objects.update(deadline=F("created_at"))
    assert found("pending_2fa_approval") == set()
    assert found("expired") == lines


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=nothing", "status"),
        ("participant=a%20b", "participant"),
        ("order_id=%00", "order_id"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-31T12:00:00", "created_after"),
        ("created_before=2026-13-31T12:00:00Z", "created_before"),
        ("updated_after=", "updated_after"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=%EF%BC%95", "page_size"),
        ("cursor=x", "cursor"),
    ],
)
def test_bad_filter_is_refused_by_its_name(api, shop, query, field):
    problem = refused(api.get(f"{checkouts(shop)}?{query}"), 400, "invalid")

    assert [error["field"] for error in problem["errors"]] == [field]
