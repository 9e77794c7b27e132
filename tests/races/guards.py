"""Forcing an interleaving, and taking the guards away that it must not get through.

Every race is run twice: with the guards, where the invariant holds, and without them, where it must break; else the
race proves nothing. The interleaving is forced at a point in the code, not left to luck: whoever comes there waits for
the others. With the guards the others never come, and the wait ends by its patience.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pytest
from django.db import connection, models

from twofa.models import writes

T = TypeVar("T")
PATIENCE = 0.4
_LOCK = re.compile(r"\s+FOR (?:NO KEY )?UPDATE\b.*\Z", re.DOTALL)
_TURN = re.compile(r"pg_advisory_xact_lock\(hashtextextended\(%\(\w+\)s, 0\)\)")


class Meeting:
    """A point where ``number`` callers wait for one another, once; nobody waits longer than ``PATIENCE``."""

    everywhere: ClassVar[list[Meeting]] = []

    def __init__(self, number: int) -> None:
        self._barrier = threading.Barrier(number)
        Meeting.everywhere.append(self)

    def wait(self) -> None:
        try:
            self._barrier.wait(timeout=PATIENCE)
        except threading.BrokenBarrierError:
            return


def meet_after(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, number: int) -> None:
    """Let the first ``number`` callers of ``place.name`` meet when it has done its work, before they go on."""
    work, meeting = getattr(place, name), Meeting(number)

    def meeting_after(*args: Any, **kwargs: Any) -> Any:
        result = work(*args, **kwargs)
        meeting.wait()
        return result

    monkeypatch.setattr(place, name, meeting_after)


class Pause:
    """Holds whoever comes to ``place.name`` there until ``go`` is called, or patience ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, *, patience: float = PATIENCE) -> None:
        work = getattr(place, name)
        self._reached, self._go = threading.Event(), threading.Event()

        def pausing(*args: Any, **kwargs: Any) -> Any:
            result = work(*args, **kwargs)
            self._reached.set()
            self._go.wait(timeout=patience)
            return result

        monkeypatch.setattr(place, name, pausing)

    def then(self, call: Callable[[], T]) -> Callable[[], T]:
        """Return ``call`` as it comes in the middle of the other's work."""

        def during() -> T:
            assert self._reached.wait(timeout=10)
            try:
                return call()
            finally:
                self._go.set()

        return during


def unlocked(call: Callable[[], T]) -> Callable[[], T]:
    """Return ``call`` without any row lock or advisory lock: they are cut out of its statements."""

    def cut(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements = [_TURN.sub("NULL", _LOCK.sub("", statement)) for statement in sql.split(";\n")]
        return execute(";\n".join(statements), params, many, context)

    def without_locks() -> T:
        with connection.execute_wrapper(cut):
            return call()

    return without_locks


def blind_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let state machines write whatever state the row is in."""
    update = writes.update
    monkeypatch.setattr(writes, "update", lambda row, changes, _expected, lost: update(row, changes, {}, lost))


@contextmanager
def without_constraint(model: type[models.Model], name: str) -> Iterator[None]:
    """Drop a constraint, and put it back when the rows that break it are gone."""
    constraint = next(constraint for constraint in model._meta.constraints if constraint.name == name)
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, constraint)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")
        with connection.schema_editor() as editor:
            editor.add_constraint(model, constraint)


def outcomes(results: list[Any]) -> dict[str, int]:
    """Count results by what they are: a status, or an error's code."""
    counts: dict[str, int] = {}
    for result in results:
        name = getattr(result, "code", type(result).__name__) if isinstance(result, Exception) else "done"
        counts[name] = counts.get(name, 0) + 1
    return counts
