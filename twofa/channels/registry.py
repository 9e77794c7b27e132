"""Channels by their alias in ``TWOFA_CHANNELS``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from twofa.channels.base import Channel
from twofa.conf import conf

SANDBOX = "sandbox"
"""The alias that test campaigns send to: always there, so that no test campaign ever needs a real provider."""

_SANDBOX_ENTRY: Mapping[str, Any] = {"BACKEND": "twofa.channels.sandbox.SandboxChannel"}
_built: dict[str, Channel] = {}


def is_configured(alias: str) -> bool:
    """Tell whether there is a channel of this name."""
    return alias == SANDBOX or alias in conf.channels


def get_channel(alias: str) -> Channel:
    """Return the channel of this name; one instance per process. Raises: ImproperlyConfigured."""
    if alias not in _built:
        # Of two threads that come here at once, one instance wins and both use it.
        _built.setdefault(alias, _build(alias))
    return _built[alias]


def build(entry: Any) -> Channel:
    """Return the channel that an entry of the settings describes, alone or in a chain.

    Raises: ValueError, which says what is wrong; the caller knows where the entry stands.
    """
    backend = backend_of(entry)
    try:
        channel: Channel = backend(**entry.get("OPTIONS", {}))
    except TypeError as error:
        raise ValueError(str(error)) from error
    return channel


def backend_of(entry: Any) -> Any:
    """Return what such an entry is built with. Raises: ValueError."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("BACKEND"), str):
        raise ValueError("it names no BACKEND")
    try:
        backend = import_string(entry["BACKEND"])
    except ImportError as error:
        raise ValueError(f"it cannot be imported: {error}") from error
    if not callable(getattr(backend, "send", None)):
        raise ValueError("it has no send()")
    return backend


def _build(alias: str) -> Channel:
    entry = conf.channels.get(alias, _SANDBOX_ENTRY if alias == SANDBOX else None)
    if entry is None:
        raise ImproperlyConfigured(f"TWOFA_CHANNELS has no channel {alias!r}.")
    try:
        return build(entry)
    except ValueError as error:
        raise ImproperlyConfigured(f"TWOFA_CHANNELS[{alias!r}]: {error}") from error


def _forget(*, setting: str, **_signal: Any) -> None:
    # Sent by override_settings alone: a running server's settings do not change.
    if setting == "TWOFA_CHANNELS":
        _built.clear()


setting_changed.connect(_forget, dispatch_uid="twofa.channels")
