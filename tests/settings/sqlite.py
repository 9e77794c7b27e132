"""The demo's database: one writer at a time, and transactions that say so when they begin."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.settings.base import *  # noqa: F403
from tests.settings.base import overrides

_FILE = Path(tempfile.gettempdir()) / f"test_twofa_{os.getpid()}.sqlite3"
_GIVEN = os.environ.get("TWOFA_TEST_DATABASE_URL", "")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        # A process that a test started is told the file of that test.
        "NAME": _GIVEN.removeprefix("sqlite:///") if _GIVEN.startswith("sqlite:") else ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
        # A file, not memory: threads and other processes must see the same rows.
        "TEST": {"NAME": str(_FILE)},
    },
}

globals().update(overrides())
