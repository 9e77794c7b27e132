"""Names of jobs, and publishing them: a hint to the worker, never the thing that makes it happen.

The outbox row is what makes it happen: the sweeper finds it whether or not a job was published. So a broker that is
down may cost a request a fraction of a second once, and nothing else.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

from celery import Celery, _state, current_app
from kombu import Connection
from kombu.pools import producers

from twofa import correlation
from twofa.conf import conf

DELIVER = "twofa.tasks.deliver"
COMPLETE = "twofa.tasks.complete"
COMPLETE_BATCH = "twofa.tasks.complete_batch"
PUSH = "twofa.tasks.push"
SWEEP = "twofa.tasks.sweep"
PURGE = "twofa.tasks.purge"

CORRELATION_HEADER = "twofa_correlation_id"
logger = correlation.get_logger(__name__)


class Breaker:
    """Remembers that the broker failed, so that the next requests do not wait for it as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_until = 0.0

    def is_open(self) -> bool:
        """Tell whether publishing is paused."""
        return time.monotonic() < self._open_until

    def trip(self, seconds: float) -> None:
        """Pause publishing."""
        with self._lock:
            self._open_until = time.monotonic() + seconds

    def reset(self) -> None:
        """Resume publishing."""
        with self._lock:
            self._open_until = 0.0


breaker = Breaker()


def configured_app() -> bool:
    """Tell whether the host has a Celery app: without one, jobs go to a default broker that nobody runs."""
    app: Celery | None = vars(_state)["default_app"]
    return app is not None and (is_eager() or bool(app.conf.broker_url or app.conf.broker_write_url))


def is_eager() -> bool:
    """Tell whether jobs run in the publishing process."""
    return bool(current_app.conf.task_always_eager)


def publish(name: str, identifier: object, *, delay: timedelta | None = None) -> bool:
    """Publish one job by its name, its argument being an id; return whether the broker (or eager mode) took it.

    The task object of the host's current app is used, and not ``send_task``, which ignores eager mode.
    """
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy, whatever its stub says
    eager = bool(app.conf.task_always_eager)
    if not eager and breaker.is_open():
        return False
    argument = str(identifier)
    options: dict[str, Any] = {
        "args": [argument],
        # What workers log of it: said here, because Celery's way of finding out costs as much as sending it.
        "argsrepr": f"['{argument}']",
        "kwargsrepr": "{}",
        "headers": {CORRELATION_HEADER: correlation.current()},
        "ignore_result": True,
        "add_to_parent": False,
        "countdown": delay.total_seconds() if delay else None,
    }
    try:
        task = app.tasks[name]
        if eager:
            task.apply_async(**options)
        else:
            with _pool(app).acquire(block=True, timeout=conf.publish_timeout.total_seconds()) as producer:
                task.apply_async(producer=producer, retry=False, serializer="json", **options)
    except Exception as error:  # noqa: BLE001 - whatever a broker's driver raises, the outbox row stands
        breaker.trip(conf.publish_pause.total_seconds())
        logger.warning("job %s was not published (%s); the sweeper will run it", name, type(error).__name__)
        return False
    return True


def ping(*, seconds: float = 1.0) -> None:
    """Reach the broker within ``seconds``, or say why not: for health checks. Nothing to reach in eager mode.

    Raises: whatever the broker's driver raises.
    """
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined]  # (as above)
    if app.conf.task_always_eager:
        return
    with _connection(app, seconds).clone() as connection:
        # Not ``connect()``, which tries twice with a pause of two seconds between.
        channel: Any = connection.default_channel
        channel.close()


def _pool(app: Celery) -> Any:
    """Return the producers whose connections give up quickly.

    The app's own pool would wait for the broker as long as its driver likes: for ever, where the broker accepts the
    connection and says nothing.
    """
    return producers[_connection(app, conf.publish_timeout.total_seconds())]


@lru_cache(maxsize=4)
def _connection(app: Celery, seconds: float) -> Connection:
    """Describe the broker: a description only, what connects is the pool's copy of it."""
    connection: Connection = app.connection_for_write(connect_timeout=seconds)
    if connection.transport_cls in {"redis", "rediss", "valkey", "valkeys", "sentinel"}:
        timeouts = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "retry_on_timeout": False}
    else:
        timeouts = {"read_timeout": seconds, "write_timeout": seconds}
    # Of a broker that refuses, kombu would ask again after a pause of two seconds.
    connection.transport_options = {**(connection.transport_options or {}), **timeouts, "max_retries": 0}
    return connection
