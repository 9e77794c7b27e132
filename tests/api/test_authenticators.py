from __future__ import annotations

import json
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import factories
from tests.api.client import Api, member, nothing_changes, refused
from tests.api.phones import Phone, activate, agree, enrol, forget_steps
from tests.factories import token_of
from twofa.models import Authenticator, Challenge, Delivery, Event, IdempotencyRecord, Participant, RecoveryCode
from twofa.models.clock import now

# --- enrolment --------------------------------------------------------------------------------------------------------


def test_new_app_is_a_pending_device_with_what_it_reads(api, shop):
    shop.device.delete()
    response = api.post(f"{member(shop)}devices/", {"channel": "totp", "name": "Ana's phone"})
    body = response.json()
    assert (response.status_code, body["channel"], body["status"], body["name"]) == (
        201, "totp", "pending", "Ana's phone"
    )  # fmt: skip
    assert body["otpauth_uri"].startswith("otpauth://totp/")
    assert body["qr_svg"].startswith("<svg")
    assert body["next_action"] == {"type": "confirm_token", "path": f"/devices/{body['id']}/verify/"}
    assert not Delivery.objects.exists()


def test_secret_is_shown_once(api, shop):
    shop.device.delete()
    body, _phone = enrol(api, shop)
    for shown in (api.get(f"/devices/{body['id']}/").json(), api.get(f"{member(shop)}devices/").json()["results"][0]):
        assert {**shown, "otpauth_uri": body["otpauth_uri"], "qr_svg": body["qr_svg"]} == body
        assert "otpauth_uri" not in shown


def test_picture_is_null_where_the_library_is_not_installed(api, shop, monkeypatch):
    shop.device.delete()
    monkeypatch.setitem(sys.modules, "segno", None)
    body, phone = enrol(api, shop)
    assert body["qr_svg"] is None
    assert len(phone.secret) == 20


def test_right_code_activates_it_and_brings_recovery_codes_once(api, shop):
    shop.device.delete()
    pending, phone = enrol(api, shop)
    path = f"/devices/{pending['id']}/verify/"
    refused(api.post(path, {"token": phone.wrong_code()}), 422, "token_invalid")
    forget_steps()
    body = api.post(path, {"token": phone.code()}).json()
    assert (body["status"], len(set(body["recovery_codes"]))) == ("active", 10)
    with nothing_changes():
        refused(api.post(path, {"token": phone.code()}), 409, "wrong_state")
    assert api.get(f"{member(shop)}recovery-codes/").json() == {"left": 10}


def test_neither_secret_nor_codes_are_stored_for_a_key(api, shop):
    shop.device.delete()
    path = f"{member(shop)}devices/"
    body = api.post(path, {"channel": "totp"}, idempotency_key="one").json()
    other = api.post(path, {"channel": "totp"}, idempotency_key="one").json()
    assert body["otpauth_uri"] != other["otpauth_uri"]
    phone = Phone(other["otpauth_uri"])
    api.post(f"/devices/{other['id']}/verify/", {"token": phone.code()}, idempotency_key="two")
    forget_steps()
    agreed = agree(api, shop, "step_up:recovery_codes", phone.code())
    made = api.post(f"{member(shop)}recovery-codes/", {"authorization": agreed}, idempotency_key="three")
    assert made.status_code == 201
    assert not IdempotencyRecord.objects.exists()
    secret = parse_qs(urlsplit(other["otpauth_uri"]).query)["secret"][0]
    kept = json.dumps(list(Event.objects.values()), default=str)
    assert not any(text in kept for text in (secret, *made.json()["codes"]))


def test_app_has_no_address_and_a_contact_has_one(api, shop):
    with nothing_changes():
        given = api.post(f"{member(shop)}devices/", {"channel": "totp", "address": "ana@example.com"})
        assert refused(given, 400, "invalid")["errors"][0]["field"] == "address"
        given = api.post(f"{member(shop)}devices/", {"channel": "email"})
        assert refused(given, 400, "invalid")["errors"][0]["code"] == "required"


# --- where a factor stands --------------------------------------------------------------------------------------------


def test_factor_that_stands_agrees_to_an_app_first(api, shop):
    with nothing_changes():
        problem = refused(api.post(f"{member(shop)}devices/", {"channel": "totp"}), 400, "invalid")
    assert problem["errors"][0]["field"] == "authorization"
    assert "step_up:authenticator_add" in problem["errors"][0]["detail"]
    body, _phone = enrol(api, shop, authorization=agree(api, shop, "step_up:authenticator_add"))
    assert body["status"] == "pending"


def test_app_is_removed_only_with_its_own_agreement(api, shop):
    device, phone = activate(api, shop)
    path = f"/devices/{device['id']}/"
    with nothing_changes():
        refused(api.delete(path), 400, "invalid")
        refused(api.delete(f"{path}?authorization=x"), 400, "invalid")
    agreed = agree(api, shop, "step_up:authenticator_remove", phone.code())
    assert api.delete(f"{path}?authorization={agreed}").status_code == 204
    assert api.get(path).json()["status"] == "revoked"
    assert api.get(f"{member(shop)}devices/").json()["results"] == []


def test_pending_app_is_removed_at_once(api, shop):
    shop.device.delete()
    body, _phone = enrol(api, shop)
    assert api.delete(f"/devices/{body['id']}/").status_code == 204
    assert Authenticator.objects.get().secret is None


def test_app_alone_agrees_to_a_contact(api, shop):
    _device, phone = activate(api, shop)
    contact = {"channel": "email", "address": "thief@example.com"}
    with nothing_changes():
        refused(api.post(f"{member(shop)}devices/", contact), 400, "invalid")
    agreed = agree(api, shop, "step_up:device_add", phone.code())
    body = api.post(f"{member(shop)}devices/", {**contact, "authorization": agreed}).json()
    assert (body["status"], body["challenge"]["purpose"]) == ("pending", "device")
    other = {"channel": "email", "address": "other@example.com", "authorization": agreed}
    with nothing_changes():
        refused(api.post(f"{member(shop)}devices/", other), 400, "invalid")


def test_contact_registered_before_the_app_is_not_activated_behind_its_back(api, shop):
    shop.device.delete()
    contact = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "thief@example.com"}).json()
    pending, phone = enrol(api, shop)
    api.post(f"/devices/{pending['id']}/verify/", {"token": phone.code()})
    token = token_of(Challenge.objects.get(pk=contact["challenge"]["id"]))
    with nothing_changes():
        refused(api.post(f"/devices/{contact['id']}/verify/", {"token": token}), 409, "wrong_state")


def test_app_enrolled_before_a_contact_is_not_activated_behind_its_back(api, shop):
    shop.device.delete()
    pending, phone = enrol(api, shop)
    factories.device(shop.participant, activated_at=now())
    with nothing_changes():
        refused(api.post(f"/devices/{pending['id']}/verify/", {"token": phone.code()}), 409, "wrong_state")


def test_recovery_codes_are_replaced_with_agreement(api, shop):
    device, phone = activate(api, shop)
    path = f"{member(shop)}recovery-codes/"
    with nothing_changes():
        refused(api.post(path), 400, "invalid")
    agreed = agree(api, shop, "step_up:recovery_codes", phone.code())
    codes = api.post(path, {"authorization": agreed}).json()["codes"]
    assert len(codes) == 10
    assert not set(codes) & set(device["recovery_codes"])
    assert RecoveryCode.objects.count() == 10


# --- one list, one shape ----------------------------------------------------------------------------------------------


def test_apps_and_contacts_are_one_list(api, shop):
    factories.device(shop.participant, "email")
    enrol(api, shop, authorization=agree(api, shop, "step_up:authenticator_add"))
    first = api.get(f"{member(shop)}devices/?page_size=1").json()
    assert [row["channel"] for row in first["results"]] == ["totp", "email"]
    second = api.get(first["next"]).json()
    assert [row["channel"] for row in second["results"]] == ["sms"]
    assert set(first["results"][0]) == set(first["results"][1])


@pytest.mark.parametrize("verb", ["resend", "make-default", "authorize"])
def test_nothing_is_sent_to_an_app(api, shop, verb):
    device, _phone = activate(api, shop)
    with nothing_changes():
        refused(
            api.post(f"/devices/{device['id']}/{verb}/", {"token": "123456"} if verb == "authorize" else None),
            409, "wrong_state",
        )  # fmt: skip


def test_app_of_others_is_not_there(api, shop, neighbour):
    device, phone = activate(api, shop)
    with nothing_changes():
        refused(neighbour.get(f"/devices/{device['id']}/"), 404, "not_found")
        refused(neighbour.delete(f"/devices/{device['id']}/"), 404, "not_found")
        refused(neighbour.post(f"/devices/{device['id']}/verify/", {"token": phone.code()}), 404, "not_found")
        refused(neighbour.get(f"{member(shop)}recovery-codes/"), 404, "not_found")
        refused(neighbour.post(f"{member(shop)}recovery-codes/"), 404, "not_found")


def test_participant_enrols_their_own_app(shop):
    shop.device.delete()
    own = Api(factories.access_token(shop))
    body, phone = enrol(own, shop)
    assert own.post(f"/devices/{body['id']}/verify/", {"token": phone.code()}).json()["status"] == "active"
    assert own.get(f"{member(shop)}recovery-codes/").json() == {"left": 10}


# --- the method -------------------------------------------------------------------------------------------------------


def test_method_needs_an_active_app(api, shop):
    with nothing_changes():
        refused(api.patch(member(shop), {"two_factor_method": "totp"}), 409, "onboarding_incomplete")
    activate(api, shop)
    assert api.patch(member(shop), {"two_factor_method": "totp"}).json()["two_factor_method"] == "totp"


def test_two_factor_is_not_switched_off_past_an_app(api, shop):
    device, phone = activate(api, shop)
    api.patch(member(shop), {"two_factor_method": "totp"})
    with nothing_changes():
        refused(api.patch(member(shop), {"two_factor_method": "none"}), 409, "onboarding_incomplete")
    agreed = agree(api, shop, "step_up:authenticator_remove", phone.code())
    api.delete(f"/devices/{device['id']}/?authorization={agreed}")
    assert api.patch(member(shop), {"two_factor_method": "none"}).status_code == 200
    assert Participant.objects.get(pk=shop.participant.pk).two_factor_method == "none"
