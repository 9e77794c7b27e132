from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.example.serving import Served, serve
from tests.servers.process import free_port as find_free_port


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return find_free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`make serve`, with data of its own."""
    running = serve(tmp_path_factory.mktemp("var"))
    yield running
    running.stop()
