"""What a flow writes in the hot path: new rows, and conditional changes of one; sent together where that is asked for.

Rows go to PostgreSQL as one parameter of JSON, which it takes apart into its own types: to quote 150 parameters one by
one takes the driver longer than all else about the statement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.views.decorators.debug import sensitive_variables

from twofa.models.statements import Result, Statement, execute, quote

Record = Mapping[str, Any]


@dataclass(frozen=True)
class _Write:
    """A statement, and what to do with its result."""

    statement: Statement
    then: Callable[[Result], None]


_gathered: ContextVar[list[_Write] | None] = ContextVar("twofa_gathered_writes", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Gather the writes of this block and send them in one round trip at its end, in their order.

    Only for blocks that read nothing. Keys that the database makes, and the refusal of a change that lost a race, come
    at the end as well: before the commit, so such a refusal still undoes all. A block inside of another joins it.
    """
    if _gathered.get() is not None:
        yield
        return
    writes: list[_Write] = []
    token = _gathered.set(writes)
    try:
        yield
    finally:
        _gathered.reset(token)
    _send(writes)


def insert(row: models.Model) -> None:
    """Store a new row, and give it the key that the database makes."""
    database = connections[DEFAULT_DB_ALIAS]
    model: Any = type(row)
    returning = row.pk is None
    statement = _insertion(model, [vars(row)], database, returning=returning)

    def keep(result: Result) -> None:
        if returning:
            ((row.pk,),) = result.rows
        row._state.adding, row._state.db = False, database.alias

    _write(_Write(statement, keep))


def insert_all(rows: Sequence[models.Model]) -> None:
    """Store new rows of one model, whose keys are made already, in one statement."""
    database = connections[DEFAULT_DB_ALIAS]
    statement = _insertion(type(rows[0]), [vars(row) for row in rows], database, returning=False)

    def keep(_result: Result) -> None:
        for row in rows:
            row._state.adding, row._state.db = False, database.alias

    _write(_Write(statement, keep))


def record(
    model: type[models.Model],
    records: Sequence[Record],
    *,
    beside: Statement | None = None,
    then: Callable[[Result], None] = lambda _result: None,
) -> None:
    """Store rows that nobody needs back, each a mapping of attribute names; what is absent is null.

    ``beside``, for PostgreSQL alone, is a statement that writes and returns; it becomes one with this one, and ``then``
    is given what it returned.
    """
    database = connections[DEFAULT_DB_ALIAS]
    statement = _insertion(model, records, database, returning=False)
    if beside is not None:
        text = f"WITH beside AS ({beside.text}), stored AS ({statement.text}) SELECT * FROM beside"  # noqa: S608 - of two texts of ours
        statement = Statement(text, [*beside.params, *statement.params])
    _write(_Write(statement, then))


def update(row: models.Model, changes: Mapping[str, Any], expected: Mapping[str, Any], lost: Exception) -> None:
    """Write ``changes`` where the row still is as ``expected``. Raises: ``lost`` where it is not."""
    database = connections[DEFAULT_DB_ALIAS]
    meta: Any = type(row)._meta
    pairs = [(meta.get_field(name), value) for name, value in changes.items()]
    conditions = [(meta.pk, row.pk), *((meta.get_field(name), value) for name, value in expected.items())]
    sql = _updating(
        type(row),
        tuple(field.column for field, _value in pairs),
        tuple((field.column, value is None) for field, value in conditions),
    )
    values = [_prepared(field, _key(value), database) for field, value in pairs]
    values += [_prepared(field, value, database) for field, value in conditions if value is not None]

    def ensure(result: Result) -> None:
        if result.count != 1:
            raise lost

    _write(_Write(Statement(sql, values, returns=False), ensure))


def _write(write: _Write) -> None:
    gathered = _gathered.get()
    if gathered is None:
        _send([write])
    else:
        gathered.append(write)


@sensitive_variables()
def _send(writes: Sequence[_Write]) -> None:
    if not writes:
        return
    results = execute([write.statement for write in writes], connections[DEFAULT_DB_ALIAS])
    for write, result in zip(writes, results, strict=True):
        write.then(result)


def _insertion(model: Any, records: Sequence[Record], database: Any, *, returning: bool) -> Statement:
    stored = _stored(model)
    if database.vendor == "postgresql":
        rows = [{column: record.get(attname) for column, attname in stored} for record in records]
        return Statement(_from_json(model, returning), [encode(rows)], returning)
    fields = [model._meta.get_field(column) for column, _attname in stored]
    values = [
        field.get_db_prep_save(record.get(field.attname), connection=database) for record in records for field in fields
    ]
    return Statement(_from_values(model, len(records), returning), values, returning)


@lru_cache(maxsize=64)
def _stored(model: Any) -> list[tuple[str, str]]:
    """Return column and attribute of what a new row is made of: all but a key that the database makes."""
    return [(f.column, f.attname) for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]


@lru_cache(maxsize=64)
def _from_json(model: Any, returning: bool) -> str:
    table, columns = quote(model._meta.db_table), _listed(column for column, _attname in _stored(model))
    source = f"json_populate_recordset(NULL::{table}, %s)"
    sql = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}"  # noqa: S608 - names of our own models
    return sql + _returning(model, returning)


@lru_cache(maxsize=64)
def _from_values(model: Any, count: int, returning: bool) -> str:
    columns = [column for column, _attname in _stored(model)]
    group = f"({', '.join(['%s'] * len(columns))})"
    table, groups = quote(model._meta.db_table), ", ".join([group] * count)
    sql = f"INSERT INTO {table} ({_listed(columns)}) VALUES {groups}"  # noqa: S608 - names of our own models
    return sql + _returning(model, returning)


@lru_cache(maxsize=256)
def _updating(model: Any, columns: tuple[str, ...], conditions: tuple[tuple[str, bool], ...]) -> str:
    assignments = ", ".join(f"{quote(column)} = %s" for column in columns)
    where = " AND ".join(f"{quote(column)} IS NULL" if null else f"{quote(column)} = %s" for column, null in conditions)
    return f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {where}"  # noqa: S608 - names of our own models


def _returning(model: Any, returning: bool) -> str:
    return f" RETURNING {quote(model._meta.pk.column)}" if returning else ""


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(quote, columns))


def _key(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def _prepared(field: Any, value: Any, database: Any) -> Any:
    """Return a value as the driver takes it: PostgreSQL's takes most as they are, but JSON and bytes need wrapping."""
    if database.vendor == "postgresql" and not isinstance(field, models.JSONField | models.BinaryField):
        return value
    return field.get_db_prep_save(value, connection=database)


def _written(value: object) -> str:
    """Return the text of a value that JSON has no type for, as PostgreSQL reads it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)} microseconds"
    raise TypeError(f"{type(value).__name__} is no value of a column")


encode = json.JSONEncoder(default=_written, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Writes values of columns as PostgreSQL takes them out of JSON."""
