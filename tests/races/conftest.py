from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import factories
from tests.fulfillment import RecordingBackend
from tests.races.guards import Meeting
from twofa import jobs
from twofa.channels.memory import outbox


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clean host; jobs are not published, so that what is sent is sent by this test."""
    RecordingBackend.reset()
    outbox.clear()
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    yield
    Meeting.everywhere.clear()


@pytest.fixture
def shop() -> factories.Shop:
    return factories.Shop()
