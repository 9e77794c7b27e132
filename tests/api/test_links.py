"""Each refusal says where to go on: whatever the path it was met at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.api.client import checkouts, member, nothing_changes, order, refused
from twofa.exceptions import TransitionRefused
from twofa.flows import redemptions
from twofa.models import Challenge, Device, Redemption


def opened(api, shop) -> dict[str, Any]:
    body: dict[str, Any] = api.post(checkouts(shop), order(shop)).json()
    return body


def lose_devices(shop) -> None:
    rows = Device.objects.filter(participant=shop.participant)
    rows.update(status="revoked", confirmed=False, is_default=False)


def token_of(shown) -> str:
    return factories.token_of(Challenge.objects.get(pk=shown["id"]))


def ways_in(shop) -> dict[str, str]:
    return {"type": "onboarding", "path": f"{member(shop)}onboarding/"}


@pytest.mark.parametrize("verb", ["confirm", "resend"])
def test_redemption_without_a_device_leads_to_onboarding(api, shop, verb):
    redemption = opened(api, shop)
    body = {"token": token_of(redemption["two_factor"]["challenge"])} if verb == "confirm" else {}
    lose_devices(shop)
    Challenge.objects.update(resend_cooldown=shop.campaign.resend_cooldown * 0)
    with nothing_changes():
        problem = refused(api.post(f"/redemptions/{redemption['id']}/{verb}/", body), 409, "onboarding_incomplete")

    assert problem["next_action"] == ways_in(shop)
    assert problem["missing"] == ["device"]


def test_device_that_has_nobody_to_authorize_it_leads_to_onboarding(api, shop):
    new = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "ana@example.com"}).json()
    token = token_of(new["authorization"])
    lose_devices(shop)
    Device.objects.filter(uuid=new["id"]).update(status="pending")
    with nothing_changes():
        path = f"/devices/{new['id']}/authorize/"
        problem = refused(api.post(path, {"token": token}), 409, "onboarding_incomplete")

    assert problem["next_action"] == ways_in(shop)


@pytest.mark.parametrize("method", ["delete", "make-default"])
def test_device_whose_default_cannot_be_reached_leads_to_onboarding(api, shop, method):
    other = factories.device(shop.participant, "email")
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(allowed_channels=["whatsapp"])
    path = f"/devices/{other.uuid}/"
    with nothing_changes():
        response = api.delete(path) if method == "delete" else api.post(f"{path}make-default/")
        problem = refused(response, 409, "onboarding_incomplete")

    assert problem["next_action"] == ways_in(shop)


@pytest.mark.parametrize("verb", ["confirm", "resend", "cancel"])
def test_lost_race_names_the_redemption_as_the_winner_left_it(api, shop, monkeypatch, verb):
    redemption = opened(api, shop)
    inner = {"confirm": "_judge", "resend": "_resend", "cancel": "_cancel"}[verb]

    def lose(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        Redemption.objects.filter(pk=redemption["id"]).update(status="rejected")
        raise TransitionRefused(column="status", before="pending", after="approved")

    monkeypatch.setattr(redemptions, inner, lose)
    body = {"token": "ABCDEF"} if verb == "confirm" else {}
    problem = refused(api.post(f"/redemptions/{redemption['id']}/{verb}/", body), 409, "wrong_state")

    assert problem["redemption"] == {"id": redemption["id"], "status": "rejected"}
    assert "before" not in problem
