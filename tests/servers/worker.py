"""A real Celery worker, as a host runs it: another process on the same database and broker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection

from tests.servers.process import Child, spawn, wait_until

_BOOT_SECONDS = 60


def start_worker(
    log: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    concurrency: int = 1,
    arguments: tuple[str, ...] = (),
) -> Child:
    """Start a worker and wait until it takes jobs.

    `overrides` are settings of that process alone: its memory is not ours, so a test that looks at what was sent names
    a channel that leaves the process (file, email, http).
    """
    command = [sys.executable, "-m", "celery", "-A", "tests.celery", "worker", "--loglevel=INFO"]
    command += [f"--concurrency={concurrency}", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    # A name of its own: workers of two tests may live at the same moment, and would answer for one another.
    command.append(f"--hostname=worker-{uuid4().hex}@%h")
    child = spawn([*command, *arguments], log=log, env=worker_environment(overrides))
    try:
        wait_until(lambda: not child.alive or " ready." in child.output, seconds=_BOOT_SECONDS, what="Celery worker")
    except TimeoutError:
        child.kill()
        raise
    if not child.alive:
        raise RuntimeError(f"The Celery worker did not start:\n{child.output}")
    return child


def worker_environment(overrides: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The environment of a process that shall see what this test committed."""
    return {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TWOFA_TEST_DATABASE_URL": _test_database_url(),
        "TWOFA_TEST_BROKER_URL": settings.CELERY_BROKER_URL,
        "TWOFA_TEST_OVERRIDES": json.dumps(dict(overrides or {})),
    }


def _test_database_url() -> str:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    server, _, _ = os.environ["TWOFA_TEST_DATABASE_URL"].rpartition("/")
    return f"{server}/{name}"
