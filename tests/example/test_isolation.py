from __future__ import annotations

import re
from pathlib import Path

from example_project import gateways
from example_project.breakdowns import FailingChannel
from example_project.loyalty.demo import isolation
from tests.example.blocks import ROOT
from twofa.channels.file import FileChannel

REAL = {
    "TWILIO_ACCOUNT_SID": "AC0123",
    "TWILIO_AUTH_TOKEN": "a token",
    "TWILIO_SMS_FROM": "+15005550006",
    "TWILIO_WHATSAPP_FROM": "+15005550006",
    "SMS_GATEWAY_URL": "https://sms.example.com/",
    "WHATSAPP_GATEWAY_URL": "https://whatsapp.example.com/",
    "EMAIL_URL": "smtp://mail.example.com",
}
HARMLESS = {"PATH": "/bin", "HOME": "/home/ana", "TIME_ZONE": "UTC"}


def test_demo_sends_to_no_provider_that_the_environment_names(tmp_path: Path):
    """Its members have phone numbers that somebody may have."""
    assert any("file" not in entry["BACKEND"] for entry in gateways.configured(REAL, messages=tmp_path).values())

    kept = isolation.without_providers({**REAL, **HARMLESS})

    channels = gateways.configured(kept, messages=tmp_path)
    assert {entry["BACKEND"] for entry in channels.values()} == {
        "twofa.channels.file.FileChannel",
        "example_project.breakdowns.FailingChannel",
    }
    assert issubclass(FailingChannel, FileChannel), "which writes to files as well"
    assert kept == HARMLESS


def test_every_variable_of_a_provider_is_kept_from_the_demo():
    """Whatever provider comes next."""
    text = (ROOT / "example_project" / "gateways.py").read_text()
    named = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', text))

    assert {"TWILIO_ACCOUNT_SID", "EMAIL_URL"} < named
    assert isolation.without_providers(dict.fromkeys(named, "x")) == {}
