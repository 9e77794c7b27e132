from __future__ import annotations

import psycopg.errors
import pytest
from django.db import OperationalError

from twofa.flows.transactions import retried_once


def failing(*causes: BaseException | None):
    """A transaction that fails once for each cause, and then succeeds."""
    calls = []

    @retried_once
    def transaction(argument: int) -> int:
        calls.append(argument)
        if len(calls) <= len(causes):
            raise OperationalError from causes[len(calls) - 1]
        return argument

    return transaction, calls


@pytest.mark.parametrize("cause", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
def test_transaction_that_lost_a_deadlock_is_run_once_more(cause):
    transaction, calls = failing(cause())
    assert transaction(7) == 7
    assert calls == [7, 7]


def test_second_deadlock_is_told():
    transaction, calls = failing(psycopg.errors.DeadlockDetected(), psycopg.errors.DeadlockDetected())
    with pytest.raises(OperationalError):
        transaction(7)
    assert len(calls) == 2


@pytest.mark.parametrize("cause", [psycopg.errors.AdminShutdown(), psycopg.errors.LockNotAvailable(), None], ids=repr)
def test_any_other_failure_is_not_repeated(cause):
    """Of a lost connection nobody knows whether its commit arrived."""
    transaction, calls = failing(cause)
    with pytest.raises(OperationalError):
        transaction(7)
    assert len(calls) == 1
