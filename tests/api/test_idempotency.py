"""Idempotency keys as a storefront meets them; the record itself is tested with its flow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from tests import factories
from tests.api.client import checkouts, member, nothing_changes, order, refused
from tests.fulfillment import RecordingBackend
from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.models import Challenge, Delivery, IdempotencyRecord, Redemption


@pytest.fixture
def opened(api, shop):
    return api.post(checkouts(shop), order(shop)).json()


def confirm(api, body, token, key):
    return api.post(f"/redemptions/{body['id']}/confirm/", {"token": token}, idempotency_key=key)


def test_same_key_and_body_gets_the_first_answer_again(api, shop):
    body = order(shop)
    first = api.post(checkouts(shop), body, idempotency_key="k 1", x_correlation_id="first")
    Challenge.objects.update(attempts=1)

    with nothing_changes():
        # Another order of members is the same body.
        again = api.post(
            checkouts(shop), dict(reversed(body.items())), idempotency_key="k 1", x_correlation_id="second"
        )

    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert (again["Idempotency-Replayed"], again["X-Correlation-Id"]) == ("true", "second")
    assert "Idempotency-Replayed" not in first
    assert Redemption.objects.count() == Delivery.objects.count() == 1


def test_same_key_with_another_body_is_refused(api, shop):
    body = order(shop)
    api.post(checkouts(shop), body, idempotency_key="k")

    with nothing_changes():
        for other in ({**body, "amount": "150"}, {**body, "order_id": "B"}):
            refused(api.post(checkouts(shop), other, idempotency_key="k"), 422, "idempotency_key_reused")


def test_key_belongs_to_storefront_and_path(api, partner, shop):
    body = order(shop)
    first = api.post(checkouts(shop), body, idempotency_key="k").json()

    foreign = partner.post(checkouts(shop), body, idempotency_key="k")
    elsewhere = api.post(f"/redemptions/{first['id']}/cancel/", body=None, idempotency_key="k")

    assert (foreign.status_code, elsewhere.status_code) == (201, 200)
    assert foreign.json()["id"] != first["id"]
    assert "Idempotency-Replayed" not in foreign
    assert "Idempotency-Replayed" not in elsewhere


def test_wrong_token_again_is_neither_compared_nor_charged(api, opened):
    token = factories.wrong_token(Challenge.objects.get())
    first = confirm(api, opened, token, "k")

    with nothing_changes():
        again = confirm(api, opened, token, "k")
        refused(confirm(api, opened, factories.token_of(Challenge.objects.get()), "k"), 422, "idempotency_key_reused")

    refused(again, 422, "token_invalid")
    assert again.content == first.content
    assert again["Content-Type"] == "application/problem+json"
    assert Challenge.objects.get().attempts == 1


def test_verdict_stays_whatever_happens_later(api, opened):
    token = factories.wrong_token(Challenge.objects.get())
    first = confirm(api, opened, token, "k")
    api.post(f"/redemptions/{opened['id']}/cancel/")

    assert confirm(api, opened, token, "k").content == first.content
    closed = confirm(api, opened, token, "k2")
    refused(closed, 409, "challenge_closed")
    assert confirm(api, opened, token, "k2").content == closed.content


def test_order_conflict_is_kept(api, shop):
    body = order(shop)
    api.post(checkouts(shop), body)
    other = {**body, "amount": "1.00"}

    first = api.post(checkouts(shop), other, idempotency_key="k")

    refused(first, 409, "order_conflict")
    assert api.post(checkouts(shop), other, idempotency_key="k")["Idempotency-Replayed"] == "true"


def test_refusal_of_the_host_is_kept(api, shop):
    RecordingBackend.failures["reserve"] = iter([RedemptionRefused("insufficient_points")])
    body = order(shop)
    first = api.post(checkouts(shop), body, idempotency_key="k")

    again = api.post(checkouts(shop), body, idempotency_key="k")

    assert refused(again, 422, "redemption_refused")["reason"] == "insufficient_points"
    assert again.content == first.content


def test_what_may_be_mended_is_not_kept(api, shop, opened):
    lonely = factories.participant(shop.campaign)
    body = order(shop, participant=lonely.external_id)
    resend = f"/redemptions/{opened['id']}/resend/"

    refused(api.post(checkouts(shop), body, idempotency_key="k"), 409, "onboarding_incomplete")
    refused(api.post(checkouts(shop), {}, idempotency_key="k"), 400, "invalid")
    refused(api.post(checkouts(shop), b"{", idempotency_key="k"), 400, "malformed")
    cooling = api.post(resend, idempotency_key="k")
    refused(cooling, 429, "resend_cooldown")
    RecordingBackend.failures["reserve"] = iter([TemporaryFailure()])
    refused(api.post(checkouts(shop), order(shop), idempotency_key="k"), 503, "unavailable")

    assert cooling["Retry-After"]
    assert not IdempotencyRecord.objects.exists()
    factories.device(lonely)
    assert api.post(checkouts(shop), body, idempotency_key="k").status_code == 201


def test_running_request_is_waited_for_and_a_dead_one_is_not(api, shop):
    body = order(shop)
    api.post(checkouts(shop), body, idempotency_key="k")
    IdempotencyRecord.objects.update(answered_at=None, status=None)

    with nothing_changes():
        response = api.post(checkouts(shop), body, idempotency_key="k")
    refused(response, 409, "idempotency_in_progress")
    assert response["Retry-After"] == "1"

    IdempotencyRecord.objects.update(claimed_at=F("claimed_at") - timedelta(seconds=61))
    assert api.post(checkouts(shop), body, idempotency_key="k").status_code == 200


def test_day_old_answer_is_forgotten(api, shop):
    body = order(shop)
    api.post(checkouts(shop), body, idempotency_key="k")
    IdempotencyRecord.objects.update(claimed_at=F("claimed_at") - timedelta(hours=25))

    response = api.post(checkouts(shop), {**body, "order_id": "other"}, idempotency_key="k")

    assert response.status_code == 201


@pytest.mark.parametrize("key", ["", "é", "a" * 256, "\t\x01"])
def test_malformed_key_is_refused(api, shop, key):
    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop), idempotency_key=key), 400, "invalid")

    assert problem["errors"][0]["field"] == "Idempotency-Key"


def test_longest_key_is_kept(api, shop):
    assert api.post(checkouts(shop), order(shop), idempotency_key="~" * 255).status_code == 201


def test_every_post_takes_a_key(api, shop, opened):
    device = factories.device(shop.participant, "email", is_default=False)
    lonely = factories.participant(shop.campaign)
    posts = [
        (f"{member(shop, lonely.external_id)}devices/", {"channel": "sms", "address": "+5511999990034"}),
        (f"/devices/{device.uuid}/make-default/", None),
        (f"/redemptions/{opened['id']}/cancel/", None),
    ]
    for path, body in posts:
        first = api.post(path, body, idempotency_key="k")
        with nothing_changes():
            again = api.post(path, body, idempotency_key="k")

        assert again.content == first.content, path
        assert again["Idempotency-Replayed"] == "true"


def test_no_token_is_kept(api, opened):
    token = factories.token_of(Challenge.objects.get())

    confirm(api, opened, token, "k")

    assert token not in repr(list(IdempotencyRecord.objects.values_list()))
