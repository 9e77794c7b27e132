"""What the pages promise about the code, and about themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.example.blocks import ROOT, anchors_of, blocks_of, links_of
from tests.factories import Shop, token_of, wrong_token
from tests.stories import confirm, deliver_due
from twofa import signals
from twofa.exceptions import TokenInvalid
from twofa.flows.history import ALERTS, SIGNALS
from twofa.models import ActorKind, Case, Challenge, Delivery, Device, Event, Redemption
from twofa.models.event import EVENT_LABELS

PAGES = sorted(str(path.relative_to(ROOT)) for path in (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")))
MODELS = (Redemption, Challenge, Delivery, Device, Case)
MACHINES = [
    pytest.param(model.__name__, column, machine, id=f"{model.__name__}.{column}")
    for model in MODELS
    for column, machine in model.MACHINES.items()
]
RUN = re.compile(r"^<!-- (test|run by|not run): [^\n]+ -->$")
SHOWN = {"mermaid", "toctree", "include", "operations", "eval-rst", "text"}
"""Languages of blocks that no machine runs: what they show is data, or a directive of the site."""


@pytest.mark.parametrize(("name", "column", "machine"), MACHINES)
def test_table_of_states_is_the_code_s(name: str, column: str, machine):
    text = (ROOT / "docs/reference/states.md").read_text()
    section = text.partition(f"## {name}: `{column}`\n")[2].partition("\n## ")[0]
    told = {
        before: set(re.findall(r"`(\w+)`", after))
        for before, after in re.findall(r"^\| `(\w+)` \|(.*)\|$", section, re.MULTILINE)
    }

    assert told == {before.value: {after.value for after in following} for before, following in machine.items()}


def events_of_the_page() -> dict[str, list[set[str]]]:
    """Of each type, the words in code of its columns: actors, data, signal, alert."""
    text = (ROOT / "docs/reference/events.md").read_text()
    rows = re.findall(r"^\| `(\w+\.\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    assert len(rows) == len({type_ for type_, *_columns in rows})
    return {type_: [set(re.findall(r"`(\w+)`", column)) for column in columns] for type_, *columns in rows}


def test_page_of_events_has_every_type_with_its_signal_and_alert():
    names = {signal: name for name, signal in vars(signals).items() if isinstance(signal, signals.Signal)}
    told = events_of_the_page()

    assert told.keys() == EVENT_LABELS.keys()
    assert {type_: columns[2] for type_, columns in told.items() if columns[2]} == {
        type_: {names[signal]} for type_, signal in SIGNALS.items()
    }
    assert {type_: columns[3] for type_, columns in told.items() if columns[3]} == {
        type_: {alert.value} for type_, alert in ALERTS.items()
    }
    assert set().union(*(columns[0] for columns in told.values())) == set(ActorKind.values)


def test_page_of_events_has_the_data_that_flows_write():
    told = events_of_the_page()
    written = list(_written())

    assert len(written) > 30
    for type_, members in written:
        assert members <= told[type_][1], type_


def _written() -> Iterator[tuple[str, set[str]]]:
    """Each call that writes an event of a type which stands in the call, with the members of data that stand there."""
    for path in (ROOT / "twofa/flows").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="add") | ast.Name(id="_record"), args=[ast.Constant(str(type_)), *_]
                ):
                    yield type_, {keyword.arg for keyword in node.keywords if keyword.arg}


@pytest.mark.django_db
def test_page_of_events_has_the_actors_and_data_of_a_story():
    shop = Shop()
    before = set(Event.objects.values_list("pk", flat=True))
    redemption, wrong = shop.open(), shop.open()
    deliver_due()
    confirm(shop, redemption, token_of(redemption.challenge))
    with pytest.raises(TokenInvalid):
        confirm(shop, wrong, wrong_token(wrong.challenge))
    told = events_of_the_page()

    for event in Event.objects.exclude(pk__in=before):
        actors, members, *_rest = told[event.type]
        assert event.actor_kind in actors, event.type
        assert event.data.keys() <= members, event.type


def test_what_pages_import_is_listed_as_stable():
    text = (ROOT / "docs/reference/python.md").read_text()
    listed = dict(re.findall(r"^\| `(twofa[\w.]*)` \| (.*) \|$", text, re.MULTILINE))
    imported = [
        (page, module, name)
        for page in PAGES
        for module, names in re.findall(r"^ *from (twofa[\w.]*) import (.+)$", (ROOT / page).read_text(), re.MULTILINE)
        for name in names.split(", ")
    ]

    assert len(imported) > 10
    for page, module, name in imported:
        assert f"`{name}`" in listed[module] or re.search(r"\b(every|its modules)\b", listed[module]), (
            page,
            module,
            name,
        )


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    for path, anchor in links_of(page):
        target = (ROOT / page).parent / path if path else ROOT / page

        assert target.exists(), f"{page}: {path}"
        if anchor:
            assert anchor in anchors_of(target), f"{page}: {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_each_block_of_code_is_run_or_says_why_not(page: str):
    lines = ["", *(ROOT / page).read_text().splitlines()]
    unexplained = [
        f"{page}:{number}"
        for number, (before, line) in enumerate(pairwise(lines), 1)
        if (language := _opens(line)) and language not in SHOWN and not RUN.match(before)
    ]

    assert unexplained == [], "mark the block: `<!-- test: … -->`, `<!-- run by: … -->`, or `<!-- not run: why -->`"


def _opens(line: str) -> str:
    found = re.match(r"^```\{?([\w-]+)", line)
    return found[1] if found else ""


def test_text_that_the_page_translates_is_one_of_ours():
    (block,) = blocks_of("docs/howto/translate.md")
    text = block.code.splitlines()[0]

    for language in ("pt_BR", "es"):
        assert text in (ROOT / f"twofa/locale/{language}/LC_MESSAGES/django.po").read_text().splitlines()


def test_every_page_of_the_site_is_in_its_contents():
    index = (Path(ROOT) / "docs/index.md").read_text()

    for folder in ("tutorial", "howto", "reference", "explanation"):
        assert f"{folder}/*" in index or all(
            f"{folder}/{path.stem}" in index for path in (ROOT / "docs" / folder).glob("*.md")
        )
