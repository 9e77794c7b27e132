from __future__ import annotations

import pytest

from tests import factories
from tests.fulfillment import RecordingBackend


@pytest.fixture
def shop() -> factories.Shop:
    RecordingBackend.reset()
    return factories.Shop()
