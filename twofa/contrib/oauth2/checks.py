"""System checks of this app: settings with which tokens would open nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from oauth2_provider.scopes import get_scopes_backend

from twofa.conf import conf
from twofa.contrib.oauth2.authentication import ApplicationAuthentication
from twofa.models import Scope


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None = None, **_others: Any) -> list[CheckMessage]:
    """Run the checks of settings."""
    if app_configs is not None and all(config.label != "twofa_oauth2" for config in app_configs):
        return []
    return [*_unknown_to_the_api(), *_unknown_to_the_server()]


def _unknown_to_the_api() -> Iterator[CheckMessage]:
    chosen = None
    # Whatever is wrong with it is the finding twofa.E090.
    with suppress(Exception):
        chosen = conf.api_authentication()
    if not isinstance(chosen, ApplicationAuthentication):
        name = f"{ApplicationAuthentication.__module__}.{ApplicationAuthentication.__qualname__}"
        yield Warning(
            "TWOFA_API_AUTHENTICATION does not know tokens of OAuth2: they open nothing.",
            hint=f"Set TWOFA_API_AUTHENTICATION = {name!r}, or name a subclass of it.",
            id="twofa_oauth2.W001",
        )


def _unknown_to_the_server() -> Iterator[CheckMessage]:
    there = get_scopes_backend().get_all_scopes()
    for scope in Scope:
        if scope.value not in there:
            yield Warning(
                f"The scope {scope.value!r} is not among those of the OAuth2 server: no token can have it.",
                hint=f"Add {scope.value!r} to OAUTH2_PROVIDER['SCOPES'].",
                id="twofa_oauth2.W002",
            )
