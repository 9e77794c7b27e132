"""The checks of this app, and the page that lists them."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.conf import settings
from django.core import checks as django_checks
from django.core.checks import ERROR
from django.test import override_settings

from tests.example.blocks import ROOT
from twofa.contrib.login import checks


def found(**changed: object) -> list[str]:
    with override_settings(**changed):
        messages = django_checks.run_checks()
    return sorted(str(message.id) for message in messages if str(message.id).startswith("twofa_login."))


def test_good_settings_are_silent():
    assert found() == []


@pytest.mark.parametrize("name", ["TWOFA_LOGIN_STOREFRONT", "TWOFA_LOGIN_CAMPAIGN"])
@pytest.mark.parametrize("value", [None, ""])
def test_setting_without_which_nobody_signs_in_is_told(name, value):
    assert found(**{name: value}) == ["twofa_login.E001"]


def test_middleware_that_is_missing_or_too_early_is_told():
    others = [path for path in settings.MIDDLEWARE if path != checks.MIDDLEWARE]

    assert found(MIDDLEWARE=others) == ["twofa_login.E002"]
    assert found(MIDDLEWARE=[checks.MIDDLEWARE, *others]) == ["twofa_login.E002"]


def rows_found() -> list[str]:
    return [str(message.id) for message in checks.check_rows(databases=["default"])]


def test_storefront_that_does_not_serve_the_campaign_is_told(shop):
    assert rows_found() == []
    assert checks.check_rows(databases=[]) == []
    with override_settings(TWOFA_LOGIN_CAMPAIGN="other"):
        (message,) = checks.check_rows(databases=["default"])
    assert message.id == "twofa_login.W001"
    assert f"twofa_storefront {shop.storefront.name!r} --campaign other" in str(message.hint)
    with override_settings(TWOFA_LOGIN_CAMPAIGN=None):
        assert rows_found() == []
    type(shop.storefront).objects.update(is_active=False)
    assert rows_found() == ["twofa_login.W001"]


def test_another_app_is_not_concerned():
    with override_settings(TWOFA_LOGIN_CAMPAIGN=None):
        assert checks.check_settings([apps.get_app_config("auth")]) == []
        (message,) = checks.check_settings([apps.get_app_config("twofa_login")])
    assert message.level == ERROR


def test_page_lists_each_finding():
    page = (ROOT / "docs/reference/checks.md").read_text()

    assert set(re.findall(r"`(twofa_login\.[EW]\d{3})`", page)) == {
        f"twofa_login.{end}" for end in ("E001", "E002", "W001")
    }
