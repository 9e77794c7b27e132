"""Parts of the suite once more, in hosts of another mind.

The API where every request is wrapped in a transaction, and where REST_FRAMEWORK is hostile; a host with OAuth2; one
whose login asks for a token; the flows on SQLite.

DRF reads its settings when a view's class is made: another process is the only honest way. It uses this run's servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers.broker import DATABASES

ROOT = Path(__file__).parents[1]
LEGS = {
    "tests.settings.atomic": ["tests/api"],
    "tests.settings.hostile": ["tests/api"],
    "tests.settings.login": ["tests/login"],
    "tests.settings.oauth2": ["tests/oauth2", "tests/api/test_authentication.py", "tests/api/test_scopes.py"],
    "tests.settings.sqlite": ["tests/flows", "tests/models", "tests/races", "tests/test_tasks.py"],
}


@pytest.mark.leg
@pytest.mark.parametrize("settings_module", LEGS)
def test_suite_under_other_settings_passes(settings_module: str):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DJANGO_", "COV_"))
    }
    # The broker's last databases: its first ones are this run's own.
    number = DATABASES - 1 - list(LEGS).index(settings_module)
    server = urlsplit(os.environ["TWOFA_TEST_BROKER_URL"])._replace(path=f"/{number}")
    environment["TWOFA_TEST_BROKER_URL"] = server.geturl()
    command = [
        sys.executable,
        "-m",
        "pytest",
        f"--ds={settings_module}",
        "--numprocesses=0",
        "--quiet",
        *LEGS[settings_module],
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
