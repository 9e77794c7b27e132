"""The other half: how fast one Celery worker sends, and how long a token waits from its commit to its hand-off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.db.models import F, Max, Min

from tests.servers.process import wait_until
from tests.servers.worker import start_worker
from twofa.models import Delivery

_SECONDS = 60


@dataclass(frozen=True)
class Sending:
    """Tokens a second through one worker, and each token's seconds from its row to its hand-off."""

    tokens_per_second: float
    waits: list[float]


def measure(log: Path, open_redemption: Callable[[], None], *, backlog: int, singles: int) -> Sending:
    """Let a worker work off ``backlog`` tokens, then hand it ``singles`` one by one while it is idle."""
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:
        # Jobs of the rounds before, whose challenges have ended.
        broker.flushdb()
    piled = _opened(open_redemption, backlog)
    worker = start_worker(log, arguments=("--pool=solo",))
    try:
        _await_sent(piled)
        waiting = []
        for _ in range(singles):
            waiting += _opened(open_redemption, 1)
            _await_sent(waiting[-1:])
    finally:
        connection.close()
        worker.stop()
    rows = Delivery.objects.filter(pk__in=piled)
    span = rows.aggregate(first=Min("sent_at"), last=Max("sent_at"))
    waits = Delivery.objects.filter(pk__in=waiting).annotate(waited=F("sent_at") - F("created_at"))
    return Sending(
        tokens_per_second=(backlog - 1) / (span["last"] - span["first"]).total_seconds(),
        waits=[waited.total_seconds() for waited in waits.values_list("waited", flat=True)],
    )


def _opened(open_redemption: Callable[[], None], count: int) -> list[int]:
    last = Delivery.objects.aggregate(last=Max("pk"))["last"] or 0
    for _ in range(count):
        open_redemption()
    return list(Delivery.objects.filter(pk__gt=last).values_list("pk", flat=True))


def _await_sent(pks: list[int]) -> None:
    unsent = Delivery.objects.filter(pk__in=pks).exclude(status=Delivery.Status.SENT)
    wait_until(lambda: not unsent.exists(), seconds=_SECONDS, what="the worker")
