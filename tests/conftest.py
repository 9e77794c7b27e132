from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from hypothesis import settings as hypothesis_settings

from tests.servers.process import Child
from tests.servers.smtp import SmtpServer
from tests.servers.worker import start_worker
from tests.statements import record_statements
from tests.threads import run_together

# The same examples on each run: what is found is found by everyone. No deadline: the machine may be busy.
hypothesis_settings.register_profile("suite", derandomize=True, deadline=None, database=None)
hypothesis_settings.load_profile("suite")


@pytest.fixture
def broker_url() -> str:
    """The URL of this process's own database of the broker, emptied."""
    url: str = django_settings.CELERY_BROKER_URL
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def celery_worker_process(transactional_db: None, broker_url: str, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """A factory of real workers on this test's database and broker; see `tests.servers.worker.start_worker`."""
    started: list[Child] = []
    number = itertools.count(1)

    def start(**options: Any) -> Child:
        child = start_worker(tmp_path / f"worker-{next(number)}.log", **options)
        started.append(child)
        return child

    yield start
    for child in started:
        child.stop()


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A real SMTP server that keeps what it receives."""
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def threads() -> Callable[..., list[Any]]:
    """`threads([call, ...])`: all calls at the same moment; see `tests.threads.run_together`."""
    return run_together


@pytest.fixture
def documents_folder(settings: Any, tmp_path: Path) -> Path:
    """A private folder for this test's documents, and a key of its own for them."""
    folder = tmp_path / "documents"
    backend = {"BACKEND": "twofa.vault.PrivateFolder", "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = {**settings.STORAGES, "twofa_documents": backend}
    settings.TWOFA_DOCUMENT_KEYS = {"d1": secrets.token_bytes(32)}
    return folder


@pytest.fixture
def sql():
    """`with sql() as statements:` counts statements besides transaction control; see `tests.statements`."""
    return record_statements
