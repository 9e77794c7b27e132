"""Every page of the admin, opened by every kind of reader: who may, and that no secret is on it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World, make_world
from tests.admin.sites import (
    ANONYMOUS,
    NOBODY,
    READERS,
    SUPERUSER,
    crawl,
    leaks,
    outcome,
    pages,
    populate,
    readers,
    secrets,
)
from tests.stories import everything
from twofa.flows import roles

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "roles.txt"
WHAT_TO_DO = (
    "A page is new, or its readers are others than they were. Decide for each role whether it may open the page "
    "(twofa/flows/roles.py), then write the table by TWOFA_UPDATE_SNAPSHOTS=1 pytest -n 0 tests/admin/test_crawl.py, "
    "and read the difference."
)
STAFF_ONLY = [name for name in READERS if name != ANONYMOUS]


def noted() -> tuple[Any, ...]:
    """All that looking may not change. A look at a picture leaves an event, and nothing else does."""
    rows, sent, calls = everything()
    events = [row for row in rows["Event"] if row["type"] != "document.viewed"]
    return {**rows, "Event": events}, sent, calls


@pytest.fixture
def town(db: None) -> World:
    world = make_world()
    populate(world)
    return world


def written(table: dict[str, dict[str, str]]) -> str:
    """The table as it is committed: a line for each page, a column for each reader."""
    width = max(map(len, table))
    lines = [["page".ljust(width), *(name.ljust(13) for name in READERS)]]
    lines += [[page.ljust(width), *(found[name].ljust(13) for name in READERS)] for page, found in table.items()]
    return "".join("  ".join(line).rstrip() + "\n" for line in lines)


def test_each_page_opens_for_whom_the_table_says(town: World):
    browsers, hidden = readers(), secrets()
    before = noted()
    table: dict[str, dict[str, str]] = {}
    shown = []
    for name, address in pages(town).items():
        table[name] = {}
        for reader in READERS:
            # What signs out is asked last, and by nobody whose session is still needed.
            response = (Client() if name == "logout" else browsers[reader]).get(address)
            table[name][reader] = outcome(response)
            shown += [(name, reader, found) for found in leaks(response, hidden)]

    assert shown == []
    assert noted() == before, "looking changes nothing"
    text = written(table)
    if os.environ.get("TWOFA_UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text.splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines(), WHAT_TO_DO


@pytest.mark.parametrize("reader", STAFF_ONLY)
def test_links_lead_to_open_pages_without_a_secret(reader: str, town: World):
    """Lists filtered and sorted each way, rows, histories, popups, searches: whatever a click reaches."""
    browser, hidden = readers()[reader], secrets()
    addresses = pages(town)
    lists = [
        address for name, address in addresses.items() if name.startswith("twofa_") and name.endswith("changelist")
    ]
    popups = [f"{address}?_popup=1" for name, address in addresses.items() if name.startswith("twofa_")]
    terms = [town.redemption.order_id, town.shop.participant.external_id, town.redemption.correlation_id, "%00", "'"]
    searches = [f"{address}?q={term}" for address in lists for term in terms]
    before = noted()
    dead_ends, shown, opened = [], [], 0
    for address, found_on, response in crawl(browser, "/admin/", *popups, *searches):
        shown += [(address, found) for found in leaks(response, hidden)]
        opened += response.status_code == 200
        if found_on and outcome(response) not in ("open", "moved"):
            dead_ends.append((found_on, address, outcome(response)))

    assert shown == []
    assert sorted(set(dead_ends)) == []
    assert noted() == before, "looking changes nothing"
    assert opened > {NOBODY: 0, roles.POLICY_EDITOR: 20, SUPERUSER: 150}.get(reader, 50)


def test_what_a_reader_may_not_open_is_not_done_by_post_either(town: World):
    sent = {"reason": "x", "status": "approved", "two_factor_mode": "off", "name": "x", "post": "yes", "_save": "1"}
    browsers, addresses, before = readers(), pages(town), everything()
    answers = {}
    for line in SNAPSHOT.read_text(encoding="utf-8").splitlines()[1:]:
        name, *found = re.split(r"  +", line)
        for reader, word in zip(READERS, found, strict=True):
            if word in ("sign in", "denied", "absent"):
                answers[name, reader] = outcome(browsers[reader].post(addresses[name], sent))

    assert len(answers) > 250
    assert {
        key: word for key, word in answers.items() if word not in ("sign in", "denied", "absent", "by another method")
    } == {}
    assert everything() == before
