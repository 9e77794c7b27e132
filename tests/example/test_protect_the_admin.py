"""The how-to on the admin: its blocks make a project whose admin opens to nobody with a password alone."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.example.blocks import blocks_of
from tests.example.hosting import Host

PAGE = "docs/howto/protect-the-admin.md"
SETTINGS = """
import os

INSTALLED_APPS += ["django_otp", "rest_framework", "twofa", "shop"]
ALLOWED_HOSTS = ["testserver"]
TWOFA_TOKEN_KEYS = {"k": os.environ["TWOFA_TOKEN_KEY"]}
TWOFA_FULFILLMENT_BACKEND = "shop.points.Points"
"""
POINTS = """
from twofa.fulfillment import FulfillmentBackend


class Points(FulfillmentBackend):
    def reserve(self, redemption): ...
    def complete(self, redemption): ...
    def release(self, redemption): ...
"""
VISIT = """
import json
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice
boss = User.objects.create_superuser("visitor", password="x")
device = TOTPDevice.objects.create(user=boss, name="phone", confirmed=True)
pending = TOTPDevice.objects.create(user=boss, name="new", confirmed=False)
found = {"models": sorted(model._meta.label for model in admin.site._registry), "site": type(admin.site).__name__}
for name, used in {"password": None, "pending": pending, "both": device}.items():
    client = Client()
    client.force_login(boss)
    if used:
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = used.persistent_id
        session.save()
    found[name] = [client.get(page).status_code for page in ("/admin/", "/admin/twofa/campaign/")]
found["totp"] = client.get("/admin/otp_totp/totpdevice/").status_code
client = Client()
client.post("/admin/login/", {"username": "visitor", "password": "x"})
found["login"] = client.get("/admin/").status_code
print(json.dumps(found))
"""
# What the administrator does in a browser, with the address that the page's command printed typed into an app.
SIGN_IN = """
import base64, json, re
from urllib.parse import parse_qs, urlsplit
from django.test import Client
from django_otp.oath import TOTP

client = Client()
fields = {"username": "boss", "password": "x"}
page = client.post("/admin/login/?next=/admin/", fields).content.decode()
found = {"asks": "Please enter your OTP token" in page, "without": client.get("/admin/").status_code}
(device,) = re.findall(r'<option value="(otp_totp[^"]+)"[^>]*>authenticator<', page)
secret = base64.b32decode(parse_qs(urlsplit(ADDRESS).query)["secret"][0])
code = f"{TOTP(secret).token():06d}"
client.post("/admin/login/?next=/admin/", {**fields, "otp_device": device, "otp_token": code})
found["with"] = client.get("/admin/twofa/campaign/").status_code
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The project of the page, migrated as it says, with its first administrator."""
    path: Path = tmp_path_factory.mktemp("host") / "project"
    host = Host.start(path)
    settings = path / "config" / "settings.py"
    settings.write_text(f"{settings.read_text()}\n{SETTINGS}")
    (path / "shop" / "points.py").write_text(POINTS)
    host.write(blocks_of(PAGE))
    host.more["DJANGO_SUPERUSER_PASSWORD"] = "x"
    host.manage("migrate", "--verbosity", "0")
    host.manage("createsuperuser", "--noinput", "--username", "boss", "--email", "")
    return host


@pytest.fixture(scope="module")
def visited(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.manage("shell", "-c", VISIT).stdout.splitlines()[-1])
    return found


def type_the_command(host: Host) -> str:
    """Run the page's command, and return the address that it printed."""
    (block,) = [block for block in blocks_of(PAGE) if block.kind == "sh"]
    done = host.run("bash", "-euc", f'python() {{ "{sys.executable}" "$@"; }}\n{block.code}')
    return done.stdout.splitlines()[-1]


def sign_in(host: Host, address: str) -> dict[str, int]:
    done = host.manage("shell", "-c", SIGN_IN.replace("ADDRESS", repr(address)))
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_first_administrator_signs_in_with_a_code_of_the_printed_address(host: Host):
    address = type_the_command(host)

    assert re.fullmatch(r"otpauth://totp/Points%3Aboss\?secret=[A-Z2-7]{32}&.+", address)
    assert sign_in(host, address) == {"asks": True, "without": 302, "with": 200}


def test_same_command_takes_the_place_of_a_lost_phone(host: Host):
    lost = type_the_command(host)
    found = type_the_command(host)

    assert sign_in(host, found) == {"asks": True, "without": 302, "with": 200}
    assert sign_in(host, lost) == {"asks": True, "without": 302, "with": 302}


def test_password_alone_opens_nothing(visited):
    assert visited["password"] == [302, 302]
    assert visited["pending"] == [302, 302]
    assert visited["login"] == 302


def test_both_factors_open_every_app_s_pages(visited):
    assert visited["both"] == [200, 200]
    assert {"twofa.Campaign", "auth.User"} <= set(visited["models"])


def test_no_page_shows_a_secret(visited):
    assert "otp_totp.TOTPDevice" not in visited["models"]
    assert visited["totp"] == 404
