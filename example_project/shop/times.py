"""A day and a time that a visitor chose: as their clock shows it, in the zone that they are in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.conf import settings


class Unreadable(Exception):
    """It is no time that comes; ``code`` is one of ``sentences.FIELDS``."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def read(text: str, zone: str) -> datetime | None:
    """Return the moment in UTC, or None where nothing was typed; a ``zone`` that is not given is the server's.

    Raises: Unreadable. Never a guess: an hour that is left out when clocks go forward is not the one after it.
    """
    if not text:
        return None
    try:
        local, place = datetime.fromisoformat(text), ZoneInfo(zone or settings.TIME_ZONE)
        moment = local.replace(tzinfo=place).astimezone(UTC)
        again = moment.astimezone(place).replace(tzinfo=None)
    except (ValueError, OverflowError, KeyError, OSError):
        raise Unreadable("unreadable_time") from None
    if local.tzinfo is not None:
        raise Unreadable("unreadable_time")
    if again != local:
        raise Unreadable("skipped_time")
    return moment
