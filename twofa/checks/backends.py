"""The host's own code that this package calls: points, users, access tokens, numbers, and who may call the API."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from twofa.checks import findings
from twofa.conf import conf
from twofa.flows.participants import create_user
from twofa.fulfillment import FulfillmentBackend

METHODS = ("reserve", "complete", "release")


def describe(error: BaseException) -> str:
    """Return an error in one line, for an operator."""
    return f"{type(error).__name__}: {error}".rstrip(": .")


def fulfillment_backend() -> Iterator[CheckMessage]:
    value = conf.given("FULFILLMENT_BACKEND")
    if not value:
        yield findings.NO_FULFILLMENT_BACKEND()
        return
    try:
        backend = import_string(value) if isinstance(value, str) else value
    except Exception as error:  # noqa: BLE001 - a host's module may raise anything while it is imported
        yield findings.FULFILLMENT_NOT_IMPORTABLE(why=describe(error))
        return
    if not isinstance(backend, type):
        yield findings.FULFILLMENT_NOT_IMPORTABLE(why=f"{value!r} is not a class")
        return
    yield from _usable(backend)


def _usable(backend: type) -> Iterator[CheckMessage]:
    missing = [name for name in METHODS if not _implements(backend, name)]
    if missing:
        yield findings.FULFILLMENT_INCOMPLETE(methods=", ".join(f"{name}()" for name in missing))
        return
    try:
        backend()
    except Exception as error:  # noqa: BLE001 - a host's constructor may raise anything
        yield findings.FULFILLMENT_REFUSES(why=describe(error))


def _implements(backend: type, name: str) -> bool:
    method = getattr(backend, name, None)
    return callable(method) and method is not getattr(FulfillmentBackend, name)


def user_resolver() -> Iterator[CheckMessage]:
    value = conf.given("USER_RESOLVER")
    try:
        resolver: Any = import_string(value) if isinstance(value, str) else value
        if not callable(resolver):
            raise TypeError(f"{value!r} cannot be called")
        inspect.signature(resolver).bind(campaign=None, external_id="", name="", locale="")
    except Exception as error:  # noqa: BLE001 - a host's module may raise anything while it is imported
        yield findings.BAD_USER_RESOLVER(why=describe(error))
        return
    unfilled = unfilled_columns(get_user_model()) if resolver is create_user else []
    if unfilled:
        yield findings.USER_MODEL_NEEDS_RESOLVER(columns=", ".join(unfilled))


def access_token_issuer() -> Iterator[CheckMessage]:
    try:
        issuer = conf.access_token_issuer
        absent = [name for name in ("issue", "authenticate") if not callable(getattr(issuer, name, None))]
        if absent:
            raise TypeError(f"it has no {' and no '.join(f'{name}()' for name in absent)}")
    except Exception as error:  # noqa: BLE001 - a host's module may raise anything while it is imported
        yield findings.BAD_ACCESS_TOKEN_ISSUER(why=describe(error))


def unfilled_columns(model: Any) -> list[str]:
    """Return the columns of a user model that must have a value, or one of their own, and get none by default."""
    fields = [f for f in model._meta.concrete_fields if not f.primary_key and f.name != model.USERNAME_FIELD]
    return [field.name for field in fields if _is_unfilled(field)]


def _is_unfilled(field: Any) -> bool:
    if field.null or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return False
    if field.has_default() and callable(field.default):
        return False
    return bool(field.unique or field.get_default() is None)


def number_check() -> Iterator[CheckMessage]:
    value = conf.given("NUMBER_CHECK")
    if value is None:
        return
    try:
        check: Any = import_string(value) if isinstance(value, str) else value
        if not callable(check) or inspect.isclass(check) or inspect.iscoroutinefunction(check):
            raise TypeError(f"{value!r} is no function that answers at once")
        inspect.signature(check).bind("")
    except Exception as error:  # noqa: BLE001 - a host's module may raise anything while it is imported
        yield findings.BAD_NUMBER_CHECK(why=describe(error))


def api_authentication() -> Iterator[CheckMessage]:
    try:
        made: Any = conf.api_authentication()
        inspect.signature(made.recognise).bind("", None)
    except Exception as error:  # noqa: BLE001 - a host's module may raise anything while it is imported
        yield findings.BAD_API_AUTHENTICATION(why=describe(error))


CHECKS = (fulfillment_backend, user_resolver, access_token_issuer, number_check, api_authentication)
