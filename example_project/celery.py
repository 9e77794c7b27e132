"""The host's Celery app.

A worker:  ``celery -A example_project worker``
The clock: ``celery -A example_project beat``

Both are for real brokers. Without ``CELERY_BROKER_URL`` tasks run in the process that asks for them, and
``manage.py twofa_sweep --every 5`` stands in for the clock.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# One entry for everything that falls due: messages left behind, redemptions past their deadline, points to give back,
# completions to repeat. Every 5 to 10 seconds; two sweepers at once do no harm.
app.conf.beat_schedule = {
    "twofa-sweep": {"task": "twofa.tasks.sweep", "schedule": 5.0, "options": {"expires": 5.0}},
}
