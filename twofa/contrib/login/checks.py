"""System checks of this app: settings with which nobody could sign in, or no session would be verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register

from twofa.checks.findings import Finding
from twofa.conf import conf

AFTER = "django.contrib.auth.middleware.AuthenticationMiddleware"
MIDDLEWARE = "django_otp.middleware.OTPMiddleware"
NOT_SET = Finding(
    "twofa_login.E001",
    "{setting} is not set: nobody can sign in.",
    "Give {what}, in which whoever signs in is a participant.",
)
NO_MIDDLEWARE = Finding(
    "twofa_login.E002",
    f"{MIDDLEWARE!r} does not stand after {AFTER!r} in MIDDLEWARE: no session is known as verified.",
    f"Put {MIDDLEWARE!r} after it.",
)


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None = None, **_others: Any) -> list[CheckMessage]:
    """Run the checks of settings."""
    if app_configs is not None and all(config.label != "twofa_login" for config in app_configs):
        return []
    return [*_names(), *_middleware()]


def _names() -> Iterator[CheckMessage]:
    if not conf.login_storefront:
        yield NOT_SET(setting="TWOFA_LOGIN_STOREFRONT", what="the name of a storefront that serves the campaign")
    if not conf.login_campaign:
        yield NOT_SET(setting="TWOFA_LOGIN_CAMPAIGN", what="the slug of the campaign")


def _middleware() -> Iterator[CheckMessage]:
    there = conf.middleware
    if MIDDLEWARE not in there or AFTER in there[there.index(MIDDLEWARE) :]:
        yield NO_MIDDLEWARE()
