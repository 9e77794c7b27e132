"""Run under `tests.settings.oauth2` alone: the rest of the suite is a host without an OAuth2 server."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests import factories
from tests.fulfillment import RecordingBackend

collect_ignore_glob = [] if "twofa.contrib.oauth2" in settings.INSTALLED_APPS else ["test_*.py"]


@pytest.fixture(autouse=True)
def _backend():
    RecordingBackend.reset()


@pytest.fixture
def shop(db):
    return factories.Shop()
