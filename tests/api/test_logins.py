"""Logging in over HTTP: the contract's answers."""

from __future__ import annotations

import pytest

from tests import factories
from tests.api.client import Api, member, nothing_changes, refused
from tests.factories import PASSWORD, account, token_of, wrong_token
from twofa.models import AccessToken, Challenge, Device, IdempotencyRecord, Participant


@pytest.fixture
def path(shop):
    return f"/campaigns/{shop.campaign.slug}/login/"


@pytest.fixture
def given(shop):
    return {"username": account(shop.participant), "password": PASSWORD}


def test_password_then_token_then_an_access_token(api, shop, path, given):
    asked = api.post(path, given)
    problem = refused(asked, 401, "token_required")
    challenge = Challenge.objects.get()
    assert asked["X-Two-Factor"] == "required; method=sms"
    assert problem["challenge"] == {"id": str(challenge.pk), "status": "pending"}
    assert "access_token" not in problem

    response = api.post(path, {**given, "token": token_of(challenge)})

    body = response.json()
    assert response.status_code == 200
    assert (body["token_type"], body["expires_in"], body["participant"]) == (
        "Bearer", 3600, shop.participant.external_id,
    )  # fmt: skip
    assert Api(body["access_token"]).get(member(shop)).json()["external_id"] == shop.participant.external_id


def test_challenge_is_named_again_within_the_pause(api, path, given):
    first = refused(api.post(path, given), 401, "token_required")
    again = refused(api.post(path, given), 401, "token_required")
    assert again["challenge"] == first["challenge"]
    assert Challenge.objects.get().generation == 1


def test_who_needs_no_token_gets_in_at_once(api, shop, path, given):
    type(shop.campaign).objects.update(two_factor_mode="off")
    assert api.post(path, given).status_code == 200
    assert not Challenge.objects.exists()


def test_unknown_name_and_wrong_password_are_one_answer(api, path, given):
    answers = []
    for wrong in ({**given, "password": "x"}, {**given, "username": "nobody"}):
        response = api.post(path, wrong)
        problem = refused(response, 401, "invalid_credentials")
        problem.pop("correlation_id")
        assert (response["WWW-Authenticate"], "X-Two-Factor" in response) == ("Bearer", False)
        answers.append(problem)
    assert answers[0] == answers[1]
    assert not Challenge.objects.exists()
    assert not AccessToken.objects.exists()


def test_wrong_token_costs_an_attempt(api, path, given):
    api.post(path, given)
    wrong = wrong_token(Challenge.objects.get())
    problem = refused(api.post(path, {**given, "token": wrong}), 422, "token_invalid")
    assert problem["attempts_remaining"] == 4
    with nothing_changes():
        refused(api.post(path, {**given, "token": 7}), 400, "token_malformed")
    assert not AccessToken.objects.exists()


def test_who_has_no_device_is_led_to_their_onboarding(api, shop, path, given):
    Device.objects.all().delete()
    with nothing_changes():
        problem = refused(api.post(path, given), 409, "onboarding_incomplete")
    assert problem["missing"] == ["device"]
    assert problem["next_action"] == {"type": "onboarding", "path": f"{member(shop)}onboarding/"}


def test_too_many_passwords_are_throttled(api, path, given):
    for _guess in range(20):
        refused(api.post(path, {**given, "password": "x"}), 401, "invalid_credentials")
    response = api.post(path, given)
    problem = refused(response, 429, "throttled")
    assert response["Retry-After"] == str(problem["retry_after"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "ana"},
        {"username": "", "password": "x"},
        {"username": "ana", "password": ""},
        {"username": "ana", "password": None},
        {"username": "ana\0", "password": "x"},
        {"username": "ana", "password": ["x"]},
        {"username": "ana", "password": "x" * 1025},
        {"username": "ana", "password": "x", "remember": True},
    ],
    ids=str,
)
def test_what_is_no_login_is_refused(api, path, body):
    with nothing_changes():
        refused(api.post(path, body), 400, "invalid")


def test_half_a_character_in_a_password_is_refused(api, path):
    with nothing_changes():
        refused(api.post(path, b'{"username": "ana", "password": "\\ud800"}'), 400, "invalid")


def test_no_answer_with_an_access_token_is_stored(api, path, given):
    api.post(path, given, idempotency_key="k")
    token = token_of(Challenge.objects.get())
    assert api.post(path, {**given, "token": token}, idempotency_key="k").status_code == 200
    assert not IdempotencyRecord.objects.exists()


def test_storefront_of_another_campaign_logs_nobody_in(neighbour, path, given):
    with nothing_changes():
        refused(neighbour.post(path, given), 404, "not_found")


# --- signing up -------------------------------------------------------------------------------------------------------


def test_signing_up_and_in_with_one_token(api, shop, path):
    verification = api.post(
        f"/campaigns/{shop.campaign.slug}/contact-verifications/", {"channel": "email", "address": "bia@example.com"}
    ).json()
    token = token_of(Challenge.objects.get())
    login = {"username": "bia@example.com", "password": PASSWORD}
    proof = {"challenge_id": verification["id"], "token": token}
    body = {"name": "Bia Lima", "contact_verification": proof, **login}

    assert api.put(member(shop, "bia"), body).status_code == 201
    # Repeated after a lost connection, as every PUT may be.
    assert api.put(member(shop, "bia"), body).status_code == 200
    assert api.post(path, {**login, "token": token}).json()["participant"] == "bia"
    response = api.post(path, {**login, "token": token})
    refused(response, 401, "token_required")
    assert response["X-Two-Factor"] == "required; method=email"


@pytest.mark.parametrize("body", [{"username": "bia"}, {"password": PASSWORD}], ids=str)
def test_name_and_password_come_together(api, shop, body):
    with nothing_changes():
        refused(api.put(member(shop, "bia"), {"name": "Bia", **body}), 400, "invalid")


def test_account_of_somebody_who_exists_is_refused(api, shop, given):
    with nothing_changes():
        problem = refused(api.put(member(shop), given), 400, "invalid")
    assert problem["errors"][0]["code"] == "only_on_creation"


def test_statements_of_a_login_have_a_budget(api, path, given, sql):
    api.get("/campaigns/")
    with sql() as asking:
        api.post(path, given)
    token = token_of(Challenge.objects.get())
    with sql() as answering:
        assert api.post(path, {**given, "token": token}).status_code == 200
    with sql() as refusing:
        api.post(path, {**given, "password": "x"})
    assert len(asking) <= 20, str(asking)
    assert len(answering) <= 21, str(answering)
    assert len(refusing) <= 8, str(refusing)


def test_participant_elsewhere_with_the_same_user_is_another(api, shop, path, given):
    other = factories.campaign()
    Participant.objects.create(campaign=other, user=shop.participant.user, external_id="elsewhere", name="Ana")
    api.post(path, given)
    token = token_of(Challenge.objects.get())
    assert api.post(path, {**given, "token": token}).json()["participant"] == shop.participant.external_id
