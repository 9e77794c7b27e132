"""Plain values: durations, counts, rates, the host's floors, and names that mean nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage

from twofa.checks import findings
from twofa.conf import DEFAULTS, LEAST_RETENTION, PREFIX, conf
from twofa.models import LEAST_USEFUL_LIFE, TOKEN_LIFE_CAP
from twofa.models.event import is_purgeable
from twofa.models.policy import MAX_ATTEMPTS_CAP, MAX_TOKEN_LENGTH
from twofa.networks import is_host

DURATIONS = ("ACCESS_TOKEN_TTL", "DELIVERY_LEASE", "PUBLISH_TIMEOUT", "PUBLISH_PAUSE", "KEY_LIFETIME")
OPTIONAL = ("KEY_LIFETIME", "PARTICIPANTS_PER_CONTACT")
COUNTS = (
    "DELIVERY_MAX_TRIES",
    "COMPLETION_MAX_TRIES",
    "DEVICES_PER_PARTICIPANT",
    "PARTICIPANTS_PER_CONTACT",
    "DOCUMENTS_PER_PARTICIPANT",
    "DOCUMENT_BYTES_PER_PARTICIPANT",
)
SWITCHES = ("FOUR_EYES",)
MOST_BITS = 5 * MAX_TOKEN_LENGTH
"""Of the longest token of letters and digits: more cannot be had, and no policy could be saved."""
SCOPES = ("storefront",)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Of a developer's machine: nobody is in between."""
_RATE = re.compile(r"[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)\Z")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def durations() -> Iterator[CheckMessage]:
    for name in DURATIONS:
        value = conf.given(name)
        if value is None and name in OPTIONAL:
            continue
        if not isinstance(value, timedelta) or value <= timedelta(0):
            yield findings.BAD_DURATION(setting=PREFIX + name, value=value)


def counts() -> Iterator[CheckMessage]:
    for name in COUNTS:
        value = conf.given(name)
        if value is None and name in OPTIONAL:
            continue
        if not _is_count(value):
            yield findings.BAD_COUNT(setting=PREFIX + name, value=value)


def switches() -> Iterator[CheckMessage]:
    for name in SWITCHES:
        value = conf.given(name)
        if not isinstance(value, bool):
            yield findings.BAD_SWITCH(setting=PREFIX + name, value=value)


def throttle_rates() -> Iterator[CheckMessage]:
    given = conf.given("THROTTLE_RATES")
    if not isinstance(given, Mapping):
        yield findings.BAD_THROTTLE_RATES(where="", why=f"a {type(given).__name__} and not a dictionary")
        return
    for scope, rate in given.items():
        if scope not in SCOPES:
            yield findings.BAD_THROTTLE_RATES(where=f"[{scope!r}]", why="no such scope")
        elif not isinstance(rate, str) or not _RATE.match(rate):
            yield findings.BAD_THROTTLE_RATES(where=f"[{scope!r}]", why=f"{rate!r} is not a rate")


def _limit_flaw(name: object, value: Any) -> str | None:
    match name:
        case "max_attempts":
            return None if _is_count(value) and value <= MAX_ATTEMPTS_CAP else "give a whole number from 1 to 5"
        case "token_ttl":
            within = isinstance(value, timedelta) and LEAST_USEFUL_LIFE <= value <= TOKEN_LIFE_CAP
            return None if within else "give a timedelta from 1 to 10 minutes"
        case "token_bits":
            return None if _is_count(value) and value <= MOST_BITS else f"give a whole number from 1 to {MOST_BITS}"
        case _:
            return "no such limit"


def policy_limits() -> Iterator[CheckMessage]:
    given = conf.given("POLICY_LIMITS")
    if not isinstance(given, Mapping):
        yield findings.BAD_POLICY_LIMITS(where="", why=f"a {type(given).__name__} and not a dictionary")
        return
    for name, value in given.items():
        if (why := _limit_flaw(name, value)) is not None:
            yield findings.BAD_POLICY_LIMITS(where=f"[{name!r}]", why=why)


def _breaker_flaw(name: object, value: Any) -> str | None:
    match name:
        case "sends":
            return None if _is_count(value) else "give a whole number, 1 or more"
        case "conversion":
            is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            return None if is_number and 0 < value <= 1 else "give a number above 0, at most 1"
        case "window":
            within = isinstance(value, timedelta) and timedelta(0) < value <= timedelta(hours=24)
            return None if within else "give a timedelta of at most 24 hours"
        case "pause":
            return None if isinstance(value, timedelta) and value > timedelta(0) else "give a timedelta above zero"
        case _:
            return "nothing is called so"


def prefix_breaker() -> Iterator[CheckMessage]:
    given = conf.given("PREFIX_BREAKER")
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield findings.BAD_PREFIX_BREAKER(where="", why=f"a {type(given).__name__} and not a dictionary")
        return
    for name, value in given.items():
        if (why := _breaker_flaw(name, value)) is not None:
            yield findings.BAD_PREFIX_BREAKER(where=f"[{name!r}]", why=why)


def _period_flaw(period: object, least: timedelta) -> str | None:
    if isinstance(period, timedelta) and period >= least:
        return None
    hours = f", {least // timedelta(hours=1)} hours or more" if least else ", zero or more"
    return f"{period!r} is not a timedelta{hours}"


def _event_flaws(given: object) -> Iterator[tuple[str, str]]:
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield "['events']", f"a {type(given).__name__} and not a dictionary"
        return
    for prefix, period in given.items():
        if not is_purgeable(prefix):
            yield f"['events'][{prefix!r}]", "no event that may be purged begins so"
        elif (why := _period_flaw(period, LEAST_RETENTION["events"])) is not None:
            yield f"['events'][{prefix!r}]", why


def retention() -> Iterator[CheckMessage]:
    given = conf.given("RETENTION")
    if not isinstance(given, Mapping):
        yield findings.BAD_RETENTION(where="", why=f"a {type(given).__name__} and not a dictionary")
        return
    for name, value in given.items():
        if name == "events":
            yield from (findings.BAD_RETENTION(where=where, why=why) for where, why in _event_flaws(value))
        elif name not in LEAST_RETENTION:
            yield findings.BAD_RETENTION(where=f"[{name!r}]", why="nothing is called so")
        elif (why := _period_flaw(value, LEAST_RETENTION[name])) is not None:
            yield findings.BAD_RETENTION(where=f"[{name!r}]", why=why)


def _address_flaw(value: object) -> str | None:
    """Return why links cannot begin with this address, or None where they can."""
    if not isinstance(value, str):
        return f"a {type(value).__name__} and not a text"
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "it cannot be read"
    if not host or any(character.isspace() for character in value):
        return "it names no host"
    # Whoever is between a participant and the page could press its button, or keep it from being pressed.
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        return "it is not https"
    if parts.username is not None or parts.query or parts.fragment or value.endswith(("?", "#")):
        return "it has more than a host and a path"
    return None


def public_url() -> Iterator[CheckMessage]:
    given = conf.given("PUBLIC_URL")
    if given is not None and (why := _address_flaw(given)) is not None:
        yield findings.BAD_PUBLIC_URL(why=why)


def webhook_hosts() -> Iterator[CheckMessage]:
    given = conf.given("WEBHOOK_PRIVATE_HOSTS")
    # A text is iterable too, and each of its letters would be a host.
    if not isinstance(given, list | tuple | set | frozenset):
        yield findings.BAD_PRIVATE_HOSTS(why=f"a {type(given).__name__} and not a list")
        return
    for host in given:
        if not isinstance(host, str) or not is_host(host):
            yield findings.BAD_PRIVATE_HOSTS(why=f"{host!r} is no host name")


def setting_names() -> Iterator[CheckMessage]:
    known = [PREFIX + name for name in DEFAULTS]
    for setting in conf.unknown_names():
        close = get_close_matches(setting, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Remove it. The settings are in docs/reference/settings.md."
        yield findings.UNKNOWN_SETTING(setting=setting, hint=hint)


CHECKS = (
    durations,
    counts,
    switches,
    throttle_rates,
    policy_limits,
    prefix_breaker,
    retention,
    public_url,
    webhook_hosts,
    setting_names,
)
