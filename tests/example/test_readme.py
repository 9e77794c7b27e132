"""The README's integration: a project made of its blocks, checked and used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.example.blocks import ROOT, anchors_of, blocks_of, links_of
from tests.example.hosting import Host, findings

# What staff do in the admin, and what a storefront's backend does. The token is where the console channel prints it.
DRIVER = """
import io, json, re, sys
from contextlib import redirect_stdout
from django.core.management import call_command
from django.test import Client
from shop.models import Hold, Wallet
from twofa.flows import campaigns, storefronts
from twofa.flows.history import Actor
from twofa.models import ActorKind

staff = Actor(ActorKind.STAFF, "a test")
summer = campaigns.open_campaign(actor=staff, slug="summer", name="Summer", two_factor_mode="required")
storefront = storefronts.open_storefront(name="Shop", campaigns=[summer], actor=staff)
_key, key = storefronts.issue_key(storefront, actor=staff)
Wallet.objects.create(member="ana", points=50000)
client = Client(HTTP_HOST="localhost", headers={"Authorization": f"Bearer {key}"})

def call(method, path, body, status):
    answer = getattr(client, method)("/api/v1" + path, json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()

def token():
    printed = io.StringIO()
    with redirect_stdout(printed):
        call_command("twofa_sweep")
    return re.search(r"Token \\d+: (\\w+)", printed.getvalue())[1]

call("put", "/campaigns/summer/participants/ana/", {"name": "Ana"}, 201)
phone = {"channel": "sms", "address": "+5511999990034"}
device = call("post", "/campaigns/summer/participants/ana/devices/", phone, 201)
call("post", f"/devices/{device['id']}/verify/", {"token": token()}, 200)
order = {"participant": "ana", "order_id": "A-1", "amount": "15000.00", "description": "Headphones"}
first = call("post", "/campaigns/summer/redemptions/", order, 201)
held = str(Wallet.objects.get().points)
done = call("post", f"/redemptions/{first['id']}/confirm/", {"token": token()}, 200)
second = call("post", "/campaigns/summer/redemptions/", {**order, "order_id": "A-2"}, 201)
call("post", f"/redemptions/{second['id']}/cancel/", {}, 200)
refused = call("post", "/campaigns/summer/redemptions/", {**order, "order_id": "A-3", "amount": "35000.01"}, 422)
sys.stderr.write(json.dumps({
    "opened": first["status"], "held": held, "confirmed": done["status"], "refused": refused["reason"],
    "points": str(Wallet.objects.get().points), "holds": sorted(Hold.objects.values_list("state", flat=True)),
}))
"""


def test_integration_works_as_written(tmp_path: Path):
    host = Host.start(tmp_path / "host")
    host.write(blocks_of("README.md"))
    host.manage("makemigrations", "shop")
    host.manage("migrate", "--verbosity", "0")

    checked = host.manage("check", "--database", "default")
    (host.path / "driver.py").write_text(DRIVER)
    told = host.manage("shell", "--command", "import driver").stderr

    # The project is at its beginning: no broker yet, and Django's own SQLite settings. Both are told, with what to do.
    assert findings(checked) == {"twofa.W002", "twofa.W004"}
    assert json.loads(told.splitlines()[-1]) == {
        "opened": "pending_2fa_approval",
        "held": "35000.00",
        "confirmed": "completed",
        "refused": "insufficient_points",
        "points": "35000.00",
        "holds": ["released", "spent"],
    }


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
