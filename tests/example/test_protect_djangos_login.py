"""The how-to on Django's login: a fresh project with its settings alone, enrolled, signed in to, and crawled."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.example.blocks import blocks_of
from tests.example.hosting import Host, findings
from tests.example.test_readme import HostShell, is_open
from tests.servers.process import free_port, wait_until

PAGE = "docs/howto/protect-djangos-login.md"
PREMISES = ("README.md", "docs/howto/integrate.md")
"""The pages that this one goes on from: the project's own, and the user resolver of the second."""
URLS = """
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse

urlpatterns += [path("user/", login_required(lambda request: HttpResponse("a user")))]
"""
CAMPAIGN = """
from twofa.flows import campaigns
from twofa.flows.history import Actor
from twofa.models import ActorKind

campaigns.open_campaign(actor=Actor(ActorKind.STAFF, "x"), slug="miles", name="Miles", allowed_channels=["sms"])
"""
# Every address of the project that a person may guess: those without arguments, and of each row in the admin its pages.
CRAWL = """
import json
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import URLResolver, get_resolver
from twofa.models import Challenge

setup_test_environment()


def addresses(resolver, prefix="/"):
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\\\Z")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, route)
        elif not set(route) & set("<([?"):
            yield route


def rows():
    for model, page in admin.site._registry.items():
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            for name in ("change", "history", "delete"):
                yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/{name}/"


def give_password():
    browser = Client()
    answer = browser.post("/accounts/login/", {"username": "boss", "password": "x"})
    assert answer["Location"] == "/accounts/login/token/", answer["Location"]
    return browser


boss = get_user_model().objects.get(username="boss")
password = Client()
password.force_login(boss)
half = give_password()
both = give_password()
token = Challenge.objects.get(pk=both.session["twofa_login"]["challenge"]).derive_token()
signed_in = both.post("/accounts/login/token/", {"token": token})
found = {"paths": sorted({*addresses(get_resolver()), *rows()})}
for name, browser in {"nobody": Client(), "password": password, "half": half, "both": both}.items():
    answers = {path: browser.get(path) for path in found["paths"] if not path.startswith("/api/")}
    found[name] = {path: [answer.status_code, answer.get("Location", "")] for path, answer in answers.items()}
found["after"] = signed_in["Location"]
found["bounced"] = password.get("/admin/?a=b")["Location"]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The project, as far as the page presumes it: with an administrator, and a campaign."""
    host = Host.start(tmp_path_factory.mktemp("login") / "host", DJANGO_SUPERUSER_PASSWORD="x")
    readme, integrate = (blocks_of(page) for page in PREMISES)
    host.write(readme)
    host.write(block for block in integrate if "find_user" in block.code)
    host.manage("makemigrations", "shop")
    host.manage("migrate", "--verbosity", "0")
    host.manage("createsuperuser", "--noinput", "--username", "boss", "--email", "")
    host.manage("shell", stdin=CAMPAIGN)
    return host


@pytest.fixture(scope="module")
def key(host: Host) -> str:
    (block,) = [block for block in blocks_of(PAGE) if block.kind == "manage"]
    return host.manage(*shlex.split(block.code)[2:]).stdout.strip()


@pytest.fixture(scope="module")
def enrolled(host: Host, key: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the calls of the page were answered; then its settings are there."""
    answers = enrol(host, key, tmp_path_factory.mktemp("log") / "server.log")
    host.write(blocks_of(PAGE))
    urls: Path = host.path / "config" / "urls.py"
    urls.write_text(urls.read_text() + URLS)
    return answers


def enrol(host: Host, key: str, log: Path) -> list[dict[str, Any]]:
    """Make the calls of the page to a server of the host's."""
    port = free_port()
    server = host.start_server(port, log)
    try:
        wait_until(lambda: is_open(port), seconds=30, what="the server")
        shell = HostShell(host, port, key)
        return [json.loads(shell.type(block)) for block in blocks_of(PAGE) if block.kind == "host-curl"]
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def crawled(host: Host, enrolled: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.manage("shell", "-c", CRAWL).stdout.splitlines()[-1])
    return found


OPEN = {"/admin/login/", "/admin/logout/", "/admin/jsi18n/"}
"""What the admin shows to anybody: the ways in and out, and words."""


def is_guarded(path: str) -> bool:
    return path.startswith(("/admin/", "/statement/")) and path not in OPEN


def test_administrator_is_enrolled_by_the_page_s_calls(enrolled):
    assert [answer.get("status") for answer in enrolled] == [None, "pending", "active"]
    assert enrolled[0]["external_id"] == "boss"


def test_checks_have_nothing_to_say_of_the_login(host: Host, enrolled):
    assert findings(host.manage("check", "--database", "default")) <= {"twofa.W002", "twofa.W004"}


@pytest.mark.parametrize("session", ["nobody", "password", "half"])
def test_without_the_token_no_guarded_page_opens(crawled, session):
    answers = {path: answer for path, answer in crawled[session].items() if is_guarded(path)}
    rows = [path for path in answers if re.search(r"/\d+/change/$|-[0-9a-f]{12}/change/$", path)]

    assert len(answers) > 60
    assert len(rows) > 5
    assert {path for path, (status, to) in answers.items() if status != 302 or "login/" not in to} == set()


def test_page_that_asks_for_a_user_alone_opens_to_the_password_s_session_as_the_page_says(crawled):
    assert crawled["password"]["/user/"][0] == 200
    assert crawled["half"]["/user/"] == crawled["nobody"]["/user/"] == [302, "/accounts/login/?next=/user/"]


def test_with_the_token_they_open(crawled):
    opened = {path for path, (status, _to) in crawled["both"].items() if status == 200}
    lost = {path for path, (status, to) in crawled["both"].items() if status == 302 and "login/" in to}

    assert {"/admin/", "/admin/twofa/campaign/", "/admin/auth/user/", "/statement/", "/statement/class/"} <= opened
    assert {path for path in lost if is_guarded(path)} == set()


def test_admin_sends_to_the_page_of_the_password_and_back(crawled):
    assert crawled["bounced"].startswith("/admin/login/?next=/admin/")
    assert crawled["password"]["/admin/login/"] == [302, "/accounts/login/"]


def test_who_asked_for_no_page_comes_to_one_that_is_there(crawled):
    assert crawled["after"] == "/statement/"
    assert crawled["both"]["/statement/"][0] == 200


def test_who_lost_their_phone_comes_back_in_as_the_page_says(host: Host, key: str, crawled, tmp_path):
    (block,) = [block for block in blocks_of(PAGE) if block.kind == "shell"]
    host.manage("shell", stdin=block.code)
    answers = enrol(host, key, tmp_path / "server.log")
    found = json.loads(host.manage("shell", "-c", CRAWL).stdout.splitlines()[-1])

    assert [answer.get("status") for answer in answers] == [None, "pending", "active"]
    assert found["both"]["/admin/"][0] == 200
