"""A small host of the reusable app: a loyalty programme whose points leave only with a second factor."""

from __future__ import annotations

# Celery's own recipe: the app must exist once Django does, so that tasks find it.
from example_project.celery import app as celery_app

__all__ = ["celery_app"]
