"""compose.yaml, Dockerfile and .env.example, read as Docker reads them: no engine runs in this suite."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from example_project import environment, probe
from tests.example.blocks import ROOT
from tests.example.processes import PROCFILE

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("web", "worker", "beat", "migrate")


def test_every_process_is_there():
    assert set(SERVICES) == {*OURS, "database", "broker"}
    assert set(PROCFILE) == {"release", "web", "worker", "beat"}


@pytest.mark.parametrize("name", OURS)
def test_our_processes_run_without_rights_and_wait_for_what_they_need(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["depends_on"]["database"] == {"condition": "service_healthy"}
    if name != "migrate":
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert set(service["depends_on"]) == {"database", "broker", "migrate"}
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted({"web", "worker", "database", "broker"}))
def test_service_tells_its_health(name: str):
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert check["interval"]
    assert check["timeout"]


def test_database_and_broker_are_reached_from_within_alone():
    for name in ("database", "broker"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_no_secret_is_in_any_file():
    for name in ("compose.yaml", "Dockerfile", "Procfile", ".env.example"):
        text = (ROOT / name).read_text()
        assert not re.search(r"(PASSWORD|SECRET_KEY|TOKEN_KEY)[ ]*[:=][ ]*[\w-]{16,}", text), name
        assert not re.search(r"[A-Za-z0-9+/_-]{40,}", text.replace("-" * 40, "")), name
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().startswith("*\n"), "what is not named stays out of the image"


def test_commands_of_compose_are_those_of_the_procfile():
    for name in ("worker", "beat"):
        command = SERVICES[name]["command"][-1].removeprefix("exec ").replace("$$", "$")
        assert command == PROCFILE[name].replace("${TMPDIR:-/tmp}", "/tmp").strip()  # noqa: S108 - of the container


def test_image_is_two_steps_small_and_of_no_privilege():
    text = (ROOT / "Dockerfile").read_text()

    assert text.count("\nFROM ") == 2
    assert "\nUSER app\n" in text
    assert 'CMD ["gunicorn", "example_project.wsgi"]' in text
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert all((ROOT / word).exists() for word in copied)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied <= allowed


# --- .env ------------------------------------------------------------------------------------------------------------


def make(target: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "scripts" / "dotenv"), str(target)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def variables(path: Path) -> dict[str, str]:
    rows = [row for row in path.read_text().splitlines() if row and not row.startswith("#")]
    return dict(row.split("=", 1) for row in rows)


def test_variables_of_the_env_file_are_explained_on_the_page():
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    page = (ROOT / "docs/howto/run-the-example.md").read_text()

    assert {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SMS_FROM", "TWILIO_STATUS_CALLBACK"} <= named
    # Only the container of the database reads it.
    assert {name for name in named if f"`{name}`" not in page} == {"POSTGRES_PASSWORD"}


def test_env_file_is_made_with_fresh_keys_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = (tmp_path / name for name in ("first", "second"))
    for target in (first, second):
        assert make(target).returncode == 0

    made, other = variables(first), variables(second)

    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert made.keys() == variables(ROOT / ".env.example").keys()
    for name in ("SECRET_KEY", "TWOFA_TOKEN_KEY", "TWOFA_DOCUMENT_KEY", "POSTGRES_PASSWORD"):
        assert len(made[name]) >= 32
        assert made[name] != other[name]
    assert made["TWOFA_DOCUMENT_KEY"] != made["TWOFA_TOKEN_KEY"]
    monkeypatch.setenv("TWOFA_TOKEN_KEY", made["TWOFA_TOKEN_KEY"])
    ((kid, _key),) = environment.key_ring("TWOFA_TOKEN_KEY", debug=False, directory=tmp_path).items()
    assert re.fullmatch(r"20\d\d-\d\d", kid)


def test_env_file_that_is_there_is_never_touched(tmp_path: Path):
    target = tmp_path / ".env"
    target.write_text("TWOFA_TOKEN_KEY=mine\n")

    done = make(target)

    assert done.returncode == 1
    assert target.read_text() == "TWOFA_TOKEN_KEY=mine\n"


# --- the probe -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "asked"),
    [("points.example.com,x", "points.example.com"), (".example.com", "example.com"), ("*", "localhost")],
)
def test_probe_asks_by_a_name_of_the_server(hosts: str, asked: str, httpserver: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLOWED_HOSTS", hosts)
    monkeypatch.setenv("PORT", str(httpserver.port))
    httpserver.expect_request("/health/live/", headers={"Host": asked}).respond_with_json({})

    assert probe.answers()


def test_probe_of_nobody_says_no(free_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", str(free_port))

    assert not probe.answers()
