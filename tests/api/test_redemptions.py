from __future__ import annotations

import re
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F

from tests import factories
from tests.api.client import checkouts, member, nothing_changes, order, refused
from tests.fulfillment import RecordingBackend
from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.models import Challenge, Delivery, Redemption

ITEM = {"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")


@pytest.fixture
def opened(api, shop):
    return api.post(checkouts(shop), order(shop)).json()


def challenge_of(body):
    return Challenge.objects.get(redemption_id=body["id"])


def confirm(api, body, token, **more):
    return api.post(f"/redemptions/{body['id']}/confirm/", {"token": token, **more})


def wrong(body):
    return factories.wrong_token(challenge_of(body))


def right(body):
    return factories.token_of(challenge_of(body))


def test_checkout_waits_for_the_token_of_a_masked_device(api, shop):
    body = order(shop, amount="15000.5", items=[{**ITEM, "quantity": 2, "amount": "15000.50"}], channel="sms")

    response = api.post(checkouts(shop), body, x_correlation_id="order-1")

    shown = response.json()
    assert response.status_code == 201
    times = [
        shown.pop("created_at"),
        *(shown["two_factor"]["challenge"].pop(name) for name in ("issued_at", "deadline")),
    ]
    times.append(shown["two_factor"]["challenge"].pop("resend_available_at"))
    assert all(MOMENT.match(time) for time in times)
    pk, challenge = shown.pop("id"), shown["two_factor"]["challenge"].pop("id")
    assert (uuid.UUID(pk).version, uuid.UUID(challenge).version) == (7, 7)
    assert shown == {
        "campaign": shop.campaign.slug,
        "participant": shop.participant.external_id,
        "order_id": body["order_id"],
        "status": "pending_2fa_approval",
        "test": False,
        "amount": "15000.50",
        "unit": "points",
        "description": "Headphones",
        "items": [{"sku": "HP-1", "name": "Headphones", "quantity": 2, "amount": "15000.50"}],
        "batch": None,
        "approver": None,
        "scheduled_for": None,
        "two_factor": {
            "required": True,
            "reason": "campaign_required",
            "challenge": {
                "purpose": "redemption",
                "status": "pending",
                "channel": "sms",
                "destination": shop.device.destination,
                "token_length": 6,
                "token_sequence": 1,
                "attempts_remaining": 5,
                "resends_remaining": 3,
                "expires_at": None,
                "delivery": {"status": "queued", "reason": None},
            },
        },
        "next_action": {"type": "confirm_token", "path": f"/redemptions/{pk}/confirm/"},
        "failure": None,
        "correlation_id": "order-1",
        "completed_at": None,
    }


def test_campaign_without_two_factor_completes_at_once(api):
    shop = factories.Shop(two_factor_mode="off")
    api.key = factories.key(shop.storefront)

    response = api.post(checkouts(shop), order(shop, approver=None, scheduled_for=None, device=None, channel=None))

    body = response.json()
    assert (response.status_code, body["status"]) == (201, "completed")
    assert body["two_factor"] == {"required": False, "reason": "campaign_off", "challenge": None}
    assert MOMENT.match(body["completed_at"])
    assert [name for name, _pk in RecordingBackend.calls] == ["reserve", "complete"]


def test_same_order_again_is_the_same_redemption(api, shop):
    body = order(shop, items=[ITEM])
    first = api.post(checkouts(shop), body)

    with nothing_changes():
        again = api.post(checkouts(shop), {**body, "amount": "150"})

    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize(
    "change",
    [{"amount": "150.01"}, {"description": "Other"}, {"items": [ITEM]}],
)
def test_same_order_id_with_other_content_conflicts(api, shop, change):
    body = order(shop)
    pk = api.post(checkouts(shop), body).json()["id"]

    with nothing_changes():
        problem = refused(api.post(checkouts(shop), {**body, **change}), 409, "order_conflict")

    assert problem["redemption"] == {"id": pk, "status": "pending_2fa_approval"}


def test_unknown_participant_and_campaign_are_not_found(api, shop):
    with nothing_changes():
        named = refused(api.post(checkouts(shop), order(shop, participant="nobody")), 404, "not_found")
        hidden = refused(api.post("/campaigns/nobody/redemptions/", order(shop)), 404, "not_found")

    assert named["resource"] == "participant"
    assert "resource" not in hidden


def test_participant_without_device_is_sent_to_onboarding(api, shop):
    lonely = factories.participant(shop.campaign).external_id

    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop, participant=lonely)), 409, "onboarding_incomplete")

    assert problem["missing"] == ["device"]
    assert problem["next_action"] == {"type": "onboarding", "path": f"{member(shop, lonely)}onboarding/"}


def test_channel_without_device_is_unavailable(api, shop):
    with nothing_changes():
        refused(api.post(checkouts(shop), order(shop, channel="email")), 422, "channel_unavailable")


def test_device_of_somebody_else_is_not_found(api, shop):
    stranger = factories.device(factories.participant(shop.campaign))

    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop, device=str(stranger.uuid))), 404, "not_found")

    assert problem["resource"] == "device"


def test_refusal_of_the_host_is_told_and_nothing_stays(api, shop):
    RecordingBackend.failures["reserve"] = iter([RedemptionRefused("insufficient_points", "Not enough points.")])

    response = api.post(checkouts(shop), order(shop))

    problem = refused(response, 422, "redemption_refused")
    assert (problem["reason"], problem["detail"]) == ("insufficient_points", "Not enough points.")
    assert not Redemption.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("failure", [TemporaryFailure(), ValueError("secret detail"), RuntimeError()])
def test_failing_host_is_unavailable(api, shop, failure):
    RecordingBackend.failures["reserve"] = iter([failure])

    response = api.post(checkouts(shop), order(shop))

    problem = refused(response, 503, "unavailable")
    assert response["Retry-After"] == str(problem["retry_after"])
    assert "secret" not in response.content.decode()
    assert not Redemption.objects.exists()


def test_open_challenges_are_bounded(api, shop):
    for _ in range(shop.campaign.max_open_challenges):
        assert api.post(checkouts(shop), order(shop)).status_code == 201

    with nothing_changes():
        response = api.post(checkouts(shop), order(shop))

    refused(response, 429, "too_many_open_challenges")


def test_right_token_completes_in_any_spelling(api, opened):
    token = right(opened)

    response = confirm(api, opened, f" {token[:3].lower()}-{token[3:]} ", amount="150.00")

    body = response.json()
    assert (response.status_code, body["status"], body["next_action"]) == (200, "completed", {"type": "none"})
    assert body["two_factor"]["challenge"]["status"] == "approved"
    with nothing_changes():
        assert confirm(api, opened, token).json() == body
    assert RecordingBackend.count("complete") == 1
    problem = refused(confirm(api, opened, "AAAAAA" if token != "AAAAAA" else "BBBBBB"), 409, "challenge_closed")
    assert problem["challenge"]["status"] == "approved"


def test_async_campaign_is_being_completed(api, shop):
    shop.campaign.completion_mode = "async"
    shop.campaign.save()
    opened = api.post(checkouts(shop), order(shop)).json()

    response = confirm(api, opened, right(opened))

    body = response.json()
    assert (response.status_code, body["status"]) == (202, "approved")
    assert body["next_action"] == {"type": "wait", "path": f"/redemptions/{opened['id']}/", "poll_after": 2}


def test_refusal_at_completion_is_a_failure_with_words(api, opened):
    RecordingBackend.failures["complete"] = iter([RedemptionRefused("account_closed")])

    response = confirm(api, opened, right(opened))

    body = response.json()
    assert (response.status_code, body["status"]) == (200, "failed")
    assert body["failure"]["code"] == "account_closed"
    assert body["failure"]["detail"]
    assert RecordingBackend.count("release") == 1


def test_wrong_tokens_count_down_to_the_end(api, opened):
    for remaining in (4, 3, 2, 1):
        assert refused(confirm(api, opened, wrong(opened)), 422, "token_invalid")["attempts_remaining"] == remaining

    token = wrong(opened)
    problem = refused(confirm(api, opened, token), 422, "attempts_exhausted")

    assert problem["attempts_remaining"] == 0
    assert problem["redemption"] == {"id": opened["id"], "status": "rejected"}
    failure = {"code": "attempts_exhausted", "detail": "Too many wrong tokens were typed."}
    assert api.get(f"/redemptions/{opened['id']}/").json()["failure"] == failure
    assert problem["challenge"] == {"id": opened["two_factor"]["challenge"]["id"], "status": "rejected"}
    assert RecordingBackend.count("release") == 1
    with nothing_changes():
        refused(confirm(api, opened, token), 409, "challenge_closed")


@pytest.mark.parametrize(
    "token",
    [None, "", " ", "12345", "1234567", 123456, 1.5, True, [], ["ABCDEF"], {}, "１２３４５６", "ABCD\x00F", "A" * 9999],
)
def test_malformed_token_costs_nothing(api, opened, token):
    with nothing_changes():
        problem = refused(confirm(api, opened, token), 400, "token_malformed")

    assert [error["field"] for error in problem["errors"]] == ["token"]


def test_other_amount_is_told_before_the_token_is_looked_at(api, opened):
    with nothing_changes():
        refused(confirm(api, opened, wrong(opened), amount="150.01"), 409, "transaction_changed")

    assert confirm(api, opened, right(opened), amount="150").status_code == 200


def test_expired_token_leads_to_a_new_one(api, opened):
    Challenge.objects.update(issued_at=F("issued_at") - timedelta(minutes=11))

    with nothing_changes():
        problem = refused(confirm(api, opened, right(opened)), 422, "token_expired")

    assert problem["attempts_remaining"] == 5
    assert problem["next_action"]["type"] == "resend_token"
    assert problem["next_action"]["path"] == f"/redemptions/{opened['id']}/resend/"


def test_resend_supersedes(api, opened):
    with nothing_changes():
        cooling = api.post(f"/redemptions/{opened['id']}/resend/")
        problem = refused(cooling, 429, "resend_cooldown")
    assert cooling["Retry-After"] == str(problem["retry_after"])
    Challenge.objects.update(resend_cooldown=timedelta(0))
    old = right(opened)

    response = api.post(f"/redemptions/{opened['id']}/resend/", {"channel": None})

    assert (response.status_code, response.json()["two_factor"]["challenge"]["token_sequence"]) == (202, 2)
    assert refused(confirm(api, opened, old), 422, "token_superseded")["attempts_remaining"] == 4
    Challenge.objects.update(resends=3)
    with nothing_changes():
        exhausted = api.post(f"/redemptions/{opened['id']}/resend/")
        assert refused(exhausted, 429, "resends_exhausted")["retry_after"] is None
    assert "Retry-After" not in exhausted


def test_resend_over_another_channel(api, shop, opened):
    Challenge.objects.update(resend_cooldown=timedelta(0))
    with nothing_changes():
        refused(api.post(f"/redemptions/{opened['id']}/resend/", {"channel": "email"}), 422, "channel_unavailable")
        refused(api.post(f"/redemptions/{opened['id']}/resend/", {"channel": "pigeon"}), 400, "invalid")
    factories.device(shop.participant, "email")

    body = api.post(f"/redemptions/{opened['id']}/resend/", {"channel": "email"}).json()

    assert body["two_factor"]["challenge"]["channel"] == "email"


def test_cancel_gives_the_points_back_and_is_safe_to_repeat(api, opened):
    response = api.post(f"/redemptions/{opened['id']}/cancel/")

    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert RecordingBackend.count("release") == 1
    with nothing_changes():
        assert api.post(f"/redemptions/{opened['id']}/cancel/", {}).json() == response.json()
        refused(api.post(f"/redemptions/{opened['id']}/resend/"), 409, "challenge_closed")


def test_completed_redemption_is_in_the_wrong_state_to_cancel(api, opened):
    confirm(api, opened, right(opened))

    with nothing_changes():
        problem = refused(api.post(f"/redemptions/{opened['id']}/cancel/"), 409, "wrong_state")

    assert problem["redemption"] == {"id": opened["id"], "status": "completed"}


def test_inactive_participant_may_not(api, shop, opened):
    token = right(opened)
    shop.participant.is_active = False
    shop.participant.save()

    with nothing_changes():
        refused(confirm(api, opened, token), 403, "permission_denied")
        refused(api.post(checkouts(shop), order(shop)), 403, "permission_denied")


def test_budget_of_wrong_tokens_closes_every_door(api, shop, opened):
    shop.campaign.failed_attempts_per_day = 1
    shop.campaign.save()
    refused(confirm(api, opened, wrong(opened)), 422, "token_invalid")

    with nothing_changes():
        for response in (
            confirm(api, opened, right(opened)),
            api.post(f"/redemptions/{opened['id']}/resend/"),
            api.post(checkouts(shop), order(shop)),
        ):
            refused(response, 429, "failed_attempts_budget")


def test_policy_decides_by_the_day_and_says_why(api):
    shop = factories.Shop(two_factor_mode="optional", threshold=Decimal(200))
    api.key = factories.key(shop.storefront)

    below = api.post(checkouts(shop), order(shop)).json()
    above = api.post(checkouts(shop), order(shop)).json()

    assert (below["two_factor"]["reason"], below["status"]) == ("below_threshold", "completed")
    assert (above["two_factor"]["reason"], above["status"]) == ("above_threshold", "pending_2fa_approval")
