"""The hot path's statements: text of our own over the models' own columns, prepared once, sent together.

The ORM composes a query anew for each call: for the statement that locks a confirm's rows it needs ten times the
processor time of the statement itself. And each round trip costs as much as a small statement, because whoever waits
loses the processor. What is written here is what the ORM would send; values pass through the fields' own conversions,
and a test compares every model with what the ORM reads. ``docs/reference/performance.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Value

from twofa.models.clock import CLOCKS, TIMES

Converters = list[tuple[int, list[Any]]]


@dataclass(frozen=True)
class Result:
    """What one statement did: how many rows it touched, and those it returned."""

    count: int
    rows: list[tuple[Any, ...]]


class Select:
    """Instances of several models, read (and locked) by one statement.

    ``sql`` is what follows the list of columns. In it ``{challenge}`` stands for the table of the model given under
    that keyword, aliased by it; ``{clock}``, ``{now}`` and ``{yesterday}`` are those of ``twofa.models.clock``.
    ``joined`` names tables that are not read themselves; the host's user model goes by ``account``, with
    ``{account_key}`` and ``{account_active}``. ``extra`` adds values:
    name -> (expression, field whose conversion applies). ``lock`` names the aliases to lock, in this order, where the
    database has row locks.
    """

    def __init__(
        self,
        sql: str,
        *,
        lock: Sequence[str] = (),
        extra: Mapping[str, tuple[str, Any]] | None = None,
        joined: Mapping[str, type[models.Model]] | None = None,
        **selected: type[models.Model],
    ) -> None:
        self._sql, self._lock, self._extra, self._models = sql, lock, extra or {}, selected
        self._joined = joined or {}
        self._prepared: dict[str, tuple[str, Converters]] = {}

    def rows(self, **params: Any) -> list[dict[str, Any]]:
        """Execute with ``params`` (``%(name)s`` in the text); each row has an instance (or None) by its alias."""
        (rows,) = read(self, **params)
        return rows

    def row(self, **params: Any) -> dict[str, Any] | None:
        """Return the one row, or None."""
        return next(iter(self.rows(**params)), None)

    def text(self, database: Any) -> str:
        """Return the statement."""
        return self._prepare(database)[0]

    def loaded(self, result: Result, database: Any) -> list[dict[str, Any]]:
        """Return what the statement returned, as :meth:`rows` describes it."""
        converters = self._prepare(database)[1]
        return [self._load(list(row), converters, database) for row in result.rows]

    def _load(self, row: list[Any], converters: Converters, database: Any) -> dict[str, Any]:
        for index, functions in converters:
            for function in functions:
                row[index] = function(row[index], None, database)
        loaded, start = {}, 0
        for alias, model in self._models.items():
            names = attribute_names(model)
            values = row[start : start + len(names)]
            start += len(names)
            absent = values[pk_index(model)] is None
            loaded[alias] = None if absent else model.from_db(database.alias, names, values)
        return loaded | dict(zip(self._extra, row[start:], strict=True))

    def _prepare(self, database: Any) -> tuple[str, Converters]:
        if database.vendor not in self._prepared:
            self._prepared[database.vendor] = (self._compose(database), self._converters(database))
        return self._prepared[database.vendor]

    def _compose(self, database: Any) -> str:
        known: dict[str, Any] = {**self._models, **self._joined}
        tables = {alias: f"{quote(model._meta.db_table)} AS {alias}" for alias, model in known.items()}
        columns = [
            f"{alias}.{quote(field.column)}" for alias, model in self._models.items() for field in columns_of(model)
        ]
        names = {**tables, "clock": CLOCKS[database.vendor], **TIMES[database.vendor], **account_names()}
        columns += [expression.format(**names) for expression, _field in self._extra.values()]
        sql = f"SELECT {', '.join(columns)} {self._sql.format(**names)}"
        if self._lock and database.features.has_select_for_update:
            sql += f" FOR NO KEY UPDATE OF {', '.join(self._lock)}"
        return sql

    def _converters(self, database: Any) -> Converters:
        fields: list[Any] = [field for model in self._models.values() for field in model._meta.concrete_fields]
        fields += [field for _expression, field in self._extra.values()]
        found = [(index, _converters_of(field, database)) for index, field in enumerate(fields)]
        return [(index, functions) for index, functions in found if functions]


def read(*selects: Select, **params: Any) -> list[list[dict[str, Any]]]:
    """Execute several in one round trip, in this order, with the same ``params``; return the rows of each.

    Each sees what was committed when *it* began, as if it had been sent alone: what comes after a lock is read after
    the lock was granted. Only PostgreSQL's ``statement_timestamp()`` is shared, so no text of ours asks for it.
    """
    database = connections[DEFAULT_DB_ALIAS]
    given = {name: bindable(value, database) for name, value in params.items()}
    results = execute([(select.text(database), given) for select in selects], database)
    return [select.loaded(result, database) for select, result in zip(selects, results, strict=True)]


def execute(statements: Sequence[tuple[str, Any]], database: Any) -> list[Result]:
    """Execute statements with their parameters: by place, or by name where all are given the same mapping.

    They go to the database together where it takes several at once: not SQLite, nor where the server binds parameters.
    """
    several = database.vendor == "postgresql" and not database.features.uses_server_side_binding
    with database.cursor() as cursor:
        if len(statements) == 1 or not several:
            return [_executed(cursor, text, params) for text, params in statements]
        texts, params = zip(*statements, strict=True)
        by_name = isinstance(params[0], Mapping)
        results = [_executed(cursor, ";\n".join(texts), params[0] if by_name else list(chain(*params)))]
        while cursor.nextset():
            results.append(_result(cursor))
    return results


def _executed(cursor: Any, text: str, params: Any) -> Result:
    cursor.execute(text, params)
    return _result(cursor)


def _result(cursor: Any) -> Result:
    return Result(cursor.rowcount, cursor.fetchall() if cursor.description else [])


def bindable(value: Any, database: Any) -> Any:
    """Return a parameter as the driver takes it: SQLite keeps UUIDs as text."""
    if isinstance(value, UUID) and not database.features.has_native_uuid_field:
        return value.hex
    return value


def quote(name: str) -> str:
    """Return the name of a table or column in quotes: the same on both databases, and no name of ours holds any."""
    return f'"{name}"'


def account_names() -> dict[str, str]:
    """Return what texts say of the host's user model, joined as ``account``: its key, and whether it is active."""
    meta: Any = get_user_model()._meta
    columns = {field.name: field.column for field in meta.local_concrete_fields}
    active = f"account.{quote(columns['is_active'])}" if "is_active" in columns else "TRUE"
    return {"account_key": quote(meta.pk.column), "account_active": active}


def columns_of(model: Any) -> list[Any]:
    """Return the fields of a model that have a column."""
    return list(model._meta.concrete_fields)


@lru_cache(maxsize=64)
def attribute_names(model: type[models.Model]) -> list[str]:
    """Return the names under which a model keeps its columns, in their order."""
    return [field.attname for field in model._meta.concrete_fields]


@lru_cache(maxsize=64)
def pk_index(model: type[models.Model]) -> int:
    """Return the place of the primary key among them."""
    return attribute_names(model).index(model._meta.pk.attname)


def _converters_of(field: Any, database: Any) -> list[Any]:
    """Return what turns a driver's value into the field's: of a reference, what its target's would be."""
    output_field = field
    while isinstance(output_field, models.ForeignKey):
        output_field = output_field.target_field
    expression: Any = Value(None, output_field=output_field)
    return [*database.ops.get_db_converters(expression), *output_field.get_db_converters(database)]
