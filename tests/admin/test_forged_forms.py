"""What a superuser could type into a request by hand: columns that no form has, and questions that no page asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test import Client

from tests.admin.conftest import World, page
from tests.admin.sites import HIDDEN, SUPERUSER, leaks, pages, populate, readers, secrets
from tests.admin.trees import Tree
from tests.stories import stored
from twofa.admin.base import TwofaAdmin
from twofa.flows import roles

MODELS = {model._meta.model_name: model for model in admin.site._registry if model._meta.app_label == "twofa"}
# What a form of ours writes; the rest of a row is written by flows alone.
WRITABLE = {
    "campaign": {"name"},
    "storefront": {"name", "is_active", "campaigns"},
    "webhookendpoint": {"url", "description", "events", "is_active"},
}
FORGED: dict[type[models.Field[Any, Any]], str] = {
    models.BooleanField: "on",
    models.DateTimeField: "2031-01-01 00:00:00",
    models.DecimalField: "0.01",
    models.DurationField: "00:00:01",
    models.JSONField: '["forged"]',
    models.UUIDField: "01a20000-0000-7000-8000-000000000000",
}


def forged(model: type[models.Model], but: set[str]) -> dict[str, str]:
    """A value for each column of a model, as a form would send it, and other than the one that is there."""
    values = {}
    for column in model._meta.concrete_fields:
        kind = next((kind for kind in FORGED if isinstance(column, kind)), None)
        choices = [str(value) for value, _label in column.flatchoices]
        values[column.name] = choices[-1] if choices else FORGED[kind] if kind else "7"
    return {name: value for name, value in values.items() if name not in but}


def sent_by_browser(browser: Client, address: str) -> dict[str, list[str]]:
    """The values of the page's own form."""
    tree = Tree(browser.get(address).content.decode())
    return max((form.values for form in tree.forms if form.method == "post"), key=len, default={})


@pytest.mark.parametrize("model", MODELS)
def test_columns_that_are_typed_into_a_request_are_not_written(model: str, world: World, boss: Client):
    """Status, points, amount, attempts, version, who and when: by form, popup, list, action, or as a new row."""
    row = world.rows[model]
    address = page(model, "change", row.pk)
    values = forged(MODELS[model], but=WRITABLE.get(model, set()))
    as_shown = sent_by_browser(boss, address)
    before = stored()

    boss.post(address, {**values, **as_shown, "_save": "1"})
    boss.post(f"{address}?_popup=1&_to_field=id", {**values, **as_shown, "_popup": "1"})
    boss.post(
        address, {**as_shown, **{f"{model}-0-{name}": value for name, value in values.items()}, "_saveasnew": "1"}
    )
    rows = {f"form-0-{name}": value for name, value in values.items()}
    boss.post(page(model, "changelist"), {**rows, "form-TOTAL_FORMS": "1", "form-0-id": row.pk, "_save": "1"})
    for action in ("delete_selected", "export", "approve"):
        boss.post(page(model, "changelist"), {"action": action, "_selected_action": row.pk, "post": "yes"})
    if model not in WRITABLE:
        boss.post(page(model, "add"), values)

    assert stored() == before


@pytest.mark.parametrize("model", MODELS)
def test_form_without_a_change_writes_nothing(model: str, world: World, boss: Client):
    """What the test above sends along is a form that would be taken."""
    address = page(model, "change", world.rows[model].pk)
    response = boss.post(address, sent_by_browser(boss, address))

    assert response.status_code == (302 if model in WRITABLE else 403)


def questions(model: type[models.Model]) -> Iterator[str]:
    """Each hidden column as it could be asked for by a list of this model: its own, and those of its relations."""
    yield from (column.name for column in model._meta.concrete_fields if column.name in HIDDEN)
    for relation in model._meta.get_fields():
        related = relation.related_model
        if isinstance(related, type):
            hidden = HIDDEN | {"password"}
            yield from (
                f"{relation.name}__{column.name}" for column in related._meta.concrete_fields if column.name in hidden
            )


@pytest.mark.parametrize("model", MODELS)
def test_no_list_answers_a_question_about_a_hidden_column(model: str, world: World, boss: Client):
    """One row more or less is an answer, and so is the order: bit by bit to the whole of it."""
    asked = list(questions(MODELS[model]))
    for name in asked:
        for lookup in ("", "__startswith", "__lt"):
            response = boss.get(page(model, "changelist"), {f"{name}{lookup}": "1"})
            assert response.status_code == 400, (name, lookup)
    model_admin = admin.site._registry[MODELS[model]]
    assert isinstance(model_admin, TwofaAdmin)
    columns = [getattr(model_admin, str(name), name) for name in model_admin.list_display]
    sorted_by = {str(getattr(column, "admin_order_field", column)).lstrip("-") for column in columns}
    assert not sorted_by & HIDDEN
    assert not {name.partition("__")[0].lstrip("^=@") for name in model_admin.search_fields} & HIDDEN
    assert len(asked) > 0 or model in ("policychange", "prefixpause", "safenumber")


@pytest.mark.parametrize("model", MODELS)
def test_popup_gives_no_hidden_column_as_a_value(model: str, world: World, boss: Client):
    for column in [column.name for column in MODELS[model]._meta.concrete_fields if column.name in HIDDEN]:
        for address in (page(model, "change", world.rows[model].pk), page(model, "changelist")):
            assert boss.get(address, {"_popup": "1", "_to_field": column}).status_code == 400, column


def test_autocomplete_gives_no_secret_and_asks_for_the_permission(world: World):
    populate(world)
    hidden, browsers, address = secrets(), readers(), pages(world)["autocomplete"].partition("?")[0]
    shop = world.shop
    terms = ["", "1", shop.participant.external_id, shop.device.address, "+55", "%", "39053344705"]
    opened: dict[str, set[str]] = {name: set() for name in browsers}
    for name, browser in browsers.items():
        for model in MODELS.values():
            for column in [column for column in model._meta.concrete_fields if column.is_relation]:
                asked = {"app_label": "twofa", "model_name": model._meta.model_name, "field_name": column.name}
                for term in terms if name == SUPERUSER else terms[:1]:
                    response = browser.get(address, {**asked, "term": term})
                    if response.status_code == 200:
                        # What is refused names, at most, what was asked.
                        opened[name].add(str(column.related_model._meta.model_name))
                        assert leaks(response, hidden) == []

    assert opened["anonymous"] == opened["no permission"] == set()
    for role, given in roles.ROLES.items():
        may = {codename.removeprefix("view_") for codename in given if codename.startswith("view_")}
        assert opened[role] <= may, role


def test_every_model_of_the_package_was_thought_of():
    """A model without a page needs none; one with a page is in these tests by itself."""
    without = {model._meta.model_name for model in apps.get_app_config("twofa").get_models()} - MODELS.keys()

    assert {"idempotencyrecord"} <= without
    assert not any(name.endswith("device") for name in without)
