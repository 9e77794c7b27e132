"""The how-to on the admin: its blocks make a project whose admin opens to nobody with a password alone."""

from __future__ import annotations

import json
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
boss = User.objects.create_superuser("boss", password="x")
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
client.post("/admin/login/", {"username": "boss", "password": "x"})
found["login"] = client.get("/admin/").status_code
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path: Path = tmp_path_factory.mktemp("host") / "project"
    host = Host.start(path)
    settings = path / "config" / "settings.py"
    settings.write_text(f"{settings.read_text()}\n{SETTINGS}")
    (path / "shop" / "points.py").write_text(POINTS)
    host.write(blocks_of(PAGE))
    host.manage("migrate", "--verbosity", "0")
    found: dict[str, Any] = json.loads(host.manage("shell", "-c", VISIT).stdout.splitlines()[-1])
    return found


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
