"""The README's integration: a project made of its blocks, checked, served and used as it says."""

from __future__ import annotations

import json
import re
import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.example.blocks import ROOT, Block, anchors_of, blocks_of, links_of
from tests.example.hosting import Host, findings
from tests.example.test_walkthroughs import Typist
from tests.servers.process import free_port, wait_until

# The administrator in a browser: the form of a new campaign as it comes, but for what the README says to type.
ADD_A_CAMPAIGN = """
from django.forms import MultiWidget
from django.test import Client
from django.test.utils import setup_test_environment

setup_test_environment()
client = Client()
assert client.login(username="boss", password="x")
fields = {}
for bound in client.get("/admin/twofa/campaign/add/").context["adminform"].form:
    widget, value = bound.field.widget, bound.value()
    if isinstance(widget, MultiWidget):
        parts = zip(widget.widgets_names, widget.decompress(value))
        fields |= {bound.html_name + name: "" if part is None else part for name, part in parts}
    elif value is not False:
        fields[bound.html_name] = "" if value is None else value
assert fields["two_factor_mode"] == "off", "a new campaign's, which the README warns of"
answer = client.post("/admin/twofa/campaign/add/", {**fields, "slug": "summer", "name": "Summer", **CHOSEN})
assert answer.status_code == 302, answer.context["adminform"].form.errors
"""


ORDER = {"participant": "ana", "order_id": "A-2", "amount": "100.00", "description": "Mug"}


class HostShell(Typist):
    """The person of the README with three terminals: the server, the sweeper's, and the one for calls."""

    def __init__(self, host: Host, port: int, key: str) -> None:
        super().__init__()
        self.host, self.port, self.key = host, port, key

    def values(self) -> dict[str, Callable[[], str]]:
        return {"API": lambda: f"http://127.0.0.1:{self.port}/api/v1", "KEY": lambda: self.key, "TOKEN": self.token}

    def post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """Make one more call, in the way of the README's."""
        answer: dict[str, Any] = json.loads(self.type(Block(("curl",), "sh", f"post {path} '{json.dumps(body)}'")))
        return answer

    def token(self) -> str:
        """Read it where the sweeper prints its messages: one sweep at a time, because SQLite has one writer."""
        printed = self.host.manage("twofa_sweep").stdout
        found = re.search(r"Token \d+: (\w+)", printed)
        assert found, printed
        return found[1]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = Host.start(tmp_path_factory.mktemp("readme") / "host", DJANGO_SUPERUSER_PASSWORD="x")
    host.write(blocks_of("README.md"))
    host.manage("makemigrations", "shop")
    host.manage("migrate", "--verbosity", "0")
    host.manage("createsuperuser", "--noinput", "--username", "boss", "--email", "")
    return host


@pytest.fixture
def port(host: Host, tmp_path: Path) -> Iterator[int]:
    number = free_port()
    server = host.start_server(number, tmp_path / "server.log")
    yield number
    server.terminate()
    server.wait(timeout=20)


def commands_of(kind: str) -> list[list[str]]:
    """Return the lines of the README's block of that kind, as words."""
    (block,) = [block for block in blocks_of("README.md") if block.kind == kind]
    return [shlex.split(line) for line in block.code.splitlines()]


def calls_of_the_story() -> list[Block]:
    """Return the blocks of the enrolment and, from `post()` on, of the calls above it."""
    blocks = {kind: [block for block in blocks_of("README.md") if block.kind == kind] for kind in ("curl", "host-curl")}
    first = blocks["curl"][0]
    return [
        *blocks["host-curl"],
        Block(first.words, first.language, first.code[first.code.index("post()") :]),
        *blocks["curl"][1:],
    ]


def test_project_has_nothing_to_mend_but_what_the_readme_leaves(host: Host):
    # The project is at its beginning: no broker yet, and Django's own SQLite settings. Both are told, with what to do.
    assert findings(host.manage("check", "--database", "default")) == {"twofa.W002", "twofa.W004"}


def test_integration_works_as_written(host: Host, port: int):
    host.manage("shell", "--command", ADD_A_CAMPAIGN.replace("CHOSEN", '{"two_factor_mode": "required"}'))
    storefront, points, sweep = commands_of("manage")
    key = host.manage(*storefront[2:]).stdout.strip()
    host.manage(*points[2:])
    assert sweep[2:] == ["twofa_sweep", "--every", "5"]
    shell = HostShell(host, port, key)
    wait_until(lambda: is_open(port), seconds=30, what="the server")

    answers = [json.loads(shell.type(block)) for block in calls_of_the_story()]

    statuses = [answer.get("status") for answer in answers]
    assert statuses[1:] == ["pending", "active", "pending_2fa_approval", "completed"]
    assert points_of(host) == ["35000.00", "spent"]
    refused = shell.post("/campaigns/summer/redemptions/", {**ORDER, "amount": "35000.01"})
    assert (refused["code"], refused["reason"]) == ("redemption_refused", "insufficient_points")
    opened = shell.post("/campaigns/summer/redemptions/", ORDER)
    assert opened["status"] == "pending_2fa_approval"
    assert shell.post(f"/redemptions/{opened['id']}/cancel/", {})["status"] == "cancelled"
    assert points_of(host) == ["35000.00", "released", "spent"]
    # The README's table: what is not configured says so.
    mail = {"channel": "email", "address": "ana@example.com"}
    assert shell.post("/campaigns/summer/participants/ana/devices/", mail)["code"] == "channel_unavailable"


def is_open(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def points_of(host: Host) -> list[str]:
    held = "from shop.models import *; print(Wallet.objects.get().points, *sorted(h.state for h in Hold.objects.all()))"
    return host.manage("shell", "--command", held).stdout.splitlines()[-1].split()


def test_integration_is_ten_lines():
    lines = [
        line
        for block in blocks_of("README.md")
        if block.kind == "project" and block.words[1].startswith("config/")
        for line in block.code.splitlines()
        if line and not line.startswith("#")
    ]

    assert len(lines) <= 10


@pytest.mark.parametrize(
    "page", ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]
)
def test_links_lead_somewhere(page: str):
    for path, anchor in links_of(page):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {path}"
        assert not anchor or anchor in anchors_of(target), f"{page} links to {path}#{anchor}"


def test_targets_that_the_readme_names_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))

    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))

    assert {"demo", "serve", "test"} <= named <= targets
