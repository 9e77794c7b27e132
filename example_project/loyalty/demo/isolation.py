"""An environment of its own: the demo never touches the developer's database, broker or providers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from django.conf import settings

_MARK = "EXAMPLE_DEMO"
# Whatever a developer has set for the real thing must not reach the demo: it would send its messages to real providers.
_LEFT_OUT = (
    "ALLOWED_HOSTS", "BEHIND_PROXY", "CELERY_BROKER_URL", "CSRF_TRUSTED_ORIGINS", "EMAIL_URL", "HTTPS", "LOG_FORMAT",
    "LOG_LEVEL", "SECRET_KEY",
)  # fmt: skip
# Whole families: a variable that a provider gets one day is left out before anybody thinks of it.
_LEFT_OUT_FAMILIES = ("AWS_", "CLAMAV_", "DOCUMENTS_", "SHOP_", "SMS_", "TWILIO_", "TWOFA_", "WHATSAPP_")


def is_entered() -> bool:
    """Tell whether this process runs in the demo's environment."""
    return bool(os.environ.get(_MARK))


def without_providers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which nothing real is named."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _LEFT_OUT and not name.startswith(_LEFT_OUT_FAMILIES)
    }


def enter(directory: Path, database: Path) -> NoReturn:
    """Replace this process by itself, in the demo's environment: settings are read once, when Django starts."""
    directory.mkdir(parents=True, exist_ok=True)
    environment = {
        **without_providers(os.environ),
        _MARK: "1",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DEBUG": "1",
        "DATABASE_URL": f"sqlite:///{quote(str(database.resolve()))}",
        "VAR_DIR": str(directory.resolve()),
    }
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), *sys.argv[1:]]
    sys.stdout.flush()
    os.execve(sys.executable, argv, environment)  # noqa: S606 - this very program, with its own arguments
