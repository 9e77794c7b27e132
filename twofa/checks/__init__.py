"""System checks: every bad value is told at start-up, by a stable id, with what to do about it.

``findings`` has the catalogue, ``docs/reference/checks.md`` the page. Those that read rows carry the database tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.db import router

from twofa.checks import backends, channels, documents, keys, rows, surroundings, values
from twofa.models import Campaign

SETTINGS_CHECKS = (
    *keys.CHECKS,
    *backends.CHECKS,
    *channels.CHECKS,
    *documents.CHECKS,
    *values.CHECKS,
    *surroundings.CHECKS,
)
ROW_CHECKS = rows.CHECKS


def _concerned(app_configs: Sequence[Any] | None) -> bool:
    return app_configs is None or any(config.label == Campaign._meta.app_label for config in app_configs)


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None = None, **_others: Any) -> Iterable[CheckMessage]:
    """Run the checks of settings and surroundings."""
    if not _concerned(app_configs):
        return []
    return [message for check in SETTINGS_CHECKS for message in check()]


@register(Tags.database)
def check_rows(
    app_configs: Sequence[Any] | None = None, databases: Sequence[str] | None = None, **_others: Any
) -> Iterable[CheckMessage]:
    """Run the checks that read rows, on the database that holds them."""
    alias = router.db_for_read(Campaign)
    if not _concerned(app_configs) or alias not in (databases or ()) or not rows.is_migrated(alias):
        return []
    return [message for check in ROW_CHECKS for message in check(alias)]
