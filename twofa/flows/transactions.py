"""How a flow meets the database: once more after a deadlock, and with what may only happen after the commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, transaction

P = ParamSpec("P")
T = TypeVar("T")

# Deadlock, serialization failure: the transaction did nothing, and may be run again.
_RETRYABLE = {"40P01", "40001"}


def retried_once(flow: Callable[P, T]) -> Callable[P, T]:
    """Run a transaction again where the database gave it up to break a deadlock.

    Only for functions that are one whole transaction and in which no host code runs: what a host's backend did outside
    of the database would be done twice.
    """

    @wraps(flow)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return flow(*args, **kwargs)
        except OperationalError as error:
            if not is_given_up(error):
                raise
        return flow(*args, **kwargs)

    return wrapper


def is_given_up(error: OperationalError, *states: str) -> bool:
    """Tell whether the database broke a deadlock by it, or refused it by one of these SQL states as well."""
    return getattr(error.__cause__, "sqlstate", None) in {*_RETRYABLE, *states}


def after_commit(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do this after the commit; whatever comes of it, the commit stands, and so does what else waits for it.

    A function of its own and not a ``partial``: Django reports a failed callback by its ``__qualname__``, which a
    partial has not, and would raise over it.
    """

    def run() -> None:
        call(*args, **kwargs)

    transaction.on_commit(run, robust=True)
