from __future__ import annotations

import pytest

from tests import factories
from tests.api.client import Api
from tests.fulfillment import RecordingBackend


@pytest.fixture(autouse=True)
def _backend():
    RecordingBackend.reset()


@pytest.fixture
def shop(db):
    return factories.Shop()


@pytest.fixture
def api(shop):
    """The shop's storefront, calling over HTTP."""
    return Api(factories.key(shop.storefront))


@pytest.fixture
def neighbour(shop):
    """Another storefront, of another campaign."""
    return Api(factories.key(factories.storefront(factories.campaign())))


@pytest.fixture
def partner(shop):
    """Another storefront of the same campaign."""
    return Api(factories.key(factories.storefront(shop.campaign)))
