from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]  # it has no types

from example_project import documents, environment, gateways
from example_project.loyalty.demo import isolation
from tests.example.serving import ROOT, manage
from tests.example.serving import environment as developer_environment
from twofa.channels.twilio import TwilioChannel

KEY = base64.b64encode(secrets.token_bytes(48)).decode()
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "a-long-secret-of-this-test-" + "9f3kq81z" * 6,
    "ALLOWED_HOSTS": "points.example.com",
    "DATABASE_URL": "postgresql://points@127.0.0.1/points",
    "CELERY_BROKER_URL": "redis://127.0.0.1:6379/0",
    "TWOFA_TOKEN_KEY": KEY,
    "EMAIL_URL": "smtp://points:s%40fe@mail.example.com:587/?tls=1",
    "DEFAULT_FROM_EMAIL": "points@shop.example",
    "SMS_GATEWAY_URL": "https://sms.example.com/messages",
}


def test_nothing_set_is_a_development_machine_without_findings(tmp_path: Path):
    done = manage("check", var=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_secret_of_development_is_made_once_and_kept_for_its_owner(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("SECRET_KEY", raising=False)

    first, second = (environment.secret("SECRET_KEY", debug=True, directory=tmp_path) for _twice in range(2))
    other = environment.secret("OTHER_KEY", debug=True, directory=tmp_path)

    assert len(base64.b64decode(first)) == 48
    assert first == second != other
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_given_secret_is_not_written_down(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("SECRET_KEY", "given")

    assert environment.secret("SECRET_KEY", debug=True, directory=tmp_path) == "given"
    assert list(tmp_path.iterdir()) == []


def test_production_with_everything_given_has_no_findings(tmp_path: Path):
    done = manage("check", "--deploy", "--fail-level", "ERROR", var=tmp_path, **PRODUCTION)

    assert done.returncode == 0, done.stderr
    assert "twofa." not in done.stderr
    assert list(tmp_path.iterdir()) == [], "no secret is made for production"


@pytest.mark.parametrize(
    "name",
    ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "CELERY_BROKER_URL", "TWOFA_TOKEN_KEY", "DEFAULT_FROM_EMAIL"],
)
def test_production_without_a_setting_names_it(tmp_path: Path, name: str):
    given = {key: value for key, value in PRODUCTION.items() if key != name}

    done = load_settings(tmp_path, given)

    assert done.returncode != 0
    assert f"Set {name} in the environment" in done.stderr


def test_production_without_anything_names_all_of_it_in_one_line(tmp_path: Path):
    done = manage("check", var=tmp_path, DEBUG="0", EMAIL_URL=PRODUCTION["EMAIL_URL"])

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "Set SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL, CELERY_BROKER_URL, TWOFA_TOKEN_KEY, DEFAULT_FROM_EMAIL in the "
    )


def test_production_that_sends_no_mail_needs_no_sender(tmp_path: Path):
    given = {key: value for key, value in PRODUCTION.items() if key not in ("EMAIL_URL", "DEFAULT_FROM_EMAIL")}

    assert load_settings(tmp_path, given).returncode == 0


def load_settings(var: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Import the settings, and nothing else of Django."""
    return subprocess.run(
        [sys.executable, "-c", "import example_project.settings"],
        cwd=ROOT,
        env={**developer_environment(var), **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_flag_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("DEBUG", "maybe")

    with pytest.raises(ImproperlyConfigured, match="DEBUG is 1 or 0"):
        environment.flag("DEBUG", default=True)


def test_key_ring_has_one_key_or_named_ones(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("RING", KEY)
    assert environment.key_ring("RING", debug=False, directory=tmp_path) == {"k1": KEY}

    monkeypatch.setenv("RING", f"2026-02:{KEY}, 2026-01:b2xk")
    assert list(environment.key_ring("RING", debug=False, directory=tmp_path)) == ["2026-02", "2026-01"]


def test_mail_url_becomes_djangos_settings():
    settings = environment.email(PRODUCTION["EMAIL_URL"])

    assert settings["EMAIL_HOST"] == "mail.example.com"
    assert settings["EMAIL_PORT"] == 587
    assert settings["EMAIL_HOST_USER"] == "points"
    assert settings["EMAIL_HOST_PASSWORD"] == "s@fe"
    assert settings["EMAIL_USE_TLS"] is True
    assert settings["EMAIL_USE_SSL"] is False


def test_mail_url_of_another_scheme_is_refused():
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL looks like"):
        environment.email("https://mail.example.com")


def test_channels_of_development_write_files(tmp_path: Path):
    channels = gateways.configured({}, messages=tmp_path)

    assert {alias: entry["OPTIONS"]["directory"].name for alias, entry in channels.items()} == {
        "sms": "sms",
        "whatsapp": "whatsapp",
        "email": "email",
    }


def test_outside_of_development_only_named_gateways_are_there():
    assert gateways.configured({}, messages=None) == {}

    environ = {
        "SMS_GATEWAY_URL": "https://sms.example.com/messages",
        "SMS_GATEWAY_HEADERS": json.dumps({"Authorization": "Bearer x"}),
        "SMS_GATEWAY_BODY": json.dumps({"number": "{recipient_digits}", "message": "{text}"}),
        "SMS_GATEWAY_ID_PATH": "id",
    }
    channels = gateways.configured(environ, messages=None)

    assert set(channels) == {"sms"}
    assert channels["sms"]["OPTIONS"]["body"] == {"number": "{recipient_digits}", "message": "{text}"}
    assert channels["sms"]["OPTIONS"]["headers"] == {"Authorization": "Bearer x"}


@pytest.mark.parametrize("value", ["{", "[]", "1"])
def test_gateway_body_that_is_no_object_is_refused(value):
    environ = {"SMS_GATEWAY_URL": "https://sms.example.com/", "SMS_GATEWAY_BODY": value}

    with pytest.raises(ImproperlyConfigured, match="SMS_GATEWAY_BODY"):
        gateways.configured(environ, messages=None)


def test_every_variable_that_is_read_is_in_the_docs():
    page = (ROOT / "docs" / "howto" / "run-the-example.md").read_text()
    source = (ROOT / "example_project" / "settings.py").read_text()

    read = set(re.findall(r'(?:environ(?:\.get\(|\[)|environment\.\w+\()"([A-Z_]+)"', source))

    assert {"DEBUG", "DATABASE_URL", "EMAIL_URL"} <= read
    assert read <= set(re.findall(r"`([A-Z_]+)`", page))


TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
    "TWILIO_AUTH_TOKEN": "auth-token",
    "TWILIO_SMS_FROM": "+15005550006",
    "TWILIO_STATUS_CALLBACK": "https://points.example.com/api/v1/receipts",
}


def test_twilio_serves_the_channels_that_have_a_sender():
    channels = gateways.configured(TWILIO, messages=None)
    assert set(channels) == {"sms"}
    built = TwilioChannel(**channels["sms"]["OPTIONS"])
    assert built.callback_url == "https://points.example.com/api/v1/receipts/sms/"

    more = {
        "TWILIO_WHATSAPP_FROM": "+15005550006",
        "TWILIO_WHATSAPP_CONTENT_SIDS": '{"*": "HX1"}',
        "TWILIO_NEXT_AUTH_TOKEN": "next-token",
        "TWILIO_BASE_URL": "http://127.0.0.1:9",
    }
    channels = gateways.configured({**TWILIO, **more}, messages=None)
    assert set(channels) == {"sms", "whatsapp"}
    built = TwilioChannel(**channels["whatsapp"]["OPTIONS"])
    assert built.callback_url == "https://points.example.com/api/v1/receipts/whatsapp/"


def test_gateway_that_is_named_comes_before_twilio():
    channels = gateways.configured({**TWILIO, "SMS_GATEWAY_URL": "https://sms.example.com/"}, messages=None)

    assert channels["sms"]["BACKEND"] == "twofa.channels.http.HttpChannel"


def test_production_with_twilio_has_no_findings(tmp_path: Path):
    done = manage("check", "--deploy", "--fail-level", "ERROR", var=tmp_path, **PRODUCTION, **TWILIO)

    assert done.returncode == 0, done.stderr
    assert "twofa." not in done.stderr


def test_every_variable_of_the_channels_is_in_the_docs():
    page = (ROOT / "docs" / "howto" / "run-the-example.md").read_text()
    source = (ROOT / "example_project" / "gateways.py").read_text()

    read = set(re.findall(r'"(TWILIO_[A-Z_]+)"', source))

    assert len(read) == 11
    assert read <= set(re.findall(r"`([A-Z_]+)`", page))


# --- documents -------------------------------------------------------------------------------------------------------


def test_documents_lie_in_a_private_folder_until_a_bucket_is_named(tmp_path: Path):
    assert documents.storage({}, folder=tmp_path)["OPTIONS"] == {"location": str(tmp_path)}
    assert documents.storage({"DOCUMENTS_FOLDER": "/documents"}, folder=tmp_path)["OPTIONS"] == {
        "location": "/documents"
    }

    bucket = {"DOCUMENTS_BUCKET": "papers", "DOCUMENTS_REGION": "sa-east-1", "DOCUMENTS_ENDPOINT": "http://127.0.0.1:9"}
    options = documents.storage(bucket, folder=tmp_path)["OPTIONS"]
    built = S3Storage(**options)

    assert (built.bucket_name, built.region_name, built.endpoint_url) == ("papers", "sa-east-1", "http://127.0.0.1:9")
    assert built.default_acl is None
    assert built.custom_domain is None
    assert built.querystring_auth is True
    assert built.object_parameters == {"ServerSideEncryption": "AES256"}


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("tcp://clamav:3311", {"host": "clamav", "port": 3311}),
        ("tcp://clamav", {"host": "clamav", "port": 3310}),
        ("unix:///run/clamav/clamd.ctl", {"socket": "/run/clamav/clamd.ctl"}),
    ],
)
def test_scanner_is_named_by_its_address(address: str, options: dict[str, Any]):
    assert documents.scanner({}) is None
    assert documents.scanner({"CLAMAV_URL": address})["OPTIONS"] == options


@pytest.mark.parametrize("address", ["clamav:3310", "http://clamav", "tcp://", "unix://"])
def test_address_of_no_scanner_is_refused(address: str):
    with pytest.raises(ImproperlyConfigured, match="CLAMAV_URL looks like"):
        documents.scanner({"CLAMAV_URL": address})


def test_documents_and_tokens_have_different_keys_in_development(tmp_path: Path):
    assert load_settings(tmp_path, {}).returncode == 0

    assert (tmp_path / "twofa_document_key.txt").read_text() != (tmp_path / "twofa_token_key.txt").read_text()


def test_every_variable_of_the_documents_is_in_the_docs():
    page = (ROOT / "docs" / "howto" / "run-the-example.md").read_text()
    read = set(re.findall(r'"((?:DOCUMENTS|CLAMAV)_[A-Z_]+)"', (ROOT / "example_project" / "documents.py").read_text()))

    assert len(read) == 5
    assert read <= set(re.findall(r"`([A-Z_]+)`", page))
    assert isolation.without_providers(dict.fromkeys(read, "x")) == {}, "the demo's documents stay with the demo"
