"""What the checks say of authenticator apps whose secrets cannot be opened."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.test_checks import OTHER_KEY
from twofa.checks import rows
from twofa.models import Authenticator


@pytest.fixture
def used(db, monkeypatch) -> Authenticator:
    return apps.active(factories.Shop(), App(monkeypatch))


def told() -> list[str]:
    return [message.id for message in rows.authenticators("default")]


def test_apps_in_use_need_the_library(used, monkeypatch):
    assert told() == []
    monkeypatch.setattr(rows, "find_spec", lambda _name: None)
    assert told() == ["twofa.E064"]
    Authenticator.objects.all().delete()
    assert told() == []


def test_key_of_an_app_that_left_the_ring_is_told(used):
    with override_settings(TWOFA_TOKEN_KEYS={"other": OTHER_KEY}):
        (message,) = rows.authenticators("default")
    assert (message.id, repr(used.kid) in message.msg) == ("twofa.W019", True)
