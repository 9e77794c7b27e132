"""Twilio's signature, by the examples that its own documentation and its own libraries publish."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from twofa.channels import Callback, ReceiptRefused, ReceiptUnreadable
from twofa.channels.twilio import TwilioChannel, signature
from twofa.exceptions import NotFound

PUBLISHED = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED_TOKEN = "12345"
PUBLISHED_FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
URL = "https://points.example.com/api/v1/receipts/sms/"
SENT = {"MessageSid": "SM1", "SmsSid": "SM1", "AccountSid": "AC1", "To": "+5511987650034", "From": "+15005550006"}


def channel(**options: Any) -> TwilioChannel:
    given = {"account_sid": "AC1", "auth_token": "auth-token", "from_": "+15005550006", "status_callback": URL}
    return TwilioChannel(**{**given, **options})


def signed(fields: dict[str, str], *, query: str = "", token: str = "auth-token", url: str = URL) -> Callback:
    """What Twilio posts."""
    text = (f"{url}?{query}" if query else url) + "".join(name + fields[name] for name in sorted(fields))
    headers = {"x-twilio-signature": signature(text, token), "Content-Type": "application/x-www-form-urlencoded"}
    return Callback(body=urlencode(fields).encode(), headers=headers, query=query)


def verdict(url: str, body: bytes, given: str, query: str = "foo=1&bar=2") -> str:
    """Return what becomes of a callback whose signature is `given`: signed fields without a status are unreadable."""
    reader = channel(status_callback=url, auth_token=PUBLISHED_TOKEN)
    try:
        reader.read_receipt(Callback(body=body, headers={"X-Twilio-Signature": given}, query=query))
    except ReceiptUnreadable:
        return "genuine"
    except ReceiptRefused:
        return "forged"
    return "read"


@pytest.mark.parametrize(
    ("url", "given"),
    [
        (PUBLISHED, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (PUBLISHED.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (PUBLISHED.replace("https", "http").replace(".com", ".com:1234"), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (PUBLISHED, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (PUBLISHED.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ],
    ids=["as it is", "https with a port", "http with a port", "the port added", "the port of http added"],
)
def test_published_signature_of_a_form_is_genuine(url: str, given: str):
    body = urlencode(PUBLISHED_FIELDS).encode()

    assert verdict(url, body, given) == "genuine"
    assert verdict(url, body, given.swapcase()) == "forged"
    assert verdict(url, body + b"&Digits=5678", given) == "forged"
    assert verdict(url, body, given, query="foo=1&bar=3") == "forged"


def test_published_signature_of_doubled_fields_is_genuine():
    body = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"

    assert verdict(PUBLISHED, body, "IK+Dwps556ElfBT0I3Rgjkr1wJU=") == "genuine"


def test_published_signature_of_a_json_body_is_genuine():
    body = b'{"property": "value", "boolean": true}'
    query = "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

    assert verdict(PUBLISHED, body, "a9nBmqA0ju/hNViExpshrM61xv4=", query) == "genuine"
    assert verdict(PUBLISHED, body + b" ", "a9nBmqA0ju/hNViExpshrM61xv4=", query) == "forged"


@pytest.mark.parametrize(
    ("status", "code", "told", "reason"),
    [
        ("queued", None, "queued", ""),
        ("sent", None, "sent", ""),
        ("delivered", None, "delivered", ""),
        ("read", None, "delivered", ""),
        ("undelivered", "30003", "failed", "recipient_unreachable"),
        ("undelivered", "30005", "failed", "recipient_refused"),
        ("undelivered", "30007", "failed", "message_filtered"),
        ("undelivered", "30008", "failed", "not_delivered"),
        ("failed", "63016", "failed", "template_required"),
        ("failed", "30036", "failed", "too_late"),
        ("failed", "12", "failed", "not_delivered"),
        ("failed", None, "failed", "not_delivered"),
    ],
)
def test_receipt_is_read(status, code, told, reason):
    fields = {**SENT, "MessageStatus": status, **({} if code is None else {"ErrorCode": code})}
    report = channel().read_receipt(signed(fields, query="reference=0197.2"))

    assert (report.status, report.reason) == (told, reason)
    assert (report.provider_message_id, report.reference) == ("SM1", "0197:2")


def test_receipt_in_json_is_read():
    body = json.dumps({**SENT, "MessageStatus": "delivered"}).encode()
    query = f"reference=0197.2&bodySHA256={sha256(body).hexdigest()}"
    callback = Callback(
        body=body, headers={"X-Twilio-Signature": signature(f"{URL}?{query}", "auth-token")}, query=query
    )

    assert channel().read_receipt(callback).status == "delivered"
    with pytest.raises(ReceiptRefused):
        channel().read_receipt(Callback(body=body + b"\n", headers=callback.headers, query=query))


def test_either_of_two_tokens_is_taken_while_one_replaces_the_other():
    fields = {**SENT, "MessageStatus": "delivered"}
    rotating = channel(other_auth_tokens=["the-next-token"])

    assert rotating.read_receipt(signed(fields)).status == "delivered"
    assert rotating.read_receipt(signed(fields, token="the-next-token")).status == "delivered"
    with pytest.raises(ReceiptRefused):
        channel().read_receipt(signed(fields, token="the-next-token"))


FIELDS = {**SENT, "MessageStatus": "delivered"}


@pytest.mark.parametrize(
    "callback",
    [
        Callback(body=urlencode(FIELDS).encode()),
        Callback(body=urlencode(FIELDS).encode(), headers={"X-Twilio-Signature": ""}),
        Callback(body=urlencode(FIELDS).encode(), headers={"X-Twilio-Signature": "é"}),
        Callback(body=b"\xff=%ff", headers={"X-Twilio-Signature": "x"}),
        Callback(body=b"a&" * 200, headers={"X-Twilio-Signature": "x"}),
        Callback(body=b"", headers={"X-Twilio-Signature": "x"}, query="bodySHA256="),
        signed(FIELDS, token=""),
        signed(FIELDS, token="AC1"),
        signed(FIELDS, url="https://evil.example.org/api/v1/receipts/sms/"),
        signed(FIELDS, url="http://points.example.com/api/v1/receipts/sms/"),
        signed(FIELDS, url="https://points.example.com/api/v1/receipts/whatsapp/"),
    ],
)
def test_forged_receipt_is_refused(callback: Callback):
    with pytest.raises(ReceiptRefused):
        channel().read_receipt(callback)


def test_key_of_the_api_signs_no_receipt():
    keyed = channel(api_key_sid="SK1", api_key_secret="key-secret")

    with pytest.raises(ReceiptRefused):
        keyed.read_receipt(signed(FIELDS, token="key-secret"))


@pytest.mark.parametrize("missing", ["MessageStatus", "MessageSid"])
def test_signed_receipt_that_says_nothing_is_unreadable(missing: str):
    fields = {name: value for name, value in FIELDS.items() if name not in (missing, missing.replace("Message", "Sms"))}

    with pytest.raises(ReceiptUnreadable):
        channel().read_receipt(signed(fields))


def test_channel_without_a_callback_takes_no_receipts():
    with pytest.raises(NotFound):
        channel(status_callback="").read_receipt(signed(FIELDS))
