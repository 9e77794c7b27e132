"""All that a stolen backup has: every value of every table, and every byte of the storage of documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from django.db import connection


def tables() -> Iterator[tuple[str, str, bytes]]:
    """Table, column and value of all that is stored in this database, the host's own tables too."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                yield from ((table, name, raw(value)) for name, value in zip(columns, row, strict=True))


def raw(value: object) -> bytes:
    """The bytes of a value, in which any text of it can be looked for."""
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False).encode()
    return str(value).encode()


def found_in_tables(*needles: str | bytes) -> set[tuple[str, str]]:
    """Table and column of each place in which one of these is, whatever the case."""
    wanted = [needle.encode().lower() if isinstance(needle, str) else needle.lower() for needle in needles]
    return {(table, column) for table, column, value in tables() if any(needle in value.lower() for needle in wanted)}


def found_in_files(folder: Path, *needles: bytes) -> list[Path]:
    """Files in which one of these is."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]
