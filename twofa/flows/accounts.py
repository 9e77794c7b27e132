"""The host's users: whose user a new participant is, and with which name and password they log in."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.conf import conf
from twofa.exceptions import Invalid, TwoFactorError, Unavailable
from twofa.models import Campaign

logger = correlation.get_logger(__name__)

RETRY_AFTER = 5
"""Seconds after which a storefront may ask again, where the host's resolver of users did not answer."""


@dataclass(frozen=True)
class Account:
    """With what a new participant will log in."""

    username: str
    password: str = field(repr=False)


@sensitive_variables()
def ensure_acceptable(account: Account) -> None:
    """Raise where the host's rules for names and passwords refuse an account. Raises: Invalid.

    Before anything is looked up or locked: the validators and the hash of a password take their time.
    """
    model: Any = get_user_model()
    column = model._meta.get_field(model.USERNAME_FIELD)
    user = model(**{model.USERNAME_FIELD: account.username})
    flaws = []
    for name, check in (
        ("username", lambda: column.clean(account.username, user)),
        ("password", lambda: validate_password(account.password, user)),
    ):
        try:
            check()
        except ValidationError as error:
            flaws += [_flaw(name, one) for one in error.error_list]
    if flaws:
        raise Invalid(errors=flaws)


def _flaw(name: str, error: ValidationError) -> dict[str, Any]:
    return {"field": name, "code": error.code or "invalid", "detail": " ".join(error.messages)}


def ensure_new(account: Account | None) -> None:
    """Raise where an account is given for somebody who is a participant. Raises: Invalid.

    Whoever is enrolled has a user: a storefront that could give that one another password would take it over.
    """
    if account is not None:
        raise Invalid.field(
            "username",
            "only_on_creation",
            _("This participant exists already: name and password are changed where the user has them."),
        )


@sensitive_variables()
def resolve(campaign: Campaign, external_id: str, *, name: str, locale: str, account: Account | None) -> Any:
    """Ask the host whose user this is. Raises: Invalid; Unavailable where the host's resolver fails."""
    asked: dict[str, Any] = {"campaign": campaign, "external_id": external_id, "name": name, "locale": locale}
    resolver = conf.user_resolver
    if account is not None:
        asked |= {"username": account.username, "password": account.password}
        _ensure_takes(resolver, asked)
    try:
        user = resolver(**asked)
    except TwoFactorError:
        raise
    except Exception as error:
        # With a password in hand the error and its frames may have it: then the log has the kind of it alone.
        told = error if account is None else None
        logger.error(
            "the user resolver failed (TWOFA_USER_RESOLVER, or its default): %s", type(error).__name__, exc_info=told
        )
        raise Unavailable(RETRY_AFTER) from error
    if not isinstance(user, get_user_model()) or user.pk is None:
        logger.error("the user resolver (TWOFA_USER_RESOLVER) gave no stored user")
        raise Unavailable(RETRY_AFTER)
    return user


def _ensure_takes(resolver: Any, asked: dict[str, Any]) -> None:
    """Raise where the host's resolver takes no names and passwords: its users get theirs elsewhere. Raises: Invalid."""
    try:
        inspect.signature(resolver).bind(**asked)
    except TypeError:
        detail = _("Users of this installation get their names elsewhere.")
        raise Invalid.field("username", "not_supported", detail) from None
