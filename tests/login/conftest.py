"""Run under `tests.settings.login` alone: the rest of the suite is a host whose login is its own affair."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client

from tests import factories
from tests.fulfillment import RecordingBackend
from tests.login.people import sign_up
from twofa.channels.memory import outbox
from twofa.models import Storefront

collect_ignore_glob = [] if "twofa.contrib.login" in settings.INSTALLED_APPS else ["test_*.py"]


@pytest.fixture(autouse=True)
def _clean_host():
    RecordingBackend.reset()
    outbox.clear()


@pytest.fixture
def shop(db):
    shop = factories.Shop(slug="miles", two_factor_mode="off")
    Storefront.objects.filter(pk=shop.storefront.pk).update(name="Website")
    shop.storefront.refresh_from_db()
    return shop


@pytest.fixture
def person(shop):
    return sign_up(shop.participant)


@pytest.fixture
def browser(person):
    return Client(enforce_csrf_checks=False)
