from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from tests.api.client import checkouts, member, nothing_changes, order, refused
from twofa.models import Challenge


@pytest.fixture
def opened(api, shop):
    return api.post(checkouts(shop), order(shop)).json()


def test_challenge_is_the_one_of_its_redemption(api, opened):
    shown = opened["two_factor"]["challenge"]

    body = api.get(f"/challenges/{shown['id']}/").json()

    assert body.pop("next_action") == opened["next_action"]
    assert body == shown


def test_challenge_of_a_device_leads_to_the_device(api, shop):
    device = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "ana@example.com"}).json()

    body = api.get(f"/challenges/{device['authorization']['id']}/").json()

    assert body["purpose"] == "device"
    assert body["next_action"] == {"type": "authorize_device", "path": f"/devices/{device['id']}/authorize/"}


def test_overdue_challenge_says_so_before_any_sweep(api, opened):
    pk = opened["two_factor"]["challenge"]["id"]
    Challenge.objects.filter(pk=pk).update(deadline=F("created_at") + timedelta(0))

    body = api.get(f"/challenges/{pk}/").json()

    assert (body["status"], body["next_action"]) == ("expired", {"type": "none"})
    assert api.get(f"/redemptions/{opened['id']}/").json()["status"] == "expired"


def test_challenge_of_another_storefront_is_not_found(partner, opened):
    with nothing_changes():
        refused(partner.get(f"/challenges/{opened['two_factor']['challenge']['id']}/"), 404, "not_found")
