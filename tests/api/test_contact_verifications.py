from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.api.client import Api, checkouts, member, nothing_changes, order, refused
from tests.factories import token_of, wrong_token
from tests.stories import travel
from twofa.models import Challenge, Device, Participant

EMAIL = {"channel": "email", "address": "new@example.com"}


@pytest.fixture
def path(shop):
    return f"/campaigns/{shop.campaign.slug}/contact-verifications/"


@pytest.fixture
def opened(api, path):
    return api.post(path, {**EMAIL, "locale": "pt-BR"}).json()


def proof(body, token):
    return {"name": "Ana Souza", "contact_verification": {"challenge_id": body["id"], "token": token}}


def test_verification_is_a_challenge_of_nobody(api, path, opened):
    assert (opened["purpose"], opened["status"], opened["destination"]) == ("contact", "pending", "n•••••@•••••.com")
    assert opened["next_action"] == {"type": "confirm_token", "path": f"/challenges/{opened['id']}/verify/"}
    assert api.get(f"/challenges/{opened['id']}/").json() == opened
    assert (Challenge.objects.get().participant, Challenge.objects.get().locale) == (None, "pt-br")


def test_repeated_request_with_a_key_sends_nothing(api, path):
    first = api.post(path, EMAIL, idempotency_key="k")
    assert first.status_code == 201
    with nothing_changes():
        assert api.post(path, EMAIL, idempotency_key="k").json() == first.json()
        refused(api.post(path, EMAIL), 429, "resend_cooldown")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "email"},
        {**EMAIL, "address": "new"},
        {**EMAIL, "channel": "sms"},
        {**EMAIL, "channel": "fax"},
        {**EMAIL, "locale": "de"},
        {**EMAIL, "purpose": "contact"},
        {"channel": "sms", "address": "+551133334444"},
    ],
    ids=str,
)
def test_what_is_no_contact_is_refused(api, path, body):
    with nothing_changes():
        refused(api.post(path, body), 400, "invalid")


def test_verified_contact_is_the_first_device_of_a_new_participant(api, shop, opened):
    token = token_of(Challenge.objects.get())

    response = api.put(member(shop, "ana"), proof(opened, token))

    assert response.status_code == 201
    (device,) = api.get(f"{member(shop, 'ana')}devices/").json()["results"]
    assert (device["status"], device["is_default"], device["channel"]) == ("active", True, "email")
    assert api.get(f"/challenges/{opened['id']}/").json()["status"] == "approved"
    body = order(shop, participant="ana")
    assert api.post(checkouts(shop), body).json()["two_factor"]["challenge"]["channel"] == "email"


def test_contact_verified_at_its_own_path_serves_as_well(api, shop, opened):
    token = token_of(Challenge.objects.get())
    assert api.post(f"/challenges/{opened['id']}/verify/", {"token": token}).json()["status"] == "approved"
    assert api.put(member(shop, "ana"), proof(opened, token)).status_code == 201


def test_repeated_registration_is_answered_with_the_participant(api, shop, opened):
    body = proof(opened, token_of(Challenge.objects.get()))
    first = api.put(member(shop, "ana"), body)
    with nothing_changes():
        again = api.put(member(shop, "ana"), body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    with nothing_changes():
        refused(api.put(member(shop, "eve"), body), 409, "challenge_closed")


def test_wrong_token_creates_nobody(api, shop, opened):
    wrong = wrong_token(Challenge.objects.get())
    problem = refused(api.put(member(shop, "ana"), proof(opened, wrong)), 422, "token_invalid")
    assert problem["attempts_remaining"] == 4
    assert Challenge.objects.get().attempts == 1
    assert not Participant.objects.filter(external_id="ana").exists()
    assert Device.objects.count() == 1
    refused(api.get(member(shop, "ana")), 404, "not_found")


def test_expired_token_leads_to_another_one(api, shop, opened):
    token = token_of(Challenge.objects.get())
    travel(timedelta(minutes=11))
    with nothing_changes():
        problem = refused(api.put(member(shop, "ana"), proof(opened, token)), 422, "token_expired")
    assert problem["next_action"]["path"] == f"/challenges/{opened['id']}/resend/"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "7K2M9Q",
        {},
        {"token": "7K2M9Q"},
        {"challenge_id": "nope", "token": "7K2M9Q"},
        {"challenge_id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d"},
        {"challenge_id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d", "token": "7K2M9Q", "address": "x"},
    ],
    ids=str,
)
def test_proof_without_its_members_is_refused(api, shop, given):
    with nothing_changes():
        refused(api.put(member(shop, "ana"), {"name": "Ana", "contact_verification": given}), 400, "invalid")


def test_proof_that_is_not_ours_is_not_there(partner, shop, opened):
    token = token_of(Challenge.objects.get())
    elsewhere = Api(factories.key(factories.storefront(shop.campaign)))
    for caller in (partner, elsewhere):
        with nothing_changes():
            problem = refused(caller.put(member(shop, "ana"), proof(opened, token)), 404, "not_found")
        assert problem["resource"] == "challenge"


def test_token_of_another_purpose_registers_nobody(api, shop):
    login = api.post(f"{member(shop)}challenges/", {"purpose": "login"}).json()
    with nothing_changes():
        refused(api.put(member(shop, "ana"), proof(login, token_of(Challenge.objects.get()))), 409, "purpose_mismatch")


def test_participant_who_exists_is_changed_without_a_proof_alone(api, shop, opened):
    token = token_of(Challenge.objects.get())
    with nothing_changes():
        problem = refused(api.put(member(shop), proof(opened, token)), 400, "invalid")
    assert problem["errors"][0]["code"] == "only_on_creation"
