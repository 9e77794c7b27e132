from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F

from tests import factories
from tests.api.client import batch_order, batches, checkouts, member, nothing_changes, order, refused
from tests.factories import token_of, wrong_token
from tests.stories import travel
from twofa.models import Agreement, Challenge


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


# --- asked for outside of a redemption --------------------------------------------------------------------------------


@pytest.fixture
def asked(api, shop):
    """An open step-up."""
    body = {"purpose": "step_up:change-address", "description": "Change of the delivery address"}
    return api.post(f"{member(shop)}challenges/", body).json()


def test_challenge_is_opened_with_what_to_do_about_it(api, shop):
    response = api.post(f"{member(shop)}challenges/", {"purpose": "login"})

    body = response.json()
    assert response.status_code == 201
    assert (body["purpose"], body["status"], body["channel"]) == ("login", "pending", "sms")
    assert body["destination"] == shop.device.destination
    assert body["next_action"] == {"type": "confirm_token", "path": f"/challenges/{body['id']}/verify/"}
    assert api.get(f"/challenges/{body['id']}/").json() == body


def test_right_token_approves_and_comes_to_the_same_again(api, asked):
    token = token_of(Challenge.objects.get())
    path = f"/challenges/{asked['id']}/verify/"

    first = api.post(path, {"token": token}, idempotency_key="k")

    assert (first.status_code, first.json()["status"]) == (200, "approved")
    assert first.json()["next_action"] == {"type": "none"}
    with nothing_changes():
        repeated = api.post(path, {"token": token}, idempotency_key="k")
        assert (repeated.json(), repeated["Idempotency-Replayed"]) == (first.json(), "true")
        assert api.post(path, {"token": token}).json() == first.json()


def test_wrong_tokens_end_the_challenge(api, asked):
    challenge = Challenge.objects.get()
    right, wrong = token_of(challenge), wrong_token(challenge)
    path = f"/challenges/{asked['id']}/verify/"
    for remaining in (4, 3, 2, 1):
        assert refused(api.post(path, {"token": wrong}), 422, "token_invalid")["attempts_remaining"] == remaining
    problem = refused(api.post(path, {"token": wrong}), 422, "attempts_exhausted")
    assert problem["challenge"] == {"id": asked["id"], "status": "rejected"}
    with nothing_changes():
        refused(api.post(path, {"token": right}), 409, "challenge_closed")


def test_token_is_sent_once_more(api, asked):
    path = f"/challenges/{asked['id']}/resend/"
    with nothing_changes():
        assert 0 < refused(api.post(path), 429, "resend_cooldown")["retry_after"] <= 30
        refused(api.post(path, {"channel": "fax"}), 400, "invalid")
    travel(timedelta(seconds=31))
    response = api.post(path)
    assert (response.status_code, response.json()["token_sequence"], response.json()["resends_remaining"]) == (
        202,
        2,
        2,
    )


def test_expired_token_leads_to_another_one(api, asked):
    token = token_of(Challenge.objects.get())
    travel(timedelta(minutes=11))
    with nothing_changes():
        problem = refused(api.post(f"/challenges/{asked['id']}/verify/", {"token": token}), 422, "token_expired")
    assert (problem["next_action"]["type"], problem["next_action"]["path"]) == (
        "resend_token", f"/challenges/{asked['id']}/resend/",
    )  # fmt: skip


def test_cancelled_challenge_is_cancelled_again(api, asked):
    path = f"/challenges/{asked['id']}/cancel/"
    first = api.post(path)
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    with nothing_changes():
        assert api.post(path).json() == first.json()
        refused(api.post(f"/challenges/{asked['id']}/resend/"), 409, "challenge_closed")


def test_unknown_participant_and_unknown_method_are_told_apart_and_touch_nothing(api, shop):
    mine, theirs = f"{member(shop)}challenges/", f"{member(shop, 'nobody')}challenges/"
    bare = factories.participant(shop.campaign)
    with nothing_changes():
        for path, body, resource in (
            (theirs, {}, "participant"),
            (f"{member(shop, '%20')}challenges/", {}, "participant"),
            (mine, {"device": str(uuid4())}, "device"),
            (mine, {"channel": "email"}, "device"),
        ):
            problem = refused(api.post(path, {"purpose": "login", **body}), 404, "not_found")
            assert problem["resource"] == resource
        problem = refused(
            api.post(f"{member(shop, bare.external_id)}challenges/", {"purpose": "login"}), 409, "onboarding_incomplete"
        )
    assert (problem["missing"], problem["next_action"]["type"]) == (["device"], "onboarding")


def test_device_that_is_gone_leads_to_onboarding(api, shop, asked):
    token = token_of(Challenge.objects.get())
    shop.device.delete()
    for path, body in (("verify", {"token": token}), ("resend", None)):
        travel(timedelta(seconds=31))
        with nothing_changes():
            problem = refused(api.post(f"/challenges/{asked['id']}/{path}/", body), 409, "onboarding_incomplete")
        assert problem["next_action"] == {"type": "onboarding", "path": f"{member(shop)}onboarding/"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"purpose": "redemption"},
        {"purpose": "batch"},
        {"purpose": "device"},
        {"purpose": "contact"},
        {"purpose": "Login"},
        {"purpose": "step_up:"},
        {"purpose": "step_up:Transfer"},
        {"purpose": "step_up:a b"},
        {"purpose": "step_up:login\n"},
        {"purpose": "step_up:" + "a" * 51},
        {"purpose": "login", "description": "Sign in"},
        *({"purpose": purpose, "description": "Claim your bonus"} for purpose in Agreement.values),
        {"purpose": "step_up:a", "description": ""},
        {"purpose": "step_up:a", "description": "a" * 201},
        {"purpose": "step_up:a", "description": "pay \u202e100"},
        {"purpose": "step_up:a", "channel": "push"},
        {"purpose": "step_up:a", "participant": "u-1"},
    ],
    ids=str,
)
def test_only_purposes_of_the_storefronts_own_are_opened(api, shop, body):
    with nothing_changes():
        refused(api.post(f"{member(shop)}challenges/", body), 400, "invalid")


def test_longest_name_of_a_step_up_is_taken(api, shop):
    purpose = "step_up:" + "a-_9z" * 10
    assert api.post(f"{member(shop)}challenges/", {"purpose": purpose}).json()["purpose"] == purpose


def test_challenge_of_another_row_is_answered_at_its_own_path_alone(api, shop, opened):
    batch = api.post(batches(shop), batch_order(shop)).json()
    device = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "ana@example.com"}).json()
    shown = (opened["two_factor"]["challenge"], batch["two_factor"]["challenge"], device["authorization"])
    for challenge in shown:
        token = token_of(Challenge.objects.get(pk=challenge["id"]))
        base = f"/challenges/{challenge['id']}/"
        with nothing_changes():
            refused(api.post(f"{base}verify/", {"token": token}), 409, "purpose_mismatch")
            refused(api.post(f"{base}resend/"), 409, "purpose_mismatch")
            refused(api.post(f"{base}cancel/"), 409, "purpose_mismatch")
        assert api.get(base).json()["status"] == "pending"
