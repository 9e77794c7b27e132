"""What the pages promise about the code, and about themselves."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.example.blocks import ROOT, anchors_of, blocks_of, links_of
from twofa.models import Challenge, Delivery, Device, Redemption

PAGES = sorted(str(path.relative_to(ROOT)) for path in (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")))
MODELS = (Redemption, Challenge, Delivery, Device)
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
