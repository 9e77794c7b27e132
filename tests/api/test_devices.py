from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests import factories
from tests.api.client import checkouts, member, nothing_changes, order, refused
from twofa.models import Challenge, Device

PHONE = {"channel": "sms", "address": "+55 11 99999-0034"}


@pytest.fixture
def newcomer(shop):
    return factories.participant(shop.campaign)


def token_of(shown):
    return factories.token_of(Challenge.objects.get(pk=shown["id"]))


def test_first_device_is_registered_and_verified(api, shop, newcomer):
    devices = f"{member(shop, newcomer.external_id)}devices/"

    response = api.post(devices, {**PHONE, "name": "Phone"})

    device = response.json()
    assert response.status_code == 201
    assert (device["status"], device["destination"], device["name"]) == ("pending", "+55 •• •••••-••34", "Phone")
    assert (device["usable_from"], device["authorization"]) == (None, None)
    assert device["next_action"] == {"type": "confirm_token", "path": f"/devices/{device['id']}/verify/"}
    verified = api.post(device["next_action"]["path"], {"token": token_of(device["challenge"])}).json()
    assert (verified["status"], verified["is_default"], verified["challenge"]) == ("active", True, None)
    assert verified["next_action"] == {"type": "none"}
    assert api.get(f"/devices/{device['id']}/").json() == verified
    assert api.get(devices).json()["results"] == [verified]


def test_same_address_again_sends_nothing(api, shop, newcomer):
    devices = f"{member(shop, newcomer.external_id)}devices/"
    first = api.post(devices, PHONE).json()

    with nothing_changes():
        again = api.post(devices, {"channel": "sms", "address": "+5511999990034"})

    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"channel": "sms"}, "address", "required"),
        ({"channel": "pigeon", "address": "x"}, "channel", "invalid_choice"),
        ({"channel": ["sms"], "address": "+5511999990034"}, "channel", "invalid_choice"),
        ({"channel": "sms", "address": "11999990034"}, "address", "invalid_phone"),
        ({"channel": "sms", "address": "+５５11999990034"}, "address", "invalid_phone"),
        ({"channel": "email", "address": "ana"}, "address", "invalid_email"),
        ({"channel": "email", "address": "ana@example.com\r\nBcc: x@y.z"}, "address", "forbidden_characters"),
        ({"channel": "sms", "address": {"a": 1}}, "address", "not_a_text"),
        ({**PHONE, "status": "active"}, "status", "unknown_field"),
        ({**PHONE, "name": "x" * 151}, "name", "max_length"),
    ],
)
def test_bad_device_is_refused_by_its_member(api, shop, newcomer, body, field, code):
    with nothing_changes():
        problem = refused(api.post(f"{member(shop, newcomer.external_id)}devices/", body), 400, "invalid")

    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


def test_wrong_and_malformed_tokens_do_not_activate(api, shop, newcomer):
    device = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE).json()
    verify = f"/devices/{device['id']}/verify/"
    wrong = factories.wrong_token(Challenge.objects.get(pk=device["challenge"]["id"]))

    assert refused(api.post(verify, {"token": wrong}), 422, "token_invalid")["attempts_remaining"] == 4
    malformed: list[Any] = ["", "12345", "1234567", None, [], {}, 123456, "１２３４５６", "a" * 4000]
    with nothing_changes():
        for token in malformed:
            problem = refused(api.post(verify, {"token": token}), 400, "token_malformed")
            assert problem["errors"][0]["field"] == "token"
        refused(api.post(verify, {}), 400, "invalid")
    assert Device.objects.get(uuid=device["id"]).status == "pending"


def test_contact_of_as_many_others_as_may_is_refused_in_neutral_words(api, shop, newcomer):
    for _number in range(3):
        factories.device(factories.participant(shop.campaign), address="+5511999990034")

    with nothing_changes():
        response = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE)

    (error,) = refused(response, 400, "invalid")["errors"]
    assert (error["field"], error["code"]) == ("address", "contact_in_use")
    assert error["detail"] == "This contact cannot be used here. Give another one."


def test_contact_that_is_full_when_it_was_proved_stays_pending(api, shop, newcomer):
    device = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE).json()
    for _number in range(3):
        factories.device(factories.participant(shop.campaign), address="+5511999990034")
    token = token_of(device["challenge"])

    for _again in range(2):
        response = api.post(f"/devices/{device['id']}/verify/", {"token": token})
        (error,) = refused(response, 400, "invalid")["errors"]
        assert error["code"] == "contact_in_use"

    assert api.get(f"/devices/{device['id']}/").json()["status"] == "pending"


def test_second_device_is_authorized_on_the_first(api, shop):
    response = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "ana@example.com"})

    device = response.json()
    assert (response.status_code, device["challenge"], device["destination"]) == (201, None, "a•••••@•••••.com")
    assert device["authorization"]["destination"] == shop.device.destination
    assert device["next_action"] == {"type": "authorize_device", "path": f"/devices/{device['id']}/authorize/"}
    refused(api.post(f"/devices/{device['id']}/verify/", {"token": "ABCDEF"}), 409, "wrong_state")

    authorized = api.post(device["next_action"]["path"], {"token": token_of(device["authorization"])}).json()

    assert (authorized["status"], authorized["authorization"]) == ("pending", None)
    assert authorized["challenge"]["destination"] == "a•••••@•••••.com"
    verified = api.post(f"/devices/{device['id']}/verify/", {"token": token_of(authorized["challenge"])}).json()
    assert (verified["status"], verified["is_default"]) == ("active", False)


def test_default_is_changed_by_a_token_from_the_present_one(api, shop):
    other = factories.device(shop.participant, "email")

    waiting = api.post(f"/devices/{other.uuid}/make-default/")

    assert waiting.status_code == 202
    body = waiting.json()
    assert body["authorization"]["destination"] == shop.device.destination
    done = api.post(body["next_action"]["path"], {"token": token_of(body["authorization"])}).json()
    assert (done["is_default"], done["authorization"]) == (True, None)
    with nothing_changes():
        assert api.post(f"/devices/{other.uuid}/make-default/").status_code == 200


def test_active_device_is_revoked_by_its_token(api, shop):
    waiting = api.delete(f"/devices/{shop.device.uuid}/")

    assert waiting.status_code == 202
    body = waiting.json()
    assert body["status"] == "active"
    done = api.post(body["next_action"]["path"], {"token": token_of(body["authorization"])}).json()
    assert (done["status"], done["is_default"]) == ("revoked", False)
    assert api.delete(f"/devices/{shop.device.uuid}/").status_code == 204
    assert api.get(f"{member(shop)}devices/").json()["results"] == []


def test_pending_device_is_revoked_at_once(api, shop, newcomer):
    device = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE).json()

    response = api.delete(f"/devices/{device['id']}/")

    assert (response.status_code, response.content) == (204, b"")
    assert api.get(f"/devices/{device['id']}/").json()["status"] == "revoked"
    assert Challenge.objects.get(pk=device["challenge"]["id"]).status == "cancelled"


def test_resend_keeps_its_pause_then_renews(api, shop, newcomer):
    device = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE).json()
    with nothing_changes():
        cooling = api.post(f"/devices/{device['id']}/resend/")
        problem = refused(cooling, 429, "resend_cooldown")
    assert cooling["Retry-After"] == str(problem["retry_after"])
    Challenge.objects.update(resend_cooldown=shop.campaign.resend_cooldown * 0)

    renewed = api.post(f"/devices/{device['id']}/resend/", {})

    assert renewed.status_code == 202
    assert renewed.json()["challenge"]["token_sequence"] == 2


def test_partner_sees_the_device_but_not_the_challenge_of_another(api, partner, shop, newcomer):
    device = api.post(f"{member(shop, newcomer.external_id)}devices/", PHONE).json()

    seen = partner.get(f"/devices/{device['id']}/").json()

    assert (seen["id"], seen["status"], seen["challenge"]) == (device["id"], "pending", None)
    with nothing_changes():
        token = token_of(device["challenge"])
        refused(partner.post(f"/devices/{device['id']}/verify/", {"token": token}), 409, "wrong_state")


@pytest.mark.parametrize("action", ["verify/", "resend/", "authorize/", "make-default/"])
@pytest.mark.parametrize("device_id", ["nope", "7", str(uuid.UUID(int=7)), "%00", "urn:uuid:{0}", "%7B{0}%7D"])
def test_unknown_device_is_not_found(api, shop, action, device_id):
    path = f"/devices/{device_id.format(shop.device.uuid)}/"
    with nothing_changes():
        refused(
            api.post(path + action, {"token": "ABCDEF"} if action in {"verify/", "authorize/"} else None),
            404,
            "not_found",
        )
        refused(api.get(path), 404, "not_found")
        refused(api.delete(path), 404, "not_found")


def test_list_costs_the_same_at_every_size(api, shop, sql):
    with sql() as few:
        api.get(f"{member(shop)}devices/")
    for _ in range(4):
        factories.device(shop.participant, "email", is_default=False)
    with sql() as many:
        api.get(f"{member(shop)}devices/")

    assert len(many) == len(few) - 1 == 6


def test_held_device_says_so_and_only_staff_can_help(api, shop):
    Device.objects.update(held_at=shop.participant.created_at, confirmed=False)

    def told(next_action: dict[str, Any]) -> tuple[Any, Any]:
        return next_action["type"], next_action.get("poll_after")

    shown = api.get(f"/devices/{shop.device.uuid}/").json()
    assert (shown["status"], shown["held"], told(shown["next_action"])) == ("active", True, ("wait", 30))
    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop)), 409, "onboarding_incomplete")
    assert (problem["missing"], told(problem["next_action"])) == (["device"], ("wait", 30))
    onboarding = api.get(f"{member(shop)}onboarding/").json()
    assert (onboarding["missing"], told(onboarding["next_action"])) == (["device"], ("wait", 30))
