"""The API once more in hosts of another mind: one wraps requests in transactions, one has a hostile REST_FRAMEWORK.

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
# The broker's last databases: its first ones are this run's own.
LEGS = {"tests.settings.atomic": DATABASES - 1, "tests.settings.hostile": DATABASES - 2}


@pytest.mark.leg
@pytest.mark.parametrize("settings_module", LEGS)
def test_api_under_other_settings_passes(settings_module: str):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DJANGO_", "COV_"))
    }
    server = urlsplit(os.environ["TWOFA_TEST_BROKER_URL"])._replace(path=f"/{LEGS[settings_module]}")
    environment["TWOFA_TEST_BROKER_URL"] = server.geturl()
    command = [sys.executable, "-m", "pytest", f"--ds={settings_module}", "--numprocesses=0", "--quiet", "tests/api"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
