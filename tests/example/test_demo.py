from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.loyalty.demo import evidence, seed, serve, specimens
from example_project.loyalty.demo.client import Client
from example_project.loyalty.demo.failure import DemoFailed, expect
from example_project.loyalty.demo.story import wrong
from example_project.loyalty.demo.terminal import Terminal, pick
from tests.example.serving import ROOT, environment, manage
from twofa.models import Event


def test_whole_story_is_told_and_leaves_nothing_behind(tmp_path: Path):
    scratch = tmp_path / "odd #name%20?"
    scratch.mkdir()

    done = manage("demo", var=tmp_path / "var", TMPDIR=str(scratch))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All as it should be" in done.stdout
    assert "[demo-review]" not in done.stderr
    assert "+55 •• •••••-••34" in done.stdout
    for code in (
        "token_invalid",
        "resend_cooldown",
        "token_superseded",
        "attempts_exhausted",
        "challenge_closed",
        "onboarding_incomplete",
        "approver_not_entitled",
    ):
        assert f'"{code}"' in done.stdout
    assert '"attempts_remaining": 4' in done.stdout
    assert "Of them pictures that anything can open without the key: 0" in done.stdout
    assert "Looks at her pictures, each an event with a name: rita, rita, rita" in done.stdout
    assert "Lines, each with its own outcome: completed, completed, completed" in done.stdout
    for state in ("scheduled", "cancelled"):
        assert f'"status": "{state}"' in done.stdout
    assert '"reason": "provider_unavailable"' in done.stdout
    assert "Nina's phone, WHATSAPP" in done.stdout
    assert "Cases for staff: 1" in done.stdout
    assert re.search(r"Webhooks verified: [1-9]\d", done.stdout)
    assert "Refused: 1" in done.stdout
    stories = re.findall(r"^━━ (\w+(?: Tech)?):", done.stdout, re.MULTILINE)
    assert stories == ["CloudLoyalty", "QI Tech", "Freshcom", "Cerberus"]
    assert "X-Two-Factor: required; method=sms" in done.stdout
    assert "Recovery codes, shown once: 10" in done.stdout
    assert "twofa_at_" not in done.stdout
    assert "/sign-up/, /sign-in/, /safety/   Bia's story" in done.stdout
    assert "\x1b" not in done.stdout, "no colours in a pipe"
    assert list(scratch.iterdir()) == []


def test_terminated_demo_ends_its_server_and_cleans_up(tmp_path: Path):
    started = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "demo"],
        env={**environment(tmp_path / "var"), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with started as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("1. "))
        process.send_signal(signal.SIGTERM)
        process.stdout.read()

        assert process.wait(timeout=30) != 0
    assert list(tmp_path.glob("twofa-demo-*")) == []


def test_difference_stops_the_demo():
    with pytest.raises(DemoFailed, match=r"the balance: expected 1, got 2"):
        expect(2, 1, "the balance")


def test_server_that_does_not_answer_stops_the_demo(free_port: int):
    began = time.monotonic()

    with pytest.raises(DemoFailed, match="no answer"):
        Client(free_port, "key", Terminal(io.StringIO())).call("GET", "/campaigns/", expect=200)

    assert time.monotonic() - began < 5


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Tty(), {"TERM": "xterm"}, True),
        (Tty(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, stream, environ, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    Terminal(stream).chapter(1, "Title")

    assert ("\x1b[" in stream.getvalue()) is coloured


def test_pick_keeps_the_asked_members_in_their_order():
    body = {"id": 1, "status": "x", "two_factor": {"reason": "y", "challenge": {"id": 2, "channel": "sms"}}}

    picked = pick(body, ("status", "two_factor.challenge.channel", "id"))

    assert list(picked.items()) == [("status", "x"), ("two_factor", {"challenge": {"channel": "sms"}}), ("id", 1)]


def test_picture_that_lies_open_stops_the_demo(tmp_path: Path):
    (tmp_path / "sealed").write_bytes(b"\x01" * 200)
    assert evidence.pictures_at_rest(tmp_path) == (1, 0)
    for number, data in enumerate((specimens.selfie(), specimens.licence_file("Ana", "1"))):
        (tmp_path / str(number)).write_bytes(data)
        with pytest.raises(DemoFailed, match="lie open"):
            evidence.pictures_at_rest(tmp_path)
        (tmp_path / str(number)).unlink()


@pytest.mark.django_db
def test_look_by_somebody_else_stops_the_demo():
    event = {"type": "document.viewed", "correlation_id": "x", "created_at": timezone.now()}
    Event.objects.create(actor="rita", **event)
    assert evidence.looks("rita") == ["rita"]
    Event.objects.create(actor="admin", **event)

    with pytest.raises(DemoFailed, match="who looked"):
        evidence.looks("rita")


@pytest.mark.parametrize("token", ["7K2M9Q", "7K2M90", "123456"])
def test_wrong_tokens_differ_from_the_right_one_and_from_each_other(token):
    others = [wrong(token, variant) for variant in range(1, 6)]

    assert len({token, *others}) == 6
    assert {len(other) for other in others} == {len(token)}


@pytest.mark.django_db
@pytest.mark.parametrize("is_terminal", [True, False])
def test_greeting_speaks_of_a_picture_only_where_it_draws_one(is_terminal: bool, boss: User, monkeypatch):
    User.objects.update(username=seed.STAFF)
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal)

    serve._show_authenticator(Terminal(screen))

    said = screen.getvalue()
    assert ("▀" in said) == ("scan this" in said) == is_terminal
    assert said.rstrip().splitlines()[-1].strip() == TOTPDevice.objects.get().config_url, "last, as the text says"
