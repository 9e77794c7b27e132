"""What the checks say of the class that knows who calls."""

from __future__ import annotations

import pytest

from tests.test_checks import found
from twofa.api.authentication import StorefrontAuthentication

BAD = {
    "module": "no.such.Authentication",
    "no-path": "Authentication",
    "null": None,
    "function": "tests.test_checks.resolve",
    "instance": StorefrontAuthentication(),
    "foreign": "rest_framework.authentication.SessionAuthentication",
}


class Own(StorefrontAuthentication):
    """A host's own."""


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_class_that_cannot_know_who_calls_is_an_error(value: object):
    assert found(TWOFA_API_AUTHENTICATION=value) == ["twofa.E090"]


@pytest.mark.parametrize("value", [Own, f"{__name__}.Own"], ids=["class", "path"])
def test_class_of_the_host_s_own_is_silent(value: object):
    assert found(TWOFA_API_AUTHENTICATION=value) == []
