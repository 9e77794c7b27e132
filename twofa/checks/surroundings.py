"""What stands around the package: other apps, Celery, the database."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage
from django.db import connections, router

from twofa import jobs
from twofa.checks import findings
from twofa.conf import conf
from twofa.models import Redemption

REQUIRED_APPS = {
    "django.contrib.contenttypes": "permissions of the admin are kept by it",
    "django.contrib.auth": "participants are tied to its users",
    "django_otp": "devices are its devices",
    "rest_framework": "the API is written with it",
}
# Of psycopg's IsolationLevel; below it is READ UNCOMMITTED, which PostgreSQL takes for the same.
_READ_COMMITTED = 2


def installed_apps() -> Iterator[CheckMessage]:
    for app, why in REQUIRED_APPS.items():
        if not apps.is_installed(app):
            yield findings.MISSING_APP(app=app, why=why)


def celery() -> Iterator[CheckMessage]:
    # In this order: asking for eager mode makes Celery invent an app where the host has none.
    if not jobs.configured_app():
        yield findings.NO_CELERY_APP()
    elif jobs.is_eager() and not conf.is_debug:
        yield findings.EAGER_JOBS()


def sqlite() -> Iterator[CheckMessage]:
    """A transaction that begins as a reader cannot wait for its turn to write: SQLite fails it at once."""
    alias = router.db_for_write(Redemption)
    connection = connections[alias]
    mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") or ""
    if connection.vendor == "sqlite" and mode.upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield findings.DEFERRED_SQLITE(alias=alias)


def isolation() -> Iterator[CheckMessage]:
    """What may change while a lock is waited for is read after it, which takes a snapshot for each statement."""
    alias = router.db_for_write(Redemption)
    connection = connections[alias]
    level = connection.settings_dict.get("OPTIONS", {}).get("isolation_level", _READ_COMMITTED)
    if connection.vendor == "postgresql" and level > _READ_COMMITTED:
        yield findings.ISOLATED_TRANSACTIONS(alias=alias)


CHECKS = (installed_apps, celery, sqlite, isolation)
