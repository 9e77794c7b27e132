from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories import Shop
from tests.fulfillment import RecordingBackend
from twofa.channels.memory import outbox


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    RecordingBackend.reset()
    outbox.clear()
    yield
    outbox.clear()


@pytest.fixture
def shop() -> Shop:
    return Shop()
