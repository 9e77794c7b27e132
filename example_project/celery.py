"""The host's Celery app.

A worker:  ``celery -A example_project worker``
The clock: ``celery -A example_project beat``

Both are for real brokers. Without ``CELERY_BROKER_URL`` tasks run in the process that asks for them, and
``manage.py twofa_sweep --every 5`` stands in for the clock.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import task_postrun, task_prerun

from twofa import correlation, jobs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# One entry for everything that falls due: messages left behind, redemptions past their deadline, points to give back,
# completions to repeat. Every 5 to 10 seconds; two sweepers at once do no harm.
app.conf.beat_schedule = {
    "twofa-sweep": {"task": "twofa.tasks.sweep", "schedule": 5.0, "options": {"expires": 5.0}},
    # What is kept longer than its purpose needs, at night. One that was missed is made up for by the next.
    "twofa-purge": {"task": "twofa.tasks.purge", "schedule": crontab(hour="3", minute="30")},
}

_contexts: dict[str, AbstractContextManager[str]] = {}


# The package binds the id while its own task runs. Celery's lines about it, and the host's other tasks, need it too.
@task_prerun.connect
def bind_correlation(task_id: str, task: Any, **_more: Any) -> None:
    """Work under the id of whoever published the job."""
    headers = task.request.headers or {}
    offered = task.request.get(jobs.CORRELATION_HEADER) or headers.get(jobs.CORRELATION_HEADER)
    _contexts[task_id] = correlation.bound(correlation.accept(offered))
    _contexts[task_id].__enter__()


@task_postrun.connect
def release_correlation(task_id: str, **_more: Any) -> None:
    """Unbind it after the task."""
    bound = _contexts.pop(task_id, None)
    if bound is not None:
        bound.__exit__(None, None, None)
