from __future__ import annotations

import pytest

from tests import factories
from tests.api.client import member, nothing_changes, refused
from twofa.models import Challenge, Participant


def test_put_creates_then_updates(api, shop):
    path = member(shop, "ana@shop:1")

    created = api.put(path, {"name": "Ana", "document_number": "529.982.247-25", "locale": "pt-BR"})
    updated = api.put(path, {"name": "Ana Souza"})

    assert (created.status_code, updated.status_code) == (201, 200)
    row = Participant.objects.get(external_id="ana@shop:1")
    assert (row.name, row.document_number, row.locale) == ("Ana Souza", "52998224725", "pt-br")
    assert updated.json() == {
        "campaign": shop.campaign.slug,
        "external_id": "ana@shop:1",
        "name": "Ana Souza",
        "locale": "pt-BR",
        "two_factor_method": "none",
        "onboarding": "incomplete",
        "created_at": created.json()["created_at"],
    }
    assert api.get(path).json() == updated.json()


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": ""}, "name", "blank"),
        ({"name": "   "}, "name", "blank"),
        ({"name": None}, "name", "null"),
        ({"name": 7}, "name", "not_a_text"),
        ({"name": "A" * 151}, "name", "max_length"),
        ({"name": "Ana\u202eanA"}, "name", "forbidden_characters"),
        ({"name": "Ana", "document_number": "529.982.247-24"}, "document_number", "invalid_document"),
        ({"name": "Ana", "locale": "fr"}, "locale", "invalid_choice"),
        ({"name": "Ana", "is_active": True}, "is_active", "unknown_field"),
        ({"name": "Ana", "two_factor_method": "sms"}, "two_factor_method", "unknown_field"),
    ],
)
def test_bad_enrollment_is_refused_by_its_member(api, shop, body, field, code):
    with nothing_changes():
        problem = refused(api.put(member(shop, "new"), body), 400, "invalid")

    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


@pytest.mark.parametrize("external_id", ["..%2f", "a%20b", "%C3%A9", "a" * 129, "%00", "a%0A"])
def test_malformed_external_id_is_unknown(api, shop, external_id):
    with nothing_changes():
        response = api.put(member(shop, external_id), {"name": "Ana"})

    refused(response, 404, "not_found")


def test_unknown_participant_of_own_campaign_is_named(api, shop):
    assert refused(api.get(member(shop, "nobody")), 404, "not_found")["resource"] == "participant"


def test_patch_changes_what_is_given(api, shop):
    body = api.patch(member(shop), {"two_factor_method": "sms", "locale": "es"}).json()

    assert (body["two_factor_method"], body["locale"], body["name"]) == ("sms", "es", "Ana Souza")


def test_method_without_a_device_asks_for_onboarding(api, shop):
    with nothing_changes():
        problem = refused(api.patch(member(shop), {"two_factor_method": "email"}), 409, "onboarding_incomplete")

    assert problem["missing"] == ["device"]
    assert problem["detail"] == "The participant has no verified device for this method."
    assert problem["next_action"] == {"type": "onboarding", "path": f"{member(shop)}onboarding/"}


def test_switching_off_waits_for_the_current_device(api, shop):
    api.patch(member(shop), {"two_factor_method": "sms"})

    response = api.patch(member(shop), {"two_factor_method": "none"})

    body = response.json()
    assert response.status_code == 202
    assert body["two_factor_method"] == "sms"
    assert body["authorization"]["purpose"] == "device"
    assert body["next_action"]["type"] == "authorize_device"
    token = factories.token_of(Challenge.objects.get(pk=body["authorization"]["id"]))
    assert api.post(body["next_action"]["path"], {"token": token}).status_code == 200
    assert api.get(member(shop)).json()["two_factor_method"] == "none"


def test_onboarding_says_what_is_missing(api, shop):
    lonely = factories.participant(shop.campaign)

    missing = api.get(f"{member(shop, lonely.external_id)}onboarding/").json()
    complete = api.get(f"{member(shop)}onboarding/").json()

    assert (missing["status"], missing["missing"], missing["devices"]) == ("incomplete", ["device"], [])
    assert missing["next_action"]["type"] == "onboarding"
    assert (complete["status"], complete["missing"], complete["documents"]) == ("complete", [], [])
    assert [device["id"] for device in complete["devices"]] == [str(shop.device.uuid)]
