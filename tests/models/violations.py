"""Rows that the database itself must refuse, whatever Python thinks of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction

from tests.stories import tamper


@contextmanager
def violates(constraint: str) -> Iterator[None]:
    """The block breaks this constraint, and the database says so. SQLite does not name a unique one."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        yield
    assert connection.vendor == "sqlite" or constraint in str(refused.value)


def copy(row: models.Model, **changes: Any) -> None:
    """Insert a second row like this one."""
    model = type(row)
    twin = model(**{field.attname: getattr(row, field.attname) for field in model._meta.concrete_fields})
    twin.pk = None if isinstance(model._meta.pk, models.AutoField) else model._meta.pk.get_default()
    for name, value in changes.items():
        setattr(twin, name, value)
    model._base_manager.bulk_create([twin])


__all__ = ["copy", "tamper", "violates"]
