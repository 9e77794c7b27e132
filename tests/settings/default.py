"""PostgreSQL, and nothing else out of the ordinary."""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import overrides

globals().update(overrides())
