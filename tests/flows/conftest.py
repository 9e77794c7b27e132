from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests import factories
from tests.canary import Canary, texts_of, watching
from tests.fulfillment import RecordingBackend
from twofa import jobs
from twofa.channels.memory import outbox
from twofa.models import Redemption


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """A clean host before each test, and no token in any log record after it."""
    RecordingBackend.reset()
    outbox.clear()
    jobs.breaker.reset()
    caplog.set_level(logging.DEBUG)
    with watching(monkeypatch) as watch:
        yield watch
    assert watch.found_in(texts_of(caplog.get_records("call"))) == []


@pytest.fixture
def shop() -> factories.Shop:
    return factories.Shop()


@pytest.fixture
def redemption(shop: factories.Shop) -> Redemption:
    return shop.open()
