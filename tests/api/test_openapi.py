from __future__ import annotations

import difflib
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.settings import spectacular_settings

from tests import factories
from tests.api import snapshot
from tests.api.client import Api, checkouts, member, order
from twofa.api import schema
from twofa.models import Challenge


def test_document_is_the_committed_one():
    committed = snapshot.SNAPSHOT.read_text(encoding="utf-8").splitlines()
    present = snapshot.write().splitlines()

    diff = "\n".join(difflib.unified_diff(committed, present, "committed", "present", lineterm="", n=1))
    assert not diff, f"\n{diff}\n\nIf that is meant: {snapshot.COMMAND}"


def test_generator_has_nothing_to_say(capsys):
    GENERATOR_STATS.reset()
    schema.document.cache_clear()

    schema.document("/api/v1")

    assert not GENERATOR_STATS
    assert capsys.readouterr().err == ""


def test_settings_of_the_host_are_as_before():
    before = spectacular_settings.TITLE, spectacular_settings.OAS_VERSION

    schema.document("/elsewhere")

    assert before == (spectacular_settings.TITLE, spectacular_settings.OAS_VERSION)


def test_every_operation_is_whole():
    document = schema.document("/api/v1")
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]

    assert document["openapi"].startswith("3.1")
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 40
    for operation in operations:
        assert operation["security"] == [{"storefrontKey": []}]
        assert operation["summary"]
        problems = {status for status in operation["responses"] if status >= "400"}
        assert problems >= {"401", "406", "429", "500", "503"}
        for status in problems:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def validator(name: str) -> Any:
    components = schema.document("/api/v1")["components"]
    whole = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema.Draft202012Validator(json.loads(json.dumps(whole)))


@pytest.mark.parametrize(
    ("name", "example"),
    [
        (reference.rpartition("/")[2], example["value"])
        for methods in schema.document("/api/v1")["paths"].values()
        for operation in methods.values()
        for part in (operation.get("requestBody"), *operation["responses"].values())
        if part
        for content in part.get("content", {}).values()
        if (reference := content["schema"].get("$ref"))
        for example in content.get("examples", {}).values()
    ],
)
def test_examples_are_what_their_schema_says(name, example):
    validator(name).validate(example)


def test_real_answers_are_what_their_schema_says(api, shop):
    lonely = factories.participant(shop.campaign)
    opened = api.post(checkouts(shop), order(shop)).json()
    challenge = Challenge.objects.get()
    answers: dict[str, Any] = {
        "CampaignPage": api.get("/campaigns/"),
        "Campaign": api.get(f"/campaigns/{shop.campaign.slug}/"),
        "Participant": api.get(member(shop)),
        "Onboarding": api.get(f"{member(shop)}onboarding/"),
        "DevicePage": api.get(f"{member(shop)}devices/"),
        "Device": api.post(
            f"{member(shop, lonely.external_id)}devices/", {"channel": "sms", "address": "+5511999990034"}
        ),
        "ChallengeWithAction": api.get(f"/challenges/{challenge.pk}/"),
        "Redemption": api.get(f"/redemptions/{opened['id']}/"),
        "RedemptionPage": api.get(checkouts(shop)),
    }
    for name, answer in answers.items():
        assert answer.status_code < 300
        strict(name).validate(answer.json())
    for refusal in (
        Api().get("/campaigns/"),
        api.post(checkouts(shop), {}),
        api.post(f"/redemptions/{opened['id']}/confirm/", {"token": factories.wrong_token(challenge)}),
        api.post(f"/redemptions/{opened['id']}/resend/"),
        api.post(checkouts(shop), order(shop, participant=factories.participant(shop.campaign).external_id)),
    ):
        strict("Problem").validate(refusal.json())


def strict(name: str) -> Any:
    """Every member of an answer is documented."""
    components = json.loads(json.dumps(schema.document("/api/v1")["components"]))
    for component in components["schemas"].values():
        component["additionalProperties"] = False
    whole = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema.Draft202012Validator(whole)
