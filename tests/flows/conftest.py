from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests import factories
from tests.canary import Canary, texts_of, watching
from tests.fulfillment import RecordingBackend
from tests.lives import Life
from tests.stories import travel
from twofa import jobs
from twofa.channels.memory import outbox
from twofa.flows import announcing, seals
from twofa.models import Redemption
from twofa.models.clock import now


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """A clean host before each test, and no token in any log record after it."""
    RecordingBackend.reset()
    outbox.clear()
    jobs.breaker.reset()
    # SQLite gives the number of a storefront that was rolled back to the next one, and the API remembers some.
    monkeypatch.setattr(announcing, "_silent", {})
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


@pytest.fixture
def life(documents_folder: Path) -> Life:
    """Somebody's traces in every table, an hour old, with their events sealed."""
    life = Life()
    travel(timedelta(hours=1))
    seals.seal(now())
    return life
