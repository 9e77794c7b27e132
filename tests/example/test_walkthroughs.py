"""The curl stories of README and tutorial, typed into a shell against `make serve`."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django_otp.oath import hotp

from example_project.phone import read_messages
from tests.example.blocks import ROOT, Block, blocks_of
from tests.example.serving import Served, environment, manage, serve


class Typist:
    """A person with a terminal: keeps what was exported, and reads ids off the answers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answer: dict[str, Any] = {}
        self.transcript: list[str] = []

    def type(self, block: Block) -> str:
        """Type a block; return what was printed."""
        calls = []
        for line in block.code.splitlines():
            if line.startswith("export "):
                self.lines.append(self.fill(line))
            elif re.match(r"\w+\(\)", line):
                self.lines.append(line)
            else:
                calls.append(line)
        script = "\n".join([*self.lines, *calls])
        done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        self.answer = json.loads(done.stdout.rpartition("\n\n")[2])  # after the headers, where they are shown
        self.transcript.append(done.stdout)
        return done.stdout

    def fill(self, line: str) -> str:
        name = line.removeprefix("export ").partition("=")[0]
        values = {"DEVICE": lambda: self.answer["id"], "REDEMPTION": lambda: self.answer["id"], **self.values()}
        assert name in values, f"the reader cannot know {name}"
        return f"export {name}={values[name]()}"

    def values(self) -> dict[str, Callable[[], str]]:
        """Return what this person reads elsewhere, by its variable."""
        raise NotImplementedError


class Shell(Typist):
    """With `make serve`, which printed the address and the key, and has a page with the phone's messages."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served

    def values(self) -> dict[str, Callable[[], str]]:
        return {
            "API": lambda: f"{self.served.base}/api/v1",
            "KEY": lambda: self.served.key,
            "TOKEN": lambda: read_messages(self.served.var / "messages")[0].token,
        }


@pytest.mark.parametrize(
    ("page", "orders"),
    [("README.md", {"A-1": "completed"}), ("docs/tutorial/first-redemption.md", {"T-1": "completed"})],
)
def test_curl_story_works_as_written(tmp_path: Path, page: str, orders: dict[str, str]):
    served = serve(tmp_path)
    shell = Shell(served)
    try:
        for block in blocks_of(page):
            if block.kind != "curl":
                continue
            printed = shell.type(block)
            if shell.answer.get("code") == "resend_cooldown":
                time.sleep(shell.answer["retry_after"])
                printed = shell.type(block)
            for expected in (word.removeprefix("expect=") for word in block.words[1:]):
                assert f'"{expected}"' in printed
    finally:
        assert served.stop() == 0, served.output
    answers = [json.loads(answer) for answer in shell.transcript]
    ended = {answer["order_id"]: answer["status"] for answer in answers if "order_id" in answer}
    assert orders.items() <= ended.items()


def test_printed_curl_lines_work_as_printed(served: Served):
    shell = [line for line in served.output.splitlines() if line.startswith(("  export", "  curl"))]
    export, register = shell[0], shell[1]

    done = subprocess.run(["bash", "-euc", f"{export}\n{register}"], capture_output=True, text=True, check=False)

    assert json.loads(done.stdout)["destination"] == "+55 •• •••••-••34"


def test_every_printed_page_is_there(served: Served):
    for label in ("Shop", "API docs", "Phone", "Admin"):
        address = served.find(rf"{label}\s+(http\S+)")
        assert "<html" in read(address)


def test_home_leads_everywhere(served: Served):
    page = read(f"{served.base}/")

    links = set(re.findall(r'href="(/[^"]*)"', page))

    assert {"/phone/", "/admin/", "/api/v1/docs/"} <= links
    for link in links:
        assert read(served.base + link)


@pytest.mark.parametrize(
    ("language", "title"), [("pt-BR", "Coisas que valem seus pontos"), ("es", "Cosas que valen sus puntos")]
)
def test_pages_follow_the_browsers_language(language: str, title: str, served: Served):
    page = read(f"{served.base}/", language=language)

    assert title in page
    assert f'<html lang="{language.lower()}">' in page.lower()


def test_phone_shows_messages_escaped_and_newest_first(served: Served):
    folder = served.var / "messages" / "sms"
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(("older", "<script>newer</script>")):
        content = {"recipient": "+5511999990034", "subject": "", "token": "", "text": text}
        stamped = {**content, "created_at": "2026-01-01T00:00:00+00:00"}
        (folder / f"90000101T00000000000{number}-x.json").write_text(json.dumps(stamped))

    page = read(f"{served.base}/phone/")

    assert "<script>newer" not in page
    assert page.index("&lt;script&gt;newer") < page.index("older")


def test_printed_login_opens_the_admin_with_the_code_and_not_without(served: Served):
    username, password = served.find(r"Admin login\s+(\S+ / \S+)").split(" / ")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    login = f"{served.base}/admin/login/?next=/admin/"
    form = opener.open(login, timeout=10).read().decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert found

    fields = {"csrfmiddlewaretoken": found[1], "username": username, "password": password, "next": "/admin/"}
    with opener.open(login, urlencode(fields).encode(), timeout=10) as answer:
        assert answer.url == login
    told = manage("demo", "--code", var=served.var)
    fields["code"] = told.stdout.splitlines()[-1]
    with opener.open(login, urlencode(fields).encode(), timeout=10) as answer:
        page = answer.read().decode()

    assert answer.url == f"{served.base}/admin/"
    for model in ("campaign", "storefront", "redemption"):
        assert f"/admin/twofa/{model}/" in page
    for model in ("account", "transfer"):
        assert f"/admin/loyalty/{model}/" in page
        with opener.open(f"{served.base}/admin/loyalty/{model}/", timeout=10) as answer:
            listed = answer.read().decode()
        assert "Ana" in listed or "ana" in listed
        assert f"/admin/loyalty/{model}/add/" not in listed


def test_printed_address_is_that_of_the_authenticator(served: Served):
    secret = served.find(r"otpauth://totp/Points%3Aadmin\?secret=([A-Z2-7]{32})&")

    told = manage("demo", "--code", var=served.var).stdout.splitlines()[-1]

    key, now = base64.b32decode(secret), int(time.time()) // 30
    assert told in {f"{hotp(key, now + offset):06d}" for offset in range(-1, 3)}


def test_command_of_the_page_works_on_the_data_of_make_serve(served: Served):
    (block,) = [block for block in blocks_of("docs/howto/run-the-example.md") if block.kind == "serve-data"]
    line = block.code.replace("sqlite:///var/", f"sqlite:///{served.var}/").replace(".venv/bin/python", sys.executable)

    done = subprocess.run(
        ["bash", "-euc", line],
        cwd=ROOT,
        env=environment(served.var),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Every group has exactly its permissions." in done.stdout, "the demo has made them"


def test_reviewer_s_code_is_told_and_nobody_s_is_not(served: Served):
    assert re.search(r"Reviewer's login\s+rita / \S{12,}", served.output)

    told, refused = (manage("demo", "--code", name, var=served.var) for name in ("rita", "ana"))

    assert re.fullmatch(r"\d{6}", told.stdout.splitlines()[-1])
    assert refused.returncode == 1
    assert "Nobody of the staff is called ana." in refused.stderr


def test_code_is_asked_for_before_anything_was_served(tmp_path: Path):
    done = manage("demo", "--code", var=tmp_path)

    assert done.returncode == 1
    assert "make serve" in done.stderr


def test_data_and_key_are_kept_for_the_next_server_unless_it_is_told_otherwise(tmp_path: Path):
    first = serve(tmp_path)
    taken = first.base.rpartition(":")[2]
    second = serve(tmp_path, "--port", taken)
    answers = [read(f"{server.base}/api/v1/campaigns/", key=second.key) for server in (first, second)]
    assert [server.stop() for server in (first, second)] == [0, 0]
    fresh = serve(tmp_path, "--port", "0", "--fresh")
    assert fresh.stop() == 0

    assert f"Port {taken} is taken" in second.output
    assert first.base != second.base
    assert answers[0] == answers[1]
    assert first.key == second.key != fresh.key


def read(address: str, *, key: str = "", language: str = "en") -> str:
    """Fetch a page that must be there."""
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - of ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - (the same)
        assert answer.status == 200
        return answer.read().decode()
