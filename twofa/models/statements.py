"""The hot path's statements: text of our own over the models' own columns, prepared once.

The ORM composes a query anew for each call: for the statement that locks a confirm's rows it needs ten times the
processor time of the statement itself, and a checkout has nine of them. What is written here is what it would send;
values pass through the fields' own conversions both ways, and a test compares every model with what the ORM reads.
``docs/reference/performance.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection, models
from django.db.models.expressions import Value

from twofa.models.clock import CLOCKS

Converters = list[tuple[int, list[Any]]]


class Select:
    """Instances of several models, read (and locked) by one statement.

    ``sql`` is what follows the list of columns. In it ``{challenge}`` stands for the table of the model given under
    that keyword, aliased by it, and ``{clock}`` for the database's time. ``joined`` names tables that are only joined;
    the host's user model goes by ``account``, with ``{account_key}`` and ``{account_active}``. ``extra`` adds values:
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
        sql, converters = self._prepare()
        with connection.cursor() as cursor:
            cursor.execute(sql, {name: bindable(value) for name, value in params.items()})
            return [self._load(list(row), converters) for row in cursor.fetchall()]

    def row(self, **params: Any) -> dict[str, Any] | None:
        """Return the one row, or None."""
        return next(iter(self.rows(**params)), None)

    def _load(self, row: list[Any], converters: Converters) -> dict[str, Any]:
        for index, functions in converters:
            for function in functions:
                row[index] = function(row[index], None, connection)
        loaded, start = {}, 0
        for alias, model in self._models.items():
            names = attribute_names(model)
            values = row[start : start + len(names)]
            start += len(names)
            absent = values[pk_index(model)] is None
            loaded[alias] = None if absent else model.from_db(connection.alias, names, values)
        return loaded | dict(zip(self._extra, row[start:], strict=True))

    def _prepare(self) -> tuple[str, Converters]:
        if connection.vendor not in self._prepared:
            self._prepared[connection.vendor] = (self._compose(), self._converters())
        return self._prepared[connection.vendor]

    def _compose(self) -> str:
        quote = connection.ops.quote_name
        known: dict[str, Any] = {**self._models, **self._joined}
        tables = {alias: f"{quote(model._meta.db_table)} AS {alias}" for alias, model in known.items()}
        columns = [
            f"{alias}.{quote(field.column)}"
            for alias, model in self._models.items()
            for field in columns_of(model)
        ]
        names = {**tables, "clock": CLOCKS[connection.vendor], **account_names()}
        columns += [expression.format(**names) for expression, _field in self._extra.values()]
        sql = f"SELECT {', '.join(columns)} {self._sql.format(**names)}"
        if self._lock and connection.features.has_select_for_update:
            sql += f" FOR NO KEY UPDATE OF {', '.join(self._lock)}"
        return sql

    def _converters(self) -> Converters:
        fields: list[Any] = [field for model in self._models.values() for field in model._meta.concrete_fields]
        fields += [field for _expression, field in self._extra.values()]
        found = [(index, _converters_of(field)) for index, field in enumerate(fields)]
        return [(index, functions) for index, functions in found if functions]


def insert(*rows: models.Model) -> None:
    """Store new rows of one model in one statement, and give them the keys that the database made."""
    model = type(rows[0])
    pk = model._meta.pk
    fields = [field for field in model._meta.concrete_fields if not (field is pk and rows[0].pk is None)]
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_insertion(model, tuple(field.column for field in fields), len(rows)), values)
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk.to_python(key)
            row._state.adding, row._state.db = False, connection.alias


def update(row: models.Model, changes: Mapping[str, Any], expected: Mapping[str, Any]) -> int:
    """Write ``changes`` where the row still is as ``expected``; return how many rows that was."""
    meta: Any = type(row)._meta
    pairs = [(meta.get_field(name), value) for name, value in changes.items()]
    conditions = [(meta.pk, row.pk), *((meta.get_field(name), value) for name, value in expected.items())]
    sql = _updating(
        type(row),
        tuple(field.column for field, _value in pairs),
        tuple((field.column, value is None) for field, value in conditions),
    )
    values = [field.get_db_prep_save(_key(value), connection) for field, value in pairs]
    values += [field.get_db_prep_value(value, connection) for field, value in conditions if value is not None]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def bindable(value: Any) -> Any:
    """Return a parameter as the driver takes it: SQLite keeps UUIDs as text."""
    if isinstance(value, UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value


def account_names() -> dict[str, str]:
    """Return what texts say of the host's user model, joined as ``account``: its key, and whether it is active."""
    meta: Any = get_user_model()._meta
    columns = {field.name: field.column for field in meta.local_concrete_fields}
    quote = connection.ops.quote_name
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


def _key(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def _converters_of(field: Any) -> list[Any]:
    """Return what turns a driver's value into the field's: of a reference, what its target's would be."""
    output_field = field
    while isinstance(output_field, models.ForeignKey):
        output_field = output_field.target_field
    expression: Any = Value(None, output_field=output_field)
    return [*connection.ops.get_db_converters(expression), *output_field.get_db_converters(connection)]


@lru_cache(maxsize=256)
def _insertion(model: Any, columns: tuple[str, ...], count: int) -> str:
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, columns))
    group = f"({', '.join(['%s'] * len(columns))})"
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    groups = ", ".join([group] * count)
    return f"INSERT INTO {table} ({names}) VALUES {groups} RETURNING {key}"  # noqa: S608 - names of our own models


@lru_cache(maxsize=256)
def _updating(model: type[models.Model], columns: tuple[str, ...], conditions: tuple[tuple[str, bool], ...]) -> str:
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(column)} = %s" for column in columns)
    where = " AND ".join(f"{quote(column)} IS NULL" if null else f"{quote(column)} = %s" for column, null in conditions)
    return f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {where}"  # noqa: S608 - names of our own models
