"""How many statements a request costs, in the words of the budget: ours, besides transaction control."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

_CONTROL = re.compile(
    r"\s*(SAVEPOINT|RELEASE|ROLLBACK|BEGIN|START TRANSACTION|COMMIT|SET|SELECT set_config)\b", re.IGNORECASE
)


@dataclass
class Statements:
    """What was executed, in order. Its length is the count of the budget."""

    executed: list[str] = field(default_factory=list)
    without: tuple[str, ...] = ()

    @property
    def counted(self) -> list[str]:
        """Those of the budget. Each of several that were sent together counts."""
        return [
            sql
            for sent in self.executed
            for sql in sent.split(";\n")
            if not _CONTROL.match(sql) and not any(f'"{table}"' in sql for table in self.without)
        ]

    def __len__(self) -> int:
        return len(self.counted)

    def __str__(self) -> str:
        return "\n".join(f"{number}. {sql}" for number, sql in enumerate(self.counted, 1))


@contextmanager
def record_statements(*, without: tuple[str, ...] = ()) -> Iterator[Statements]:
    """Record this thread's statements on the default database; those on the tables `without` are not counted."""
    statements = Statements(without=without)

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.executed.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield statements
