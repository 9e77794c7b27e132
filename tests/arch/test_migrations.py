from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel


@pytest.mark.django_db
def test_models_have_all_their_migrations():
    call_command("makemigrations", "--check", "--dry-run", verbosity=3)


def test_workers_of_the_release_before_store_rows_without_the_columns_that_are_new():
    loader = MigrationLoader(None)
    for (app, name), migration in loader.disk_migrations.items():
        if app != "twofa":
            continue
        new = {operation.name_lower for operation in migration.operations if isinstance(operation, CreateModel)}
        for operation in migration.operations:
            if isinstance(operation, AddField) and operation.model_name_lower not in new:
                field = operation.field
                assert field.null or field.has_db_default(), f"{name}: {operation.model_name}.{operation.name}"
