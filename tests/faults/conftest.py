from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import current_app

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa import jobs
from twofa.channels.memory import outbox


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    RecordingBackend.reset()
    outbox.clear()
    url = current_app.conf.broker_url
    forget()
    yield
    current_app.conf.update(broker_url=url)
    forget()


def forget() -> None:
    """What this process knows of its broker."""
    jobs.breaker.reset()
    jobs._connection.cache_clear()


@pytest.fixture
def shop() -> factories.Shop:
    return factories.Shop()
