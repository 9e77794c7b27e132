"""System checks of this app: settings with which nobody could sign in, or no session would be verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.db import router

from twofa.checks import rows
from twofa.checks.findings import Finding
from twofa.conf import conf
from twofa.models import Storefront

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

# A warning, because ``migrate`` runs the checks of rows: a new release must not wait for what staff switched off.
NO_STOREFRONT = Finding(
    "twofa_login.W001",
    "There is no active storefront {storefront!r} that serves the campaign {campaign!r}: nobody can sign in.",
    # A command, because the admin may be behind this very sign-in.
    "Correct TWOFA_LOGIN_STOREFRONT and TWOFA_LOGIN_CAMPAIGN, or add the storefront: "
    "manage.py twofa_storefront {storefront!r} --campaign {campaign} --no-key.",
)


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None = None, **_others: Any) -> list[CheckMessage]:
    """Run the checks of settings."""
    return [*_names(), *_middleware()] if _concerned(app_configs) else []


@register(Tags.database)
def check_rows(
    app_configs: Sequence[Any] | None = None, databases: Sequence[str] | None = None, **_others: Any
) -> list[CheckMessage]:
    """Run the check that reads rows, on the database that holds them."""
    alias = router.db_for_read(Storefront)
    if not _concerned(app_configs) or alias not in (databases or ()) or not rows.is_migrated(alias):
        return []
    return list(_storefront(alias))


def _concerned(app_configs: Sequence[Any] | None) -> bool:
    return app_configs is None or any(config.label == "twofa_login" for config in app_configs)


def _names() -> Iterator[CheckMessage]:
    if not conf.login_storefront:
        yield NOT_SET(setting="TWOFA_LOGIN_STOREFRONT", what="the name of a storefront that serves the campaign")
    if not conf.login_campaign:
        yield NOT_SET(setting="TWOFA_LOGIN_CAMPAIGN", what="the slug of the campaign")


def _middleware() -> Iterator[CheckMessage]:
    there = conf.middleware
    if MIDDLEWARE not in there or AFTER in there[there.index(MIDDLEWARE) :]:
        yield NO_MIDDLEWARE()


def _storefront(alias: str) -> Iterator[CheckMessage]:
    storefront, campaign = conf.login_storefront, conf.login_campaign
    fit = Storefront.objects.using(alias).filter(name=storefront, is_active=True, campaigns__slug=campaign)
    if storefront and campaign and not fit.exists():
        yield NO_STOREFRONT(storefront=storefront, campaign=campaign)
