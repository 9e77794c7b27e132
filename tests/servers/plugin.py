"""The pytest plugin that gives a run its PostgreSQL and its broker, before Django reads its settings.

Only the process that the developer started starts servers; xdist's workers, and runs started by a test, are told of
them by `TWOFA_TEST_DATABASE_URL` and `TWOFA_TEST_BROKER_URL`. A developer may name servers of their own the same way.
`TWOFA_TEST_SETTINGS` (or `--ds`) chooses the settings module.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Generator
from urllib.parse import urlsplit

import pytest

from tests.servers import broker, network, postgres

DEFAULT_SETTINGS = "tests.settings.default"
POSTGRES_MARK = "postgres: needs row locks, which SQLite has not; left out on SQLite."
LEG_MARK = "leg: runs a part of the suite once more, under other settings; started first because it takes longest."


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Runs before pytest-django's hook of this name, which loads the settings."""
    options = parser.parse_known_args(args)
    chosen = options.ds or os.environ.get("TWOFA_TEST_SETTINGS") or DEFAULT_SETTINGS
    os.environ["DJANGO_SETTINGS_MODULE"] = chosen
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None and not (options.help or options.version or options.collectonly):
        _start_servers(with_postgres=not chosen.endswith(".sqlite"))
    _take_broker_database(worker)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", POSTGRES_MARK)
    config.addinivalue_line("markers", LEG_MARK)
    network.allow_only_loopback()


def pytest_unconfigure() -> None:
    network.allow_all()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("leg") is None)
    if not os.environ["DJANGO_SETTINGS_MODULE"].endswith(".sqlite"):
        return
    left_out = [item for item in items if item.get_closest_marker("postgres")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _start_servers(*, with_postgres: bool) -> None:
    if with_postgres and not os.environ.get("TWOFA_TEST_DATABASE_URL"):
        database = postgres.start()
        atexit.register(database.stop)
        os.environ["TWOFA_TEST_DATABASE_URL"] = database.url
    if not os.environ.get("TWOFA_TEST_BROKER_URL"):
        queue = broker.start()
        atexit.register(queue.stop)
        os.environ["TWOFA_TEST_BROKER_URL"] = queue.url


def _take_broker_database(worker: str | None) -> None:
    """Each process of the run has queues of its own, or the Celery workers of two tests take each other's jobs.

    xdist's workers inherit the URL of the process that started them, and take the databases after its own.
    """
    url = os.environ.get("TWOFA_TEST_BROKER_URL")
    if url:
        parts = urlsplit(url)
        number = int(parts.path.strip("/") or 0) + (0 if worker is None else 1 + int(worker.removeprefix("gw")))
        os.environ["TWOFA_TEST_BROKER_URL"] = parts._replace(path=f"/{number}").geturl()
