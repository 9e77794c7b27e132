from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.api.client import batch_order, batches, checkouts, nothing_changes, order, refused
from tests.fulfillment import RecordingBackend
from twofa.exceptions import RedemptionRefused
from twofa.models import Challenge, Device, Redemption, RedemptionBatch


@pytest.fixture
def opened(api, shop) -> Any:
    return api.post(batches(shop), batch_order(shop)).json()


def path(body, verb=""):
    return f"/redemption-batches/{body['id']}/{verb}"


def right(body):
    return factories.token_of(Challenge.objects.get(batch=body["id"]))


def wrong(body):
    return factories.wrong_token(Challenge.objects.get(batch=body["id"]))


def with_line(body, number, **changes):
    """The body with one line changed."""
    lines = [{**line, **(changes if place == number else {})} for place, line in enumerate(body["redemptions"])]
    return {**body, "redemptions": lines}


# --- open -------------------------------------------------------------------------------------------------------------


def test_batch_waits_for_one_token(api, shop):
    body = batch_order(shop, "10.5", "20")
    response = api.post(batches(shop), body, x_correlation_id="batch-1")
    shown = response.json()
    assert response.status_code == 201
    challenge = shown["two_factor"]["challenge"]
    assert (challenge["purpose"], challenge["status"]) == ("batch", "pending")
    lines = shown.pop("redemptions")
    expected = {
        "campaign": shop.campaign.slug,
        "request_id": body["request_id"],
        "participant": shop.participant.external_id,
        "approver": None,
        "status": "pending_2fa_approval",
        "test": False,
        "count": 2,
        "total": "30.50",
        "unit": "points",
        "digest": Challenge.objects.get().short_digest,
        "next_action": {"type": "confirm_token", "path": path(shown, "confirm/")},
        "failure": None,
        "correlation_id": "batch-1",
        "completed_at": None,
    }
    assert {name: shown[name] for name in expected} == expected
    assert {*shown} - {*expected} == {"id", "two_factor", "created_at"}
    assert [(line["order_id"], line["amount"]) for line in lines] == [
        (body["redemptions"][0]["order_id"], "10.50"), (body["redemptions"][1]["order_id"], "20.00"),
    ]  # fmt: skip
    for line in lines:
        assert line["batch"] == shown["id"]
        assert line["status"] == "pending_2fa_approval"
        assert line["two_factor"]["challenge"] == challenge
        assert line["next_action"] == shown["next_action"]


def test_same_request_id_is_answered_again_or_is_a_conflict(api, shop):
    body = batch_order(shop)
    opened = api.post(batches(shop), body).json()
    with nothing_changes():
        again = api.post(batches(shop), body)
        problem = refused(api.post(batches(shop), with_line(body, 0, amount="1.00")), 409, "order_conflict")
    assert again.status_code == 200
    assert again.json() == opened
    assert problem["batch"] == {"id": opened["id"], "status": "pending_2fa_approval"}


def test_idempotency_key_answers_the_same_bytes(api, shop):
    body = batch_order(shop)
    first = api.post(batches(shop), body, idempotency_key="k")
    again = api.post(batches(shop), body, idempotency_key="k")
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert again.content == first.content


def test_line_with_an_order_id_in_use_is_named(api, shop):
    taken = api.post(checkouts(shop), order(shop)).json()
    body = with_line(batch_order(shop), 2, order_id=taken["order_id"])
    with nothing_changes():
        problem = refused(api.post(batches(shop), body), 409, "order_conflict")
    assert problem["line"] == 2
    assert problem["redemption"] == {"id": taken["id"], "status": "pending_2fa_approval"}


def test_line_that_the_host_refuses_is_named_and_nothing_is_created(api, shop):
    RecordingBackend.failures["reserve"] = iter([None, RedemptionRefused("insufficient_points")])
    problem = refused(api.post(batches(shop), batch_order(shop)), 422, "redemption_refused")
    assert (problem["reason"], problem["line"]) == ("insufficient_points", 1)
    assert not RedemptionBatch.objects.exists()
    assert not Redemption.objects.exists()
    assert not Challenge.objects.exists()


@pytest.mark.parametrize(
    ("number", "change", "field", "code"),
    [
        (72, {"amount": "0"}, "redemptions[72].amount", "not_positive"),
        (72, {"amount": 10}, "redemptions[72].amount", "not_an_amount"),
        (0, {"order_id": ""}, "redemptions[0].order_id", "blank"),
        (99, {"description": "a\u202eb"}, "redemptions[99].description", "forbidden_characters"),
        (5, {"device": None}, "redemptions[5].device", "unknown_field"),
        (5, {"scheduled_for": "2027-01-01T00:00:00Z"}, "redemptions[5].scheduled_for", "unknown_field"),
        (
            7,
            {"items": [{"sku": "S", "name": "N", "quantity": 1, "amount": "2.00"}]},
            "redemptions[7].items",
            "sum_mismatch",
        ),
        (
            7,
            {"items": [{"sku": "S", "name": "N", "quantity": 0, "amount": "1.00"}]},
            "redemptions[7].items[0].quantity",
            "min_value",
        ),
    ],
    ids=str,
)
def test_one_invalid_line_of_a_hundred_is_named(api, shop, number, change, field, code):
    body = with_line(batch_order(shop, *["1.00"] * 100), number, **change)
    with nothing_changes():
        problem = refused(api.post(batches(shop), body), 400, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


@pytest.mark.parametrize(("count", "code"), [(0, "empty"), (101, "max_length")])
def test_none_and_a_hundred_and_one_lines_are_refused(api, shop, count, code):
    lines = batch_order(shop, *["1.00"] * (count or 1))["redemptions"][:count]
    with nothing_changes():
        problem = refused(api.post(batches(shop), batch_order(shop, redemptions=lines)), 400, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [("redemptions", code)]


def test_second_line_with_one_order_id_is_refused(api, shop):
    body = batch_order(shop, *["1.00"] * 5)
    body = with_line(body, 3, order_id=body["redemptions"][1]["order_id"])
    with nothing_changes():
        problem = refused(api.post(batches(shop), body), 400, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [
        ("redemptions[3].order_id", "duplicate")
    ]


def test_total_is_an_amount_like_any_other(api, shop):
    body = batch_order(shop, "999999999999.99", "0.01")
    with nothing_changes():
        problem = refused(api.post(batches(shop), body), 400, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [("redemptions", "total_too_large")]
    assert api.post(batches(shop), with_line(body, 0, amount="999999999999.98")).json()["total"] == "999999999999.99"


@pytest.mark.parametrize("name", ["scheduled_for", "device", "order_id"])
def test_members_of_a_single_redemption_are_unknown(api, shop, name):
    with nothing_changes():
        problem = refused(api.post(batches(shop), batch_order(shop, **{name: "x"})), 400, "invalid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(name, "unknown_field")]


def test_body_beyond_the_limit_is_refused(api, shop):
    item = {"sku": "S" * 100, "name": "N" * 100, "quantity": 1, "amount": "1.00"}
    body = batch_order(shop, *["12.00"] * 100)
    lines = [{**line, "items": [item] * 12} for line in body["redemptions"]]
    with nothing_changes():
        refused(api.post(batches(shop), {**body, "redemptions": lines}), 413, "payload_too_large")


def test_a_hundred_lines_with_twenty_items_each_are_within_the_limit(api, shop):
    item = {"sku": "HP-1", "name": "Noise-cancelling headphones", "quantity": 1, "amount": "150.00"}
    body = batch_order(shop, *["3000.00"] * 100)
    lines = [{**line, "items": [item] * 20} for line in body["redemptions"]]
    response = api.post(batches(shop), {**body, "redemptions": lines})
    assert response.status_code == 201
    assert response.json()["total"] == "300000.00"


def test_participant_without_a_device_is_told_what_is_missing(api, shop):
    Device.objects.all().delete()
    with nothing_changes():
        problem = refused(api.post(batches(shop), batch_order(shop)), 409, "onboarding_incomplete")
    assert problem["missing"] == ["device"]
    assert problem["next_action"]["path"].endswith("/onboarding/")


# --- confirm, resend, cancel, read ------------------------------------------------------------------------------------


def test_right_token_completes_every_line(api, opened):
    response = api.post(path(opened, "confirm/"), {"token": right(opened), "amount": "450.00"})
    shown = response.json()
    assert (response.status_code, shown["status"]) == (200, "completed")
    assert {line["status"] for line in shown["redemptions"]} == {"completed"}
    assert shown["next_action"] == {"type": "none"}
    assert shown["completed_at"] is not None
    assert api.get(path(opened)).json() == shown


def test_many_lines_are_completed_later(api, shop, monkeypatch):
    monkeypatch.setattr("twofa.jobs.publish", lambda *_args, **_options: True)
    opened = api.post(batches(shop), batch_order(shop, *["1.00"] * 6)).json()
    response = api.post(path(opened, "confirm/"), {"token": right(opened)})
    shown = response.json()
    assert (response.status_code, shown["status"]) == (202, "completing")
    assert shown["next_action"] == {"type": "wait", "path": path(opened), "poll_after": 2}
    assert {line["status"] for line in shown["redemptions"]} == {"approved"}


def test_outcomes_of_lines_differ(api, opened):
    RecordingBackend.failures["complete"] = iter([None, RedemptionRefused("no_stock"), None])
    shown = api.post(path(opened, "confirm/"), {"token": right(opened)}).json()
    assert shown["status"] == "partly_completed"
    assert [line["status"] for line in shown["redemptions"]] == ["completed", "failed", "completed"]
    assert shown["redemptions"][1]["failure"]["code"] == "no_stock"
    assert shown["failure"] is None


def test_wrong_tokens_end_it(api, opened):
    for remaining in (4, 3, 2, 1):
        problem = refused(api.post(path(opened, "confirm/"), {"token": wrong(opened)}), 422, "token_invalid")
        assert problem["attempts_remaining"] == remaining
    problem = refused(api.post(path(opened, "confirm/"), {"token": wrong(opened)}), 422, "attempts_exhausted")
    assert problem["batch"] == {"id": opened["id"], "status": "rejected"}
    assert problem["challenge"] == {"id": opened["two_factor"]["challenge"]["id"], "status": "rejected"}
    problem = refused(api.post(path(opened, "confirm/"), {"token": "ABCDEF"}), 409, "challenge_closed")
    assert problem["batch"]["status"] == "rejected"
    shown = api.get(path(opened)).json()
    told = {(part["status"], part["failure"]["code"]) for part in (shown, *shown["redemptions"])}
    assert told == {("rejected", "attempts_exhausted")}


def test_amount_that_differs_from_the_total_costs_nothing(api, opened):
    with nothing_changes():
        refused(
            api.post(path(opened, "confirm/"), {"token": right(opened), "amount": "450.01"}), 409, "transaction_changed"
        )


@pytest.mark.parametrize("verb", ["confirm/", "resend/", "cancel/"])
def test_line_is_not_answered_at_its_own_path(api, opened, verb):
    line = f"/redemptions/{opened['redemptions'][0]['id']}/{verb}"
    with nothing_changes():
        refused(api.post(line, {"token": right(opened)} if verb == "confirm/" else None), 409, "purpose_mismatch")


def test_line_is_read_and_listed_like_any_other(api, shop, opened):
    line = opened["redemptions"][1]
    assert api.get(f"/redemptions/{line['id']}/").json() == line
    assert line in api.get(checkouts(shop)).json()["results"]


def test_challenge_leads_to_the_batch(api, opened):
    shown = api.get(f"/challenges/{opened['two_factor']['challenge']['id']}/").json()
    assert shown["next_action"] == opened["next_action"]


def test_resend_waits(api, opened):
    with nothing_changes():
        problem = refused(api.post(path(opened, "resend/")), 429, "resend_cooldown")
    assert problem["retry_after"] <= 30


def test_resend_to_another_channel(api, shop, opened):
    factories.device(shop.participant, "email")
    Challenge.objects.update(issued_at=Challenge.objects.get().issued_at - Challenge.objects.get().resend_cooldown)
    response = api.post(path(opened, "resend/"), {"channel": "email"})
    assert response.status_code == 202
    challenge = response.json()["two_factor"]["challenge"]
    assert (challenge["channel"], challenge["token_sequence"]) == ("email", 2)


def test_cancel_is_safe_to_repeat(api, opened):
    first = api.post(path(opened, "cancel/"))
    with nothing_changes():
        again = api.post(path(opened, "cancel/"))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert {line["status"] for line in first.json()["redemptions"]} == {"cancelled"}


def test_completed_batch_is_not_cancelled(api, opened):
    api.post(path(opened, "confirm/"), {"token": right(opened)})
    with nothing_changes():
        problem = refused(api.post(path(opened, "cancel/")), 409, "wrong_state")
    assert problem["batch"] == {"id": opened["id"], "status": "completed"}


# --- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_a_hundred_lines_cost_as_many_statements_as_one(api, shop, sql):
    def cost(count: int) -> list[int]:
        body = batch_order(shop, *["1.00"] * count)
        steps: list[int] = []
        with sql() as opening:
            shown = api.post(batches(shop), body).json()
        with sql() as reading:
            assert len(api.get(path(shown)).json()["redemptions"]) == count
        with sql() as cancelling:
            api.post(path(shown, "cancel/"))
        steps += [len(opening), len(reading), len(cancelling) if count > 5 else 0]
        return steps

    api.get("/campaigns/")
    one, two, many = cost(6)[:3], cost(7)[:3], cost(100)[:3]
    assert one == two == many
    assert many[0] <= 20
    assert many[1] == 3
