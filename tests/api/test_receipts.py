"""The path that providers post to: opened by their signature and by nothing else."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client

from tests import factories
from tests.api.client import PREFIX, Api, checkouts, nothing_changes, order, refused
from tests.stories import deliver_due
from twofa import alerts
from twofa.channels import Receipt
from twofa.channels.twilio import TwilioChannel, signature
from twofa.models import Delivery, Event

TWILIO = {"account_sid": "AC1", "auth_token": "auth-token", "from_": "+15005550006"}
CALLBACK = "https://points.example.com/api/v1/receipts/sms/"
SECRET = "the-secret-of-the-gateway"
CHANNELS = {
    "sms": {"BACKEND": "twofa.channels.twilio.TwilioChannel", "OPTIONS": {**TWILIO, "status_callback": CALLBACK}},
    "whatsapp": {
        "BACKEND": "twofa.channels.chain.ChainChannel",
        "OPTIONS": {
            "providers": {
                "twilio": {
                    "BACKEND": "twofa.channels.twilio.TwilioChannel",
                    "OPTIONS": {
                        **TWILIO,
                        "whatsapp": True,
                        "status_callback": "https://points.example.com/api/v1/receipts/whatsapp/twilio/",
                    },
                },
                "gateway": {
                    "BACKEND": "twofa.channels.http.HttpChannel",
                    "OPTIONS": {
                        "url": "https://sms.example.org/",
                        "body": {},
                        "receipts": {"secrets": [SECRET], "status_path": "status", "id_path": "id"},
                    },
                },
                "silent": {"BACKEND": "twofa.channels.memory.MemoryChannel"},
            }
        },
    },
    "email": {"BACKEND": "twofa.channels.memory.MemoryChannel"},
}


@pytest.fixture
def given(monkeypatch):
    """What the provider of SMS answers."""
    messages = []

    def send(_channel, message):
        messages.append(message)
        return Receipt("SM1")

    monkeypatch.setattr(TwilioChannel, "send", send)
    return messages


@pytest.fixture
def opened(settings, api, shop, given):
    """A redemption whose message Twilio has taken."""
    settings.TWOFA_CHANNELS = CHANNELS
    pk = api.post(checkouts(shop), order(shop)).json()["id"]
    deliver_due()
    assert Delivery.objects.get().status == "sent"
    return pk


class Provider:
    """Somebody without a key."""

    def __init__(self) -> None:
        self._client = Client(raise_request_exception=False)

    def post(self, path: str, body: bytes, content_type="application/x-www-form-urlencoded", **headers):
        return self._client.post(f"{PREFIX}/{path}", body, content_type=content_type, headers=headers)


def twilio(status: str, *, url: str = CALLBACK, query: str = "", token: str = "auth-token", **fields: str):
    """Post what Twilio posts to the address `url`, wherever it is reached."""
    fields = {"MessageSid": "SM1", "MessageStatus": status, "AccountSid": "AC1", **fields}
    signed = (f"{url}?{query}" if query else url) + "".join(name + fields[name] for name in sorted(fields))
    path = urlsplit(url).path.removeprefix(f"{PREFIX}/") + (f"?{query}" if query else "")
    headers = {"X-Twilio-Signature": signature(signed, token)}
    return path, urlencode(fields).encode(), headers


def send(status: str, **options: str):
    path, body, headers = twilio(status, **options)
    return Provider().post(path, body, **headers)


def test_receipt_is_taken(opened, api):
    response = send("delivered")

    assert (response.status_code, response.content) == (204, b"")
    assert response["Cache-Control"] == "no-store"
    body = api.get(f"/redemptions/{opened}/").json()
    assert body["two_factor"]["challenge"]["delivery"] == {"status": "delivered", "reason": None}
    assert body["next_action"]["type"] == "confirm_token"


def test_reported_failure_is_in_the_api_and_a_resend_does_not_wait(opened, api):
    assert send("undelivered", ErrorCode="30003").status_code == 204

    body = api.get(f"/redemptions/{opened}/").json()
    assert body["two_factor"]["challenge"]["delivery"] == {"status": "failed", "reason": "recipient_unreachable"}
    assert body["next_action"]["type"] == "resend_token"
    challenge = api.post(f"/redemptions/{opened}/resend/").json()["two_factor"]["challenge"]
    assert (challenge["token_sequence"], challenge["resends_remaining"]) == (2, 3)


def test_doubled_receipt_is_one_event(opened):
    assert [send("delivered").status_code for _twice in range(2)] == [204, 204]
    assert Event.objects.filter(type="delivery.delivered").count() == 1


def test_reference_of_the_callback_finds_a_message_without_its_id(opened, given):
    Delivery.objects.update(provider_message_id="")
    query = urlencode({"reference": given[0].idempotency_key.replace(":", ".")})

    assert send("delivered", query=query).status_code == 204
    assert Delivery.objects.get().status == "delivered"


def test_receipt_costs_four_statements(opened, sql):
    path, body, headers = twilio("delivered")
    with sql() as statements:
        Provider().post(path, body, **headers)

    assert len(statements) <= 4, str(statements)


def test_forged_receipt_costs_none(opened, sql):
    path, body, headers = twilio("delivered", token="another")
    with sql() as statements:
        response = Provider().post(path, body, **headers)

    assert response.status_code == 403
    assert len(statements) == 0, str(statements)


@pytest.mark.parametrize(
    "options",
    [
        {"token": "another"},
        {"token": ""},
        {"url": "https://evil.example.org/api/v1/receipts/sms/"},
        {"url": "http://testserver/api/v1/receipts/sms/"},
    ],
)
def test_forged_receipt_changes_nothing_and_alerts(opened, caplog, options):
    alerts.forget()
    caplog.clear()
    with nothing_changes():
        refused(send("failed", **options), 403, "permission_denied")

    ours = [record.message for record in caplog.records if record.name.startswith("twofa.")]
    assert ours == ["receipt_refused channel=sms"]
    assert "SM1" not in caplog.text


@pytest.mark.parametrize(
    "spoofed",
    [
        {"Host": "evil.example.org"},
        {"X-Forwarded-Host": "evil.example.org", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example.org;proto=https"},
        {"X-Original-URL": "https://evil.example.org/api/v1/receipts/sms/"},
    ],
)
def test_host_of_the_request_has_no_say(opened, settings, spoofed):
    """Neither may it make a signature of another address genuine, nor a genuine one forged."""
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    path, body, headers = twilio("delivered", url="https://evil.example.org/api/v1/receipts/sms/")
    with nothing_changes():
        assert Provider().post(path, body, **headers, **spoofed).status_code == 403

    path, body, headers = twilio("delivered")
    assert Provider().post(path, body, **headers, **spoofed).status_code == 204


def test_storefront_posts_no_receipts(opened, api, partner, neighbour):
    body = urlencode({"MessageSid": "SM1", "MessageStatus": "failed"}).encode()
    for client in (api, partner, neighbour, Api(None)):
        with nothing_changes():
            response = client.send("POST", "/receipts/sms/", body, content_type="application/x-www-form-urlencoded")
            refused(response, 403, "permission_denied")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused(opened, api, method):
    with nothing_changes():
        refused(api.send(method, "/receipts/sms/"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        "receipts/email/",
        "receipts/sandbox/",
        "receipts/pager/",
        "receipts/sms/twilio/",
        "receipts/whatsapp/",
        "receipts/whatsapp/other/",
        "receipts/whatsapp/silent/",
        "receipts/",
    ],
)
def test_path_of_no_receipts_is_not_found(opened, path):
    _path, body, headers = twilio("delivered")
    with nothing_changes():
        refused(Provider().post(path, body, **headers), 404, "not_found")


def test_signed_receipt_of_an_unknown_message_is_not_found(opened):
    with nothing_changes():
        refused(send("delivered", MessageSid="SM2"), 404, "not_found")


def test_signed_receipt_that_says_nothing_is_malformed(opened):
    with nothing_changes():
        refused(send(""), 400, "malformed")


@pytest.mark.parametrize("size", [64 * 1024 + 1, 3 * 1024 * 1024])
def test_body_beyond_its_limit_is_not_read(opened, size):
    with nothing_changes():
        refused(Provider().post("receipts/sms/", b"x" * size), 413, "payload_too_large")


def test_body_at_its_limit_is_read(opened):
    refused(Provider().post("receipts/sms/", b"x" * 64 * 1024), 403, "permission_denied")


def test_body_without_a_length_is_refused(opened):
    with nothing_changes():
        response = Client().generic(
            "POST", f"{PREFIX}/receipts/sms/", b"", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH=""
        )
        refused(response, 400, "malformed")


def test_receipts_are_not_in_the_storefronts_document(api):
    assert not [path for path in api.get("/schema/").json()["paths"] if "receipts" in path]


# --- a chain ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def chained(settings, shop, given):
    """A message that the chain's provider has taken; `take` names it."""
    settings.TWOFA_CHANNELS = CHANNELS
    factories.device(shop.participant, "whatsapp")

    def take(provider: str) -> None:
        shop.open(channel="whatsapp")
        Delivery.objects.update(status="sent", provider=provider, provider_message_id="SM1")

    return take


def gateway(status: str, *, age: int = 0):
    body = json.dumps({"id": "SM1", "status": status}).encode()
    at = str(int(time.time()) - age)
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    headers = {"X-Signature": digest, "X-Timestamp": at}
    return Provider().post("receipts/whatsapp/gateway/", body, content_type="application/json", **headers)


def test_each_provider_has_a_path_of_its_own(chained):
    chained("gateway")
    assert gateway("delivered").status_code == 204
    assert Delivery.objects.get().status == "delivered"


def test_one_provider_has_no_say_about_the_messages_of_another(chained):
    chained("twilio")
    with nothing_changes():
        refused(gateway("failed"), 404, "not_found")


def test_replayed_receipt_of_the_gateway_is_refused(chained):
    chained("gateway")
    with nothing_changes():
        refused(gateway("failed", age=360), 403, "permission_denied")


@pytest.mark.parametrize("length", ["abc", "-1", "１２", "9" * 19, "0x10", "1 2"])
def test_length_that_is_no_number_is_malformed(opened, length, caplog):
    """Nobody needs a key to get here: it must not be an error of ours in the log."""
    with nothing_changes():
        response = Client().generic("POST", f"{PREFIX}/receipts/sms/", b"MessageSid=SM1", CONTENT_LENGTH=length)

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "length_required")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
