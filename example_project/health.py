"""Two addresses for whoever watches: is this process alive, and does everything that it needs answer.

Load balancers ask the first: a web process that works must not be taken away because a worker is late. Alarms watch the
second. Neither asks for a key, and so neither says anything worth one: names of checks, yes or no,
milliseconds. The log has the classes of errors and not their texts: of a broker's address that cannot be parsed, the
client quotes what it took for the port, and that is a part of the password where the password holds a slash.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from twofa import jobs
from twofa.flows import health, stuck

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that each check may take."""
TOLERATED = stuck.GRACE
"""How long something may be due before it is called late: whoever the alarm calls finds it under "What is stuck"."""


@require_safe
@never_cache
def show_live(request: HttpRequest) -> JsonResponse:
    """Answer 200: a process that does not answer is to be restarted."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def show_ready(request: HttpRequest) -> JsonResponse:
    """Ask the database, the broker and the outbox. 200 where all is well, 503 with what is not."""
    checks = {name: _timed(name, check) for name, check in CHECKS.items()}
    ready = all(result["ok"] for result in checks.values())
    return JsonResponse({"status": "ok" if ready else "failing", "checks": checks}, status=200 if ready else 503)


def _timed(name: str, check: Callable[[], dict[str, object]]) -> dict[str, object]:
    began = time.perf_counter()
    try:
        found = {"ok": True, **check()}
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the answer is no
        logger.warning("health: %s failed: %s", name, _causes(error))
        found = {"ok": False}
    return {**found, "ms": round((time.perf_counter() - began) * 1000, 1)}


def _causes(error: BaseException) -> str:
    """Return the classes of an error and of what it came from: drivers wrap a refusal and a timeout in the same one."""
    came_from = error.__cause__ or error.__context__
    name = type(error).__name__
    return name if came_from is None else f"{name} from {_causes(came_from)}"


def _ask_database() -> dict[str, object]:
    with _bounded(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return {}


def _ask_broker() -> dict[str, object]:
    jobs.ping(seconds=PATIENCE)
    return {}


def _ask_outbox() -> dict[str, object]:
    with _bounded():
        worst = health.overdue().worst
    return {"ok": worst <= TOLERATED, "oldest_due_seconds": round(worst.total_seconds(), 1)}


@contextmanager
def _bounded() -> Iterator[None]:
    """Open a transaction whose statements give up in time."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE * 1000:.0f}ms"])
        yield


CHECKS: dict[str, Callable[[], dict[str, object]]] = {
    "database": _ask_database,
    "broker": _ask_broker,
    "outbox": _ask_outbox,
}
