from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils import translation
from rest_framework import exceptions as drf

from tests.example.blocks import blocks_of
from twofa import exceptions
from twofa.api import errors, operations
from twofa.api.links import NOWHERE, Links
from twofa.flows.next_actions import NextAction
from twofa.models import Challenge, Redemption
from twofa.urls import urlpatterns

DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
# Never answered over HTTP by their own code: a race is `wrong_state`, the others are told to staff or to nobody.
INTERNAL = {
    "transition_refused", "policy_refused", "temporary_failure", "delivery_error", "document_unreadable", "key_missing",
}  # fmt: skip


def leaves(tree=exceptions.TwoFactorError):
    below = tree.__subclasses__()
    return [leaf for branch in below for leaf in leaves(branch)] if below else [tree]


def test_every_leaf_has_a_code_with_a_row():
    codes = {leaf.code for leaf in leaves() if leaf.__module__.startswith("twofa.")}

    assert codes - INTERNAL == set(errors.TABLE)


def test_every_code_has_a_line_in_the_documentation():
    lines = DOCUMENTED.read_text().splitlines()

    for code, row in errors.TABLE.items():
        assert any(line.startswith(f"| `{code}` | {row.status} |") for line in lines), code
    documented = {
        line.split("`")[1] for line in lines if line.startswith("| `") and line.split("|")[2].strip().isdigit()
    }
    assert documented == set(errors.TABLE)


def test_example_of_the_documentation_is_such_an_error():
    (block,) = blocks_of("docs/reference/errors.md")
    told = json.loads(block.code)

    wrong = errors.describe(exceptions.TokenInvalid(attempts_remaining=4), NOWHERE)

    assert told == wrong.body("order-1001")
    assert list(told) == list({**wrong.body(""), **told})


def test_every_operation_names_only_codes_of_the_table():
    described = [
        (operations.of(getattr(view, method)), method.upper())
        for view in (vars(pattern.callback).get("cls") for pattern in urlpatterns)  # pages for people have none
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(view, method)
    ]
    named = {code for operation, method in described if operation is not None for code in operation.codes(method)}

    # The rest belongs to no operation: a method that is not there.
    assert set(errors.TABLE) - named == {"method_not_allowed"}


FOREIGN = [
    (drf.ParseError(), 400, "malformed"),
    (drf.NotAuthenticated(), 401, "not_authenticated"),
    (drf.AuthenticationFailed(), 401, "not_authenticated"),
    (drf.PermissionDenied(), 403, "permission_denied"),
    (PermissionDenied(), 403, "permission_denied"),
    (drf.NotFound(), 404, "not_found"),
    (Http404(), 404, "not_found"),
    (drf.MethodNotAllowed("BREW"), 405, "method_not_allowed"),
    (drf.NotAcceptable(), 406, "not_acceptable"),
    (drf.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
    (drf.Throttled(2.1), 429, "throttled"),
    (RequestDataTooBig(), 413, "payload_too_large"),
    (SuspiciousOperation(), 400, "malformed"),
    (UnreadablePostError(), 400, "malformed"),
    (OperationalError(), 503, "unavailable"),
    (InterfaceError(), 503, "unavailable"),
    (exceptions.TemporaryFailure(), 503, "unavailable"),
    (exceptions.TransitionRefused(column="status", before="a", after="b"), 409, "wrong_state"),
    (exceptions.PolicyRefused("private"), 500, "internal_error"),
    (exceptions.DeliveryError("x", retryable=True), 500, "internal_error"),
    (ValueError("private"), 500, "internal_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), FOREIGN, ids=map(str, range(len(FOREIGN))))
def test_every_exception_is_a_problem_that_shows_nothing_of_it(error, status, code):
    problem = errors.describe(error, NOWHERE)

    body = problem.body("c-1")
    assert (body["status"], body["code"]) == (status, code)
    assert "private" not in repr(body)
    assert "before" not in body


def test_throttled_tells_how_long():
    problem = errors.describe(drf.Throttled(2.1), NOWHERE)

    assert problem.headers == {"Retry-After": "3"}
    assert problem.members["retry_after"] == 3
    assert errors.describe(drf.Throttled(), NOWHERE).members["retry_after"] is None


def test_rows_are_named_by_id_and_state():
    challenge, redemption = Challenge(status="rejected"), Redemption(status="rejected")

    members = errors.describe(exceptions.ChallengeClosed(challenge=challenge, redemption=redemption), NOWHERE).members

    assert members["challenge"] == {"id": str(challenge.pk), "status": "rejected"}
    assert members["redemption"] == {"id": str(redemption.pk), "status": "rejected"}


def test_next_action_has_the_path_that_the_view_knows():
    error = exceptions.OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))

    assert errors.describe(error, NOWHERE).members["next_action"] == {"type": "onboarding"}
    assert errors.describe(error, Links({"onboarding": "/there/"})).members["next_action"]["path"] == "/there/"


def test_members_do_not_displace_the_standard_ones():
    body = errors.Problem("invalid", "detail", {"status": 200, "code": "x"}).body("c-1")

    assert (body["status"], body["code"]) == (400, "invalid")


def test_texts_are_spoken_when_they_are_needed():
    error = exceptions.Invalid.field("name", "required", translation.gettext_lazy("Yes"))

    with translation.override("es"):
        assert errors.describe(error, NOWHERE).members["errors"][0]["detail"] == "Sí"
    with translation.override("pt-br"):
        assert errors.describe(error, NOWHERE).members["errors"][0]["detail"] == "Sim"


def test_verdicts_are_what_the_contract_keeps():
    kept = {code for code in errors.TABLE if errors.Problem(code, "").is_verdict}

    assert kept == {code for code, row in errors.TABLE.items() if row.status == 422} | {
        "order_conflict",
        "challenge_closed",
    }
