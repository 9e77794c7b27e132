"""The how-to on OAuth2: a fresh project with its settings alone gives tokens, and takes them."""

from __future__ import annotations

import http.client
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.example.blocks import Block, blocks_of
from tests.example.hosting import Host, findings
from tests.example.test_protect_the_admin import POINTS, SETTINGS
from tests.servers.process import free_port, wait_until

PAGE = "docs/howto/authenticate-by-oauth2.md"
URLS = """
from django.urls import include, path

urlpatterns += [path("loyalty/2fa/", include("twofa.urls"))]
"""
LOOSE = {"twofa.W002", "twofa.W004", "twofa.W006"}
"""What the fresh project lacks, and this page does not speak of: Celery, a database for production, channels."""


def first(kind: str) -> Block:
    return next(block for block in blocks_of(PAGE) if block.kind == kind)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The project of the page, with its application linked."""
    path: Path = tmp_path_factory.mktemp("oauth2") / "project"
    host = Host.start(path)
    for name, text in (("settings", SETTINGS.replace('"testserver"', '"127.0.0.1"')), ("urls", URLS)):
        file = path / "config" / f"{name}.py"
        file.write_text(f"{file.read_text()}\n{text}")
    (path / "shop" / "points.py").write_text(POINTS)
    host.write(blocks_of(PAGE))
    host.manage("migrate", "--verbosity", "0")
    host.manage("twofa_storefront", "Points shop", "--no-key")
    host.manage(*shlex.split(first("manage").code)[2:])
    host.manage("shell", stdin=first("shell").code)
    return host


@pytest.fixture(scope="module")
def port(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number = free_port()
    server = host.start_server(number, tmp_path_factory.mktemp("log") / "server.log")
    wait_until(lambda: is_up(number), seconds=30, what="the server")
    yield number
    server.terminate()
    server.wait(timeout=20)


def is_up(port: int) -> bool:
    try:
        return get(port, "/loyalty/2fa/schema/")[0] == 200
    except OSError:
        return False


def get(port: int, path: str, token: str = "") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def type_calls(host: Host, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two calls of the page, as they stand there, to this server: the answers of both."""
    base = f"http://127.0.0.1:{port}"
    ask, call = first("calls").code.replace("https://points.example.com", base).splitlines()
    granted = json.loads(host.run("bash", "-euc", ask.replace("curl ", "curl --silent --fail ", 1)).stdout)
    called = f"TOKEN={granted['access_token']}; {call.replace('curl ', 'curl --silent --fail ', 1)}"
    return granted, json.loads(host.run("bash", "-euc", called).stdout)


def test_checks_have_nothing_to_say_of_oauth2(host: Host):
    assert findings(host.manage("check", "--database", "default")) <= LOOSE


def test_calls_of_the_page_are_answered(host: Host, port: int):
    granted, listed = type_calls(host, port)

    assert (granted["token_type"], granted["scope"], granted["expires_in"]) == ("Bearer", "checkout", 3600)
    assert listed["results"] == []


def test_token_opens_its_scope_and_no_other(host: Host, port: int):
    token = type_calls(host, port)[0]["access_token"]

    status, problem = get(port, "/loyalty/2fa/campaigns/summer/participants/u-42/", token)

    assert (status, problem["code"], problem["scope"]) == (403, "permission_denied", "onboarding")
    assert get(port, "/loyalty/2fa/campaigns/", f"{token}x")[0] == 401


def test_database_keeps_no_token(host: Host, port: int):
    token = type_calls(host, port)[0]["access_token"]
    asked = "from oauth2_provider.models import AccessToken; print(set(AccessToken.objects.values_list('token')))"

    shown = host.manage("shell", "-c", asked).stdout

    assert re.search(r"\{\('',\)\}", shown), shown
    assert token not in shown


def test_what_the_page_does_not_mount_is_not_there(host: Host, port: int):
    for path in ("/o/authorize/", "/o/applications/", "/o/applications/register/"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path)
        assert connection.getresponse().status == 404
        connection.close()
