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
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Value

from twofa.models.clock import CLOCKS

Converters = list[tuple[int, list[Any]]]
# Fields whose Python values psycopg writes by itself. Not among them: JSON and bytes, which need wrapping.
_NATIVE = {
    models.BigAutoField,
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.DecimalField,
    models.DurationField,
    models.ForeignKey,
    models.OneToOneField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.SmallIntegerField,
    models.TextField,
    models.UUIDField,
}


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
        database = connections[DEFAULT_DB_ALIAS]
        sql, converters = self._prepare(database)
        with database.cursor() as cursor:
            cursor.execute(sql, {name: bindable(value, database) for name, value in params.items()})
            return [self._load(list(row), converters, database) for row in cursor.fetchall()]

    def row(self, **params: Any) -> dict[str, Any] | None:
        """Return the one row, or None."""
        return next(iter(self.rows(**params)), None)

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
        names = {**tables, "clock": CLOCKS[database.vendor], **account_names()}
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


def insert(*rows: models.Model) -> None:
    """Store new rows of one model in one statement, and give them the keys that the database made.

    Columns that are null in each row are left out: null is what the database puts there.
    """
    database = connections[DEFAULT_DB_ALIAS]
    model: Any = type(rows[0])
    records = [vars(row) for row in rows]
    fields = [field for field in model._meta.concrete_fields if any(r[field.attname] is not None for r in records)]
    values = [prepared(field, record[field.attname], database) for record in records for field in fields]
    sql = _insertion(model, tuple(field.column for field in fields), len(rows))
    with database.cursor() as cursor:
        cursor.execute(sql, values)
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = model._meta.pk.to_python(key)
            row._state.adding, row._state.db = False, database.alias


def update(row: models.Model, changes: Mapping[str, Any], expected: Mapping[str, Any]) -> int:
    """Write ``changes`` where the row still is as ``expected``; return how many rows that was."""
    database = connections[DEFAULT_DB_ALIAS]
    meta: Any = type(row)._meta
    pairs = [(meta.get_field(name), value) for name, value in changes.items()]
    conditions = [(meta.pk, row.pk), *((meta.get_field(name), value) for name, value in expected.items())]
    sql = _updating(
        type(row),
        tuple(field.column for field, _value in pairs),
        tuple((field.column, value is None) for field, value in conditions),
    )
    values = [prepared(field, _key(value), database) for field, value in pairs]
    values += [prepared(field, value, database) for field, value in conditions if value is not None]
    with database.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def prepared(field: Any, value: Any, database: Any) -> Any:
    """Return a value as the driver takes it: PostgreSQL's takes most as they are."""
    if database.vendor == "postgresql" and type(field) in _NATIVE:
        return value
    return field.get_db_prep_save(value, connection=database)


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


def _key(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def _converters_of(field: Any, database: Any) -> list[Any]:
    """Return what turns a driver's value into the field's: of a reference, what its target's would be."""
    output_field = field
    while isinstance(output_field, models.ForeignKey):
        output_field = output_field.target_field
    expression: Any = Value(None, output_field=output_field)
    return [*database.ops.get_db_converters(expression), *output_field.get_db_converters(database)]


@lru_cache(maxsize=256)
def _insertion(model: Any, columns: tuple[str, ...], count: int) -> str:
    names = ", ".join(map(quote, columns))
    group = f"({', '.join(['%s'] * len(columns))})"
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    groups = ", ".join([group] * count)
    return f"INSERT INTO {table} ({names}) VALUES {groups} RETURNING {key}"  # noqa: S608 - names of our own models


@lru_cache(maxsize=256)
def _updating(model: Any, columns: tuple[str, ...], conditions: tuple[tuple[str, bool], ...]) -> str:
    assignments = ", ".join(f"{quote(column)} = %s" for column in columns)
    where = " AND ".join(f"{quote(column)} IS NULL" if null else f"{quote(column)} = %s" for column, null in conditions)
    return f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {where}"  # noqa: S608 - names of our own models
