"""The reference pages against the code: commands, the policy's columns, the templates of messages."""

from __future__ import annotations

import re
from argparse import SUPPRESS
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db.models import Field

from tests.example.blocks import ROOT
from tests.letters import ADDRESSES, NOTICES, PURPOSES, row
from twofa import delivery, texts
from twofa.models import KINDS, POLICY_FIELDS, Campaign, Failure, Redemption
from twofa.texts.variables import COMMON as COMMON_OF_STAFF

pytestmark = pytest.mark.django_db

REFERENCE = ROOT / "docs" / "reference"
TEMPLATES = ROOT / "twofa" / "templates" / "twofa" / "messages"
COMMANDS = sorted(name for name, app in get_commands().items() if app == "twofa")


def sections_of(page: str) -> dict[str, str]:
    """Return what stands below each heading of a page."""
    parts = re.split(r"^## (.+)$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of each row that begins with code."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def codes_of(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# --- commands


def options_of(command: str) -> set[tuple[str, ...]]:
    """Return a command's own options, each with its spellings."""
    own, common = (
        made.create_parser("manage.py", command) for made in (load_command_class("twofa", command), BaseCommand())
    )
    shared = {action.dest for action in common._actions}
    return {
        tuple(action.option_strings) or (action.dest,)
        for action in own._actions
        if action.dest not in shared and action.help is not SUPPRESS
    }


def test_every_command_has_its_section():
    assert sorted(heading.strip("`") for heading in sections_of("commands.md")) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_a_command_are_those_of_its_section(command: str):
    section = sections_of("commands.md")[f"`{command}`"]
    table = section.partition("| option |")[2].partition("\n\n")[0]

    assert {tuple(codes_of(cells[0])) for cells in rows_of(table)} == options_of(command)


# --- policy

POLICY = {codes_of(cells[0])[0]: cells[1:] for cells in rows_of((REFERENCE / "policy.md").read_text())}
SPAN = r"\d+ (?:min|s)|[\d.]+"


def told(value: Any) -> str:
    """Return a default as the page writes it."""
    if value is None:
        return "none"
    if value == "":
        return "empty"
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        units = ((86400, "days"), (3600, "h"), (60, "min"))
        found = (f"{seconds // size} {unit}" for size, unit in units if seconds and seconds % size == 0)
        return next(found, f"{seconds} s")
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "empty"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else f"`{value}`"


def read(text: str) -> Any:
    """Return the value that the page writes."""
    number, _space, unit = text.partition(" ")
    return timedelta(**{{"min": "minutes", "s": "seconds"}[unit]: int(number)}) if unit else type_of(number)


def type_of(number: str) -> Any:
    return Decimal(number) if "." in number else int(number)


def field_of(column: str) -> Field[Any, Any]:
    field = Campaign._meta.get_field(column)
    assert isinstance(field, Field)
    return field


def refusals(**policy: Any) -> set[str]:
    """Return the columns that a campaign with this policy is refused for."""
    campaign = Campaign(slug="summer", name="Summer", **policy)
    try:
        campaign.full_clean(validate_unique=False)
    except ValidationError as error:
        return set(error.message_dict)
    return set()


def test_columns_are_those_of_the_policy():
    assert set(POLICY) == set(POLICY_FIELDS)


@pytest.mark.parametrize("column", POLICY_FIELDS)
def test_default_of_a_column_is_the_model_s(column: str):
    assert POLICY[column][0] == told(field_of(column).get_default())


def edges() -> list[Any]:
    """Return each bound of the page, with a step beyond it."""
    found = []
    for column, (_default, bounds, _meaning) in POLICY.items():
        for part in bounds.split("; "):
            given = {"token_alphabet": "numeric"} if "`numeric`" in part else {}
            match = re.match(rf"({SPAN}) (?:to ({SPAN})|or more)", part)
            for text, away in zip(match.groups(), (-1, 1), strict=True) if match else ():
                if text is not None:
                    limit = read(text)
                    step = timedelta(seconds=away) if isinstance(limit, timedelta) else away
                    found.append(pytest.param(column, limit, limit + step, given, id=f"{column} {part}: {text}"))
    return found


@pytest.mark.parametrize(("column", "limit", "beyond", "given"), edges())
def test_bound_of_a_column_is_where_the_model_refuses(column: str, limit: Any, beyond: Any, given: dict[str, Any]):
    values = {**given, "redemption_ttl": timedelta(hours=1)}

    assert refusals(**values, **{column: limit}) == set()
    # A constraint of the database names no column.
    assert refusals(**values, **{column: beyond}) in ({column}, {"__all__"})


def test_bounds_of_every_column_with_a_number_are_tried():
    assert len({edge.values[0] for edge in edges()}) == 16


@pytest.mark.parametrize("column", ["two_factor_mode", "default_method", "completion_mode", "token_alphabet"])
def test_choices_of_a_column_are_the_ones_that_the_model_takes(column: str):
    choices = [value for value, _label in field_of(column).flatchoices]

    assert {value for value in choices if not refusals(**{column: value})} == set(codes_of(POLICY[column][1]))


def test_refusals_that_columns_have_together():
    assert refusals(two_factor_mode="required", allowed_channels=[]) == {"allowed_channels"}
    assert refusals(allowed_channels=["sms", "sms"]) == {"allowed_channels"}
    assert refusals(default_method="email", allowed_channels=["sms"]) == {"default_method"}
    assert refusals(identity_required=True) == {"required_documents"}
    assert refusals(redemption_ttl=timedelta(minutes=4)) == {"redemption_ttl"}
    assert refusals(resend_cooldown=timedelta(minutes=30)) == {"resend_cooldown"}
    assert refusals(allowed_countries=["Brazil"]) == {"allowed_countries"}


def test_chances_that_the_threats_tell_are_those_of_the_defaults():
    campaign, text = Campaign(), (ROOT / "docs/explanation/threats.md").read_text()
    tries = campaign.failed_attempts_per_day

    assert campaign.token_alphabet == "alphanumeric"
    assert f"{tries} wrong tokens" in text
    assert f"1 in {round(32**campaign.token_length / tries, -7) / 10**6:.0f} million" in text
    assert f"{tries} in 10^6, about 1 in {round(10**6 / tries, -3):,.0f}." in text


# --- messages

EVENTS = {codes_of(cells[0])[0]: cells for cells in rows_of(sections_of("messages.md")["Events"])}
_VARIABLES = sections_of("messages.md")["Variables"]
COMMON = {name for cells in rows_of(_VARIABLES.partition("Of messages with")[0]) for name in codes_of(cells[0])}
EXPLAINED = {name for cells in rows_of(_VARIABLES) for name in codes_of(cells[0])}


def test_folders_of_messages_are_those_of_the_page():
    assert set(EVENTS) == {path.name for path in TEMPLATES.iterdir() if path.is_dir()}
    files = {name for cells in rows_of((REFERENCE / "messages.md").read_text()) for name in codes_of(cells[0])}
    for folder in EVENTS:
        assert {path.name for path in (TEMPLATES / folder).iterdir()} == {
            name for name in files if Path(name).suffix in {".txt", ".html"}
        }


@pytest.mark.parametrize("event", [*PURPOSES, *NOTICES])
def test_variables_of_a_message_are_those_of_the_page(event: str, monkeypatch: pytest.MonkeyPatch):
    given: list[set[str]] = []

    def render(_names: list[str], context: dict[str, Any], *, as_html: bool) -> str:
        given.append(set(context))
        return str(context["token"])

    monkeypatch.setattr(delivery, "_render_first", render)
    for channel in ADDRESSES:
        delivery.compose(row(event, channel))
    own = set(codes_of(EVENTS[event.split()[0].replace(".", "_")][2]))

    assert set(map(frozenset, given)) == {frozenset(COMMON | own | {"token"})}
    assert own <= EXPLAINED


def test_messages_of_the_page_are_those_that_staff_switch():
    switched = {event.replace(".", "_"): "on" if kind.is_on else "off" for event, kind in KINDS.items()}

    assert {folder: cells[3] for folder, cells in EVENTS.items()} == switched


def test_texts_of_staff_need_and_may_show_what_the_page_says():
    written = sections_of("messages.md")["Texts that staff write"]
    told = {codes_of(cells[0])[0]: cells[1:] for cells in rows_of(written)}
    common = set(codes_of(written.partition("may show ")[2].partition(".")[0]))

    assert set(told) == {event for event in KINDS if texts.known(event) != tuple(COMMON_OF_STAFF)}
    assert common == set(COMMON_OF_STAFF)
    for event, (needs, besides) in told.items():
        assert tuple(codes_of(needs)) == texts.required(event, part="text")
        assert common | set(codes_of(needs)) | set(codes_of(besides)) == set(texts.known(event))


# --- why things end


def test_page_has_every_code_of_a_failure_and_when_it_is_told():
    rows = rows_of(sections_of("errors.md")["Why a redemption or a batch ended"])
    listed = {codes_of(cells[0])[0]: set(codes_of(cells[1])) for cells in rows}

    assert set(listed) == set(Failure.values)
    assert set().union(*listed.values()) <= Redemption.FINAL
