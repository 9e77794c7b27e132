"""What the checks say of providers: their time, their callbacks, and those of a chain."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.test_checks import GOOD, MEMORY, found
from twofa import checks

SID = "AC0123456789abcdef0123456789ABCDEF"


def gateway(**options: object) -> dict[str, object]:
    url = {"url": "https://sms.example.org/", "body": {}}
    return {"BACKEND": "twofa.channels.http.HttpChannel", "OPTIONS": {**url, **options}}


def twilio(callback: str, **options: object) -> dict[str, object]:
    account = {"account_sid": SID, "auth_token": "auth-token", "from_": "+15005550006"}
    return {
        "BACKEND": "twofa.channels.twilio.TwilioChannel",
        "OPTIONS": {**account, "status_callback": callback, **options},
    }


def chained(*providers: dict[str, object]) -> dict[str, object]:
    named = dict(zip("abc", providers, strict=False))
    return {"sms": {"BACKEND": "twofa.channels.chain.ChainChannel", "OPTIONS": {"providers": named}}}


BAD_PROVIDERS = {
    "E022-provider": ("twofa.E022", {"TWOFA_CHANNELS": chained({"BACKEND": "no.such.Channel"})}),
    "E024-provider": ("twofa.E024", {"TWOFA_CHANNELS": chained(gateway(), MEMORY)}),
    "W011": ("twofa.W011", {"TWOFA_CHANNELS": {"sms": gateway(total_timeout=30)}}),
    "W011-provider": ("twofa.W011", {"TWOFA_CHANNELS": chained(gateway(total_timeout=31))}),
    "W012": ("twofa.W012", {"TWOFA_CHANNELS": chained(*[gateway()] * 3)}),
    "W013-other-channel": (
        "twofa.W013",
        {"TWOFA_CHANNELS": {"sms": twilio("https://x.example.org/receipts/whatsapp/")}},
    ),
    "W013-other-path": ("twofa.W013", {"TWOFA_CHANNELS": {"sms": twilio("https://x.example.org/sms/")}}),
    "W013-clear": ("twofa.W013", {"TWOFA_CHANNELS": {"sms": twilio("http://x.example.org/receipts/sms/")}}),
    "W014": ("twofa.W014", {"TWOFA_CHANNELS": {"sms": gateway(url="http://sms.example.org/?key=provider-key")}}),
    "W014-network": ("twofa.W014", {"TWOFA_CHANNELS": {"sms": gateway(url="http://10.0.0.7:8080/")}}),
    "W014-twilio": ("twofa.W014", {"TWOFA_CHANNELS": {"sms": twilio("", base_url="http://api.example.org")}}),
    "W014-upper-case": ("twofa.W014", {"TWOFA_CHANNELS": {"sms": gateway(url="HTTP://SMS.EXAMPLE.ORG/")}}),
    "W014-provider": ("twofa.W014", {"TWOFA_CHANNELS": chained(gateway(), gateway(url="http://localhost.evil.org/"))}),
    "W015-short": ("twofa.W015", {"TWOFA_CHANNELS": {"sms": twilio("", account_sid="AC123")}}),
    "W015-key": ("twofa.W015", {"TWOFA_CHANNELS": {"sms": twilio("", account_sid=SID.replace("AC", "SK"))}}),
    "W015-letters": ("twofa.W015", {"TWOFA_CHANNELS": {"sms": twilio("", account_sid=SID.replace("0", "x"))}}),
    "W015-debug": ("twofa.W015", {"TWOFA_CHANNELS": {"sms": twilio("", account_sid=f"{SID}0")}, "DEBUG": True}),
    "W015-provider": ("twofa.W015", {"TWOFA_CHANNELS": chained(gateway(), twilio("", account_sid="AC123"))}),
    "W013-provider": ("twofa.W013", {"TWOFA_CHANNELS": chained(twilio("https://x.example.org/receipts/sms/"))}),
}


@pytest.mark.parametrize(("expected", "settings"), BAD_PROVIDERS.values(), ids=BAD_PROVIDERS)
def test_provider_that_is_not_fit_is_told(expected: str, settings: dict[str, object]):
    assert found(**settings) == [expected]


def test_providers_that_fit_are_silent():
    callback = "https://points.example.com/api/v1/receipts/sms/"
    assert found(TWOFA_CHANNELS={"sms": twilio(callback)}) == []
    assert found(TWOFA_CHANNELS=chained(gateway(), twilio(f"{callback}b/"))) == []
    assert found(TWOFA_CHANNELS={"sms": twilio(callback.replace("https", "http"))}, DEBUG=True) == []


@pytest.mark.parametrize("host", ["localhost", "sms.localhost", "127.0.0.1:9", "127.9.9.9", "[::1]:9"])
def test_provider_on_this_machine_needs_no_encryption(host: str):
    assert found(TWOFA_CHANNELS={"sms": gateway(url=f"http://{host}/")}) == []


def test_unencrypted_provider_with_debug_is_silent():
    assert found(TWOFA_CHANNELS={"sms": gateway(url="http://sms.example.org/")}, DEBUG=True) == []


def test_no_check_quotes_the_credentials_of_a_provider():
    channels = {
        "sms": twilio("http://x.example.org/elsewhere/"),
        "whatsapp": gateway(url="http://sms.example.org/?key=provider-key"),
    }
    with override_settings(**{**GOOD, "TWOFA_CHANNELS": channels}):
        said = "".join(f"{message.msg} {message.hint}" for message in checks.check_settings())

    assert "sms.example.org" in said
    assert "auth-token" not in said
    assert "provider-key" not in said
