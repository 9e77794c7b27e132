"""The host's Celery app, as the test project has it."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings.default")

app = Celery("twofa-tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
