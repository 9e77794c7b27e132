"""Exact searches: each thing that a term may be is looked up by an index of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from twofa.models import Event

MOST = 200
"""Events that a correlation id is followed through."""


def is_exact(lookups: Iterable[str]) -> bool:
    """Tell whether a list is searched by exact values alone."""
    names = list(lookups)
    return bool(names) and all(name.endswith("__exact") for name in names)


def questions(term: str, *, lookups: Iterable[str], uuids: Iterable[str]) -> list[Q]:
    """Return what may be meant by ``term``: any of the lookups, and the UUID columns where it reads as one.

    An order id, or a caller's correlation id, may look like a UUID as well.
    """
    identifier = _as_uuid(term)
    meant = [Q((name, term)) for name in lookups]
    return meant if identifier is None else [*meant, *(Q((name, identifier)) for name in uuids)]


def traced(column: str, correlation_id: str) -> list[Any]:
    """Return what the events of a correlation id are about, by their column ``column``; of very many, the newest.

    The trail has an index on it, and also holds the requests that came after the first. The bound is there because
    callers choose these ids: one that sends the same with every request must not make a search read all of them.
    """
    events = Event.objects.filter(correlation_id=correlation_id, **{f"{column}__isnull": False}).order_by("-pk")
    return list(dict.fromkeys(events.values_list(column, flat=True)[:MOST]))


def found(rows: QuerySet[Any], asked: list[Q]) -> QuerySet[Any]:
    """Return those of ``rows`` for which one of the questions is true.

    One subquery for each, because an OR over columns of several tables has no index: it reads the whole table.
    """
    if len(asked) == 1:
        return rows.filter(asked[0])
    # Without the model's own order, which SQLite refuses within a union.
    every = rows.model._base_manager.using(rows.db).order_by().values("pk")
    first, *others = [every.filter(question) for question in asked]
    return rows.filter(pk__in=first.union(*others))


def _as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
