"""Several callers at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def run_together(calls: Sequence[Callable[[], T]], *, seconds: float = 60) -> list[T | Exception]:
    """Start all calls at once, each on a thread and a database connection of its own.

    Returns what each gave or raised, in their order.
    The rows that they race for must be committed: `@pytest.mark.django_db(transaction=True)`.
    """
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        start.wait(timeout=seconds)
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # the verdict on it is the test's
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        pending = [pool.submit(run, call) for call in calls]
        return [future.result(timeout=seconds) for future in pending]
