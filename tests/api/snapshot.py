"""Writes the committed OpenAPI document: ``python -m tests.api.snapshot``."""

from __future__ import annotations

import os
from pathlib import Path

import django
import yaml

PREFIX = "/api/v1"
SNAPSHOT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"
COMMAND = "python -m tests.api.snapshot"


def write() -> str:
    """The document as it is committed."""
    from twofa.api import schema  # noqa: PLC0415 - needs Django set up

    return yaml.safe_dump(schema.document(PREFIX), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings.default")
    django.setup()
    SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
    SNAPSHOT.write_text(write(), encoding="utf-8")
