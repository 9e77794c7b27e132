"""System checks of this app: settings with which tokens would open nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from oauth2_provider.scopes import get_scopes_backend

from twofa.checks.findings import Finding
from twofa.conf import conf
from twofa.contrib.oauth2.authentication import ApplicationAuthentication
from twofa.models import Scope

NAME = f"{ApplicationAuthentication.__module__}.{ApplicationAuthentication.__qualname__}"
UNKNOWN_TO_THE_API = Finding(
    "twofa_oauth2.W001",
    "TWOFA_API_AUTHENTICATION does not know tokens of OAuth2: they open nothing.",
    "Set TWOFA_API_AUTHENTICATION = {name!r}, or name a subclass of it.",
)
UNKNOWN_TO_THE_SERVER = Finding(
    "twofa_oauth2.W002",
    "The scope {scope!r} is not among those of the OAuth2 server: no token can have it.",
    "Add {scope!r} to OAUTH2_PROVIDER['SCOPES'].",
)


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None = None, **_others: Any) -> list[CheckMessage]:
    """Run the checks of settings."""
    if app_configs is not None and all(config.label != "twofa_oauth2" for config in app_configs):
        return []
    return [*_of_the_api(), *_of_the_server()]


def _of_the_api() -> Iterator[CheckMessage]:
    chosen: Any = None
    # Whatever is wrong with it is the finding twofa.E090.
    with suppress(Exception):
        chosen = conf.api_authentication()
    if not isinstance(chosen, ApplicationAuthentication):
        yield UNKNOWN_TO_THE_API(name=NAME)


def _of_the_server() -> Iterator[CheckMessage]:
    there = get_scopes_backend().get_all_scopes()
    for scope in Scope.values:
        if scope not in there:
            yield UNKNOWN_TO_THE_SERVER(scope=scope)
