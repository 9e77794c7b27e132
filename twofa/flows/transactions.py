"""How a flow meets the database: once more after a deadlock, and never inside somebody else's transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError

P = ParamSpec("P")
T = TypeVar("T")

# Deadlock, serialization failure: the transaction did nothing, and may be run again.
_RETRYABLE = {"40P01", "40001"}


def retried_once(transaction: Callable[P, T]) -> Callable[P, T]:
    """Run a transaction again where the database gave it up to break a deadlock.

    Only for functions that are one whole transaction and in which no host code runs: what a host's backend did outside
    of the database would be done twice.
    """

    @wraps(transaction)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return transaction(*args, **kwargs)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RETRYABLE:
                raise
        return transaction(*args, **kwargs)

    return wrapper
