"""``TWOFA_CHANNELS``: well formed, importable, constructible, and fit for production."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from twofa.channels import SANDBOX
from twofa.channels.chain import MARGIN
from twofa.checks import findings
from twofa.checks.backends import describe
from twofa.conf import conf
from twofa.models import Channel
from twofa.models.delivery import COST_PLACES, MOST_COST

ALIASES = (*Channel.values, SANDBOX)
MEMBERS = {"BACKEND", "OPTIONS", "COST"}
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


def _given() -> Mapping[Any, Any]:
    given = conf.given("CHANNELS")
    return given if isinstance(given, Mapping) else {}


def _flaw(entry: object) -> str | None:
    """Return what is wrong with the shape of one entry, or None."""
    if not isinstance(entry, Mapping):
        return f"a {type(entry).__name__} and not a dictionary"
    if not isinstance(entry.get("BACKEND"), str) or not entry["BACKEND"]:
        return "it names no BACKEND"
    if not isinstance(entry.get("OPTIONS", {}), Mapping):
        return "OPTIONS is not a dictionary"
    unknown = set(entry) - MEMBERS
    return f"unknown member {sorted(map(str, unknown))[0]!r}" if unknown else None


def some_channel() -> Iterator[CheckMessage]:
    given = conf.given("CHANNELS")
    if given is None or (isinstance(given, Mapping) and not given):
        yield findings.NO_CHANNEL()


def channels_well_formed() -> Iterator[CheckMessage]:
    given = conf.given("CHANNELS")
    if given is not None and not isinstance(given, Mapping):
        yield findings.MALFORMED_CHANNELS(where="", why=f"a {type(given).__name__} and not a dictionary")
    for alias, entry in _given().items():
        if (why := _flaw(entry)) is not None:
            yield findings.MALFORMED_CHANNELS(where=f"[{alias!r}]", why=why)


def aliases_known() -> Iterator[CheckMessage]:
    for alias in _given():
        if alias not in ALIASES:
            close = get_close_matches(str(alias), ALIASES, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known aliases: {', '.join(ALIASES)}."
            yield findings.UNKNOWN_CHANNEL(alias=alias, hint=hint)


def costs() -> Iterator[CheckMessage]:
    priced = {
        alias: entry["COST"] for alias, entry in _given().items() if isinstance(entry, Mapping) and "COST" in entry
    }
    for alias, cost in priced.items():
        if not _is_price(cost):
            yield findings.BAD_COST(alias=alias, value=cost)
    currency = conf.given("COST_CURRENCY")
    is_unset = currency == "" and not priced
    if not is_unset and not (isinstance(currency, str) and _CURRENCY.match(currency)):
        yield findings.BAD_COST_CURRENCY(value=currency)


def _is_price(value: object) -> bool:
    """Tell whether it can be summed and stored. Not a float: 0.1 is none of the prices that a provider has."""
    if not isinstance(value, str | Decimal | int) or isinstance(value, bool):
        return False
    try:
        price = Decimal(value)
    except InvalidOperation:
        return False
    return price.is_finite() and 0 <= price < MOST_COST and price == round(price, COST_PLACES)


def channels_usable() -> Iterator[CheckMessage]:
    for alias, entry in _given().items():
        if _flaw(entry) is None:
            yield from _usable(alias, entry["BACKEND"], entry.get("OPTIONS", {}))


def _usable(alias: str, backend: str, options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    try:
        channel = import_string(backend)
    except Exception as error:  # noqa: BLE001 - a third party's module may raise anything while it is imported
        yield findings.CHANNEL_NOT_IMPORTABLE(alias=alias, why=describe(error))
        return
    if not callable(getattr(channel, "send", None)):
        yield findings.CHANNEL_CANNOT_SEND(alias=alias)
        return
    if getattr(channel, "development", False) and not conf.is_debug:
        yield findings.DEVELOPMENT_CHANNEL(alias=alias)
    try:
        built = channel(**options)
    except Exception as error:  # noqa: BLE001 - a third party's constructor may raise anything
        yield findings.CHANNEL_REFUSES_OPTIONS(alias=alias, why=describe(error))
        return
    providers: Mapping[str, Any] = getattr(built, "channels", {}) or {"": built}
    for provider, one in providers.items():
        yield from _fit(alias, provider, one)
    if len(providers) > 1:
        yield from _chain_in_time(alias, built)


def _fit(alias: str, provider: str, channel: Any) -> Iterator[CheckMessage]:
    """Look at a channel, or at one provider of a chain."""
    # One that stands for itself was looked at before it was built.
    if provider and getattr(channel, "development", False) and not conf.is_debug:
        yield findings.DEVELOPMENT_CHANNEL(alias=f"{alias}/{provider}")
    name = f"{alias}/{provider}".rstrip("/")
    seconds, lease = getattr(channel, "time_limit", 0.0), _lease()
    if lease and seconds >= lease:
        yield findings.CHANNEL_OUTLASTS_LEASE(alias=name, seconds=seconds, lease=lease)
    if (host := _host_in_clear(getattr(channel, "provider_url", ""))) and not conf.is_debug:
        yield findings.UNENCRYPTED_PROVIDER(alias=name, host=host)
    if not getattr(channel, "has_plausible_account", True):
        yield findings.IMPLAUSIBLE_ACCOUNT(alias=name)
    url = getattr(channel, "callback_url", "")
    path = f"receipts/{alias}/{provider}/" if provider else f"receipts/{alias}/"
    if url and (why := _flaw_of_callback(url, path)):
        yield findings.CALLBACK_ELSEWHERE(alias=alias, url=url, why=why, path=path)


def _host_in_clear(url: str) -> str | None:
    """Return the other machine to which an address leads without encryption, or None."""
    # The host alone is told: a provider's key may stand behind it.
    parts = urlsplit(url)
    return parts.hostname if parts.scheme == "http" and not _is_here(parts.hostname or "") else None


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine, where nobody is on the way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _flaw_of_callback(url: str, path: str) -> str | None:
    parts = urlsplit(url)
    if not parts.path.endswith(f"/{path}"):
        return "where nobody takes them"
    return None if parts.scheme == "https" or conf.is_debug else "unencrypted, with the participants' numbers in them"


def _chain_in_time(alias: str, chain: Any) -> Iterator[CheckMessage]:
    left = _lease() - MARGIN
    if left > 0 and chain.time_limit > left:
        yield findings.CHAIN_EXCEEDS_LEASE(alias=alias, seconds=chain.time_limit, left=left)


def _lease() -> float:
    """Return the lease in seconds, or 0 where it is none: that has a finding of its own."""
    lease = conf.given("DELIVERY_LEASE")
    return lease.total_seconds() if isinstance(lease, timedelta) else 0.0


CHECKS = (some_channel, channels_well_formed, aliases_known, costs, channels_usable)
