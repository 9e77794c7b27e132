"""The one clock: the database's, so that no two machines disagree about what has expired."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func
from django.db.models.sql.compiler import SQLCompiler

CLOCKS = {
    "postgresql": "clock_timestamp()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
"""The expression of the time at which it is evaluated; percent signs doubled, as drivers want them."""
TIMES = {
    "postgresql": {
        "now": "(SELECT clock_timestamp())",
        "yesterday": "(SELECT clock_timestamp() - interval '24 hours')",
    },
    "sqlite": {
        "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
        "yesterday": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 day')",
    },
}
"""The time and that of 24 hours ago, to compare columns with: evaluated once in a statement, so that indexes serve.

Not ``statement_timestamp()``: where several statements are sent together, it is the time at which the first one came,
which may be before the wait for a lock.
"""


class Clock(Func):
    """The time at which the statement runs.

    Not ``now()``, which on PostgreSQL is the start of the transaction: a confirm that waited for a lock would judge
    an expired token by the time at which it began to wait.
    """

    output_field = DateTimeField()
    template = "clock_timestamp()"

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        return self.as_sql(
            compiler, connection, template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW')", **context
        )


def now() -> datetime:
    """Return the database's time, in UTC, by a statement of its own: read it after the locks, never with them."""
    if connection.vendor == "postgresql":
        sql = "SELECT clock_timestamp()"
    else:
        sql = "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        value = cursor.fetchone()[0]
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.fromisoformat(value).replace(tzinfo=UTC)
