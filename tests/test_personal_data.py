"""The inventory of personal columns against the models, and against what an erasure leaves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import models

from tests.example.blocks import ROOT
from tests.lives import Life
from tests.stories import STAFF
from twofa.conf import LEAST_RETENTION
from twofa.flows import erasures
from twofa.models import IdempotencyRecord, Webhook

PAGE = (ROOT / "docs/reference/personal-data.md").read_text()
HOLDS_TEXT = (models.CharField, models.TextField, models.BinaryField, models.JSONField, models.FileField)
SAFE = (
    models.AutoField, models.BooleanField, models.DateTimeField, models.DecimalField, models.DurationField,
    models.ForeignKey, models.IntegerField, models.UUIDField,
)  # fmt: skip
NAME = r"`(\w+\.\w+)`"
FATES = {"emptied", "deleted", "random", "pseudonym", "redacted", "stays"}


def section(heading: str) -> list[list[str]]:
    """The cells of each row of a section's table, without its head."""
    text = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


INVENTORY = {re.findall(NAME, cells[0])[0]: cells[1:] for cells in section("Columns")}
NOT_PERSONAL = [name for cells in section("Not personal") for name in re.findall(NAME, cells[1])]


def columns() -> dict[str, Any]:
    """Every column of the app by its name, but for numbers, times and references."""
    return {
        f"{model.__name__}.{field.name}": field
        for model in apps.get_app_config("twofa").get_models()
        for field in model._meta.concrete_fields
        if not isinstance(field, SAFE)
    }


def fate(name: str) -> str:
    return re.findall(r"^`(\w+)`", INVENTORY[name][-1])[0]


def test_every_column_is_in_the_inventory_or_is_said_not_to_be_personal():
    known = [*INVENTORY, *NOT_PERSONAL]

    assert sorted(known) == sorted(columns())
    assert all(isinstance(field, HOLDS_TEXT) for field in columns().values())


def test_new_column_without_an_entry_would_be_noticed():
    assert "Participant.external_id" in columns()
    assert "EventSeal.marks" in columns()
    assert not {"Participant.id", "Redemption.amount"} & set(columns())


@pytest.mark.parametrize("name", INVENTORY)
def test_entry_says_what_why_on_what_basis_how_long_and_what_becomes_of_it(name: str):
    what, purpose, basis, kept, erased = INVENTORY[name]

    assert all((what, purpose, kept))
    assert re.search(r"\(\d", basis)
    assert fate(name) in FATES
    assert fate(name) != "stays" or ":" in erased
    assert set(re.findall(r"`(\w+)`", kept)) <= set(LEAST_RETENTION)


def values(name: str, participant: Any) -> list[Any]:
    """What the column holds of the participant; bytes as bytes."""
    model_name, column = name.split(".")
    model = apps.get_model("twofa", model_name)
    if model is IdempotencyRecord:
        rows = model._base_manager.all()
    elif model is Webhook:
        rows = model._base_manager.filter(subject="participant", subject_id=str(participant.pk))
    elif model_name == "Participant":
        rows = model._base_manager.filter(pk=participant.pk)
    elif model_name == "Challenge" and column == "transaction_digest":
        rows = model._base_manager.filter(participant=participant, purpose="device")
    else:
        rows = model._base_manager.filter(participant=participant.pk)
    found = rows.order_by("pk").values_list(column, flat=True)
    return [bytes(value) if isinstance(value, memoryview) else value for value in found]


@pytest.mark.django_db
def test_erasure_does_to_each_column_what_the_inventory_says(documents_folder):
    life = Life()
    participant = life.participant
    before = {name: values(name, participant) for name in INVENTORY}
    erasure = erasures.erase(participant, actor=STAFF)

    assert [name for name in INVENTORY if not any(before[name])] == []
    for name in INVENTORY:
        after = values(name, participant)
        match fate(name):
            case "emptied":
                assert not any(after), name
            case "pseudonym":
                assert after == [erasure.pseudonym], name
            case "deleted":
                assert (bool(before[name]), after) == (True, []), name
            case "random":
                assert len(after) == len(before[name]), name
                assert not set(after) & set(before[name]), name
            case "stays":
                assert after == before[name], name
            case "redacted":
                assert after[: len(before[name])] != before[name], name
