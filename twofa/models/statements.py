"""The hot path's statements: text of our own over the models' own columns, prepared once, sent together.

The ORM composes a query anew for each call: for the statement that locks a confirm's rows it needs ten times the
processor time of the statement itself. And each round trip costs as much as a small statement, because whoever waits
loses the processor. What is written here is what the ORM would send; values pass through the fields' own conversions,
and a test compares every model with what the ORM reads. ``docs/reference/performance.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Value
from django.views.decorators.debug import sensitive_variables

from twofa.models.clock import CLOCKS, TIMES

Converters = list[tuple[int, list[Any]]]


@dataclass(frozen=True)
class Statement:
    """A text with its parameters (by place, or by name), and whether it answers with rows.

    That is said and not looked up: a cursor's description is made anew, column by column, each time it is asked for.
    """

    text: str
    params: Any = field(repr=False)
    returns: bool = True


@dataclass(frozen=True)
class Result:
    """What one statement did: how many rows it touched, and those it returned."""

    count: int
    rows: list[tuple[Any, ...]] = field(repr=False)


class _Read:
    """The columns of one model that a statement reads; looked up at first use, when all models are known."""

    def __init__(self, model: Any, only: Collection[str] | None) -> None:
        self.model, self._only = model, only

    @cached_property
    def fields(self) -> list[Any]:
        every = self.model._meta.concrete_fields
        return [field for field in every if self._only is None or field.primary_key or field.name in self._only]

    @cached_property
    def names(self) -> list[str]:
        return [field.attname for field in self.fields]

    @cached_property
    def key(self) -> int:
        return self.names.index(self.model._meta.pk.attname)


class Select:
    """Instances of several models, read (and locked) by one statement.

    ``sql`` is what follows the list of columns. In it ``{challenge}`` stands for the table of the model given under
    that keyword, aliased by it; ``{clock}``, ``{now}`` and ``{yesterday}`` are those of ``twofa.models.clock``.
    ``joined`` names tables that are not read themselves; the host's user model goes by ``account``, with
    ``{account_key}`` and ``{account_active}``. ``extra`` adds values: name -> (expression, field whose conversion
    applies). ``only`` names the fields of an alias that are read besides its key; others are read when somebody asks
    for them, as after the ORM's ``only()``. ``lock`` names the aliases to lock, in this order, where the database has
    row locks.
    """

    def __init__(
        self,
        sql: str,
        *,
        lock: Sequence[str] = (),
        extra: Mapping[str, tuple[str, Any]] | None = None,
        joined: Mapping[str, type[models.Model]] | None = None,
        only: Mapping[str, Collection[str]] | None = None,
        **selected: type[models.Model],
    ) -> None:
        self._sql, self._lock, self._extra, self._models = sql, lock, extra or {}, selected
        self._joined = joined or {}
        self._read = {alias: _Read(model, (only or {}).get(alias)) for alias, model in selected.items()}
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
        for alias, asked in self._read.items():
            values = row[start : start + len(asked.names)]
            start += len(asked.names)
            absent = values[asked.key] is None
            loaded[alias] = None if absent else asked.model.from_db(database.alias, asked.names, values)
        return loaded | dict(zip(self._extra, row[start:], strict=True))

    def _prepare(self, database: Any) -> tuple[str, Converters]:
        if database.vendor not in self._prepared:
            self._prepared[database.vendor] = (self._compose(database), self._converters(database))
        return self._prepared[database.vendor]

    def _compose(self, database: Any) -> str:
        known: dict[str, Any] = {**self._models, **self._joined}
        tables = {alias: f"{quote(model._meta.db_table)} AS {alias}" for alias, model in known.items()}
        columns = [f"{alias}.{quote(field.column)}" for alias, asked in self._read.items() for field in asked.fields]
        names = {**tables, "clock": CLOCKS[database.vendor], **TIMES[database.vendor], **account_names()}
        columns += [expression.format(**names) for expression, _field in self._extra.values()]
        sql = f"SELECT {', '.join(columns)} {self._sql.format(**names)}"
        if self._lock and database.features.has_select_for_update:
            sql += f" FOR NO KEY UPDATE OF {', '.join(self._lock)}"
        return sql

    def _converters(self, database: Any) -> Converters:
        fields: list[Any] = [field for asked in self._read.values() for field in asked.fields]
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
    results = execute([Statement(select.text(database), given) for select in selects], database)
    return [select.loaded(result, database) for select, result in zip(selects, results, strict=True)]


@sensitive_variables()
def execute(statements: Sequence[Statement], database: Any) -> list[Result]:
    """Execute statements whose parameters are all by place, or all the same mapping.

    They go to the database together where it takes several at once: not SQLite, nor where the server binds parameters.
    """
    several = database.vendor == "postgresql" and not database.features.uses_server_side_binding
    with database.cursor() as cursor:
        if not several:
            return [_executed(cursor, statement) for statement in statements]
        first, *following = statements
        results = [_executed(cursor, _joined(statements) if following else first)]
        for statement in following:
            cursor.nextset()
            results.append(_result(cursor, statement))
    return results


def _joined(statements: Sequence[Statement]) -> Statement:
    first = statements[0]
    by_name = isinstance(first.params, Mapping)
    params = first.params if by_name else list(chain.from_iterable(statement.params for statement in statements))
    return Statement(";\n".join(statement.text for statement in statements), params, first.returns)


def _executed(cursor: Any, statement: Statement) -> Result:
    cursor.execute(statement.text, statement.params)
    return _result(cursor, statement)


def _result(cursor: Any, statement: Statement) -> Result:
    return Result(cursor.rowcount, cursor.fetchall() if statement.returns else [])


def bindable(value: Any, database: Any) -> Any:
    """Return a parameter as the driver takes it: SQLite keeps UUIDs as text."""
    if isinstance(value, UUID) and not database.features.has_native_uuid_field:
        return value.hex
    return value


def quote(name: str) -> str:
    """Return the name of a table or column in quotes, the same on both databases; a host's may have its own."""
    return name if name.startswith('"') and name.endswith('"') else f'"{name}"'


def account_names() -> dict[str, str]:
    """Return what texts say of the host's user model, joined as ``account``: its key, and whether it is active."""
    model: Any = get_user_model()
    return {"account_key": quote(model._meta.pk.column), "account_active": active_expression(model)}


def active_expression(model: Any) -> str:
    """Return what tells whether a user is active; a model without such a column has none that are switched off."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    if "is_active" not in fields:
        return "TRUE"
    active = fields["is_active"]
    if active.model is model:
        return f"account.{quote(active.column)}"
    # The column is in the table of a model that this one inherits from.
    link, parent = model._meta.get_ancestor_link(active.model), active.model._meta
    return (
        f"(SELECT parent.{quote(active.column)} FROM {quote(parent.db_table)} AS parent"  # noqa: S608 - names of the host's models
        f" WHERE parent.{quote(parent.pk.column)} = account.{quote(link.column)})"
    )


def _converters_of(field: Any, database: Any) -> list[Any]:
    """Return what turns a driver's value into the field's: of a reference, what its target's would be."""
    output_field = field
    while isinstance(output_field, models.ForeignKey):
        output_field = output_field.target_field
    expression: Any = Value(None, output_field=output_field)
    return [*database.ops.get_db_converters(expression), *output_field.get_db_converters(database)]
