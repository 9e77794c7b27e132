"""The checks of this app, and the page that lists them."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.core import checks as django_checks
from django.test import override_settings

from tests.example.blocks import ROOT
from tests.settings.oauth2 import OAUTH2_PROVIDER
from twofa.contrib.oauth2 import checks
from twofa.contrib.oauth2.authentication import ApplicationAuthentication


class Own(ApplicationAuthentication):
    """A host's own, which knows tokens as well."""


def found(**settings: object) -> list[str]:
    with override_settings(**settings):
        messages = django_checks.run_checks()
    return sorted(str(message.id) for message in messages if str(message.id).startswith("twofa_oauth2."))


def test_good_settings_are_silent():
    assert found() == []
    assert found(TWOFA_API_AUTHENTICATION=Own) == []


@pytest.mark.parametrize(
    "name", ["twofa.api.authentication.StorefrontAuthentication", "no.such.Authentication", None], ids=str
)
def test_setting_that_does_not_know_tokens_is_told(name):
    assert found(TWOFA_API_AUTHENTICATION=name) == ["twofa_oauth2.W001"]


def test_each_scope_that_the_server_does_not_know_is_told():
    scopes = {"checkout": "Checkout", "read": "Read"}

    assert found(OAUTH2_PROVIDER={**OAUTH2_PROVIDER, "SCOPES": scopes}) == ["twofa_oauth2.W002"] * 2


def test_another_app_is_not_concerned():
    with override_settings(TWOFA_API_AUTHENTICATION=None):
        assert checks.check_settings([apps.get_app_config("auth")]) == []
        assert len(checks.check_settings([apps.get_app_config("twofa_oauth2")])) == 1


def test_page_lists_each_finding():
    page = (ROOT / "docs/reference/checks.md").read_text()

    assert set(re.findall(r"`(twofa_oauth2\.[EW]\d{3})`", page)) == {"twofa_oauth2.W001", "twofa_oauth2.W002"}
