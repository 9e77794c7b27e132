from __future__ import annotations

import base64
import hmac
import json
import time
from hashlib import sha256
from typing import Any

import pytest

from twofa.channels import Callback, ReceiptRefused, ReceiptUnreadable
from twofa.channels.http import HttpChannel
from twofa.channels.signatures import SignedReceipts
from twofa.exceptions import NotFound

SECRET, NEXT = "a-secret-of-this-test", "the-next-secret-of-it"
PATHS = {"status_path": "message.status", "id_path": "message.id"}
DELIVERED = {"message": {"id": "m-1", "status": "delivered", "reference": "0197:2"}}


def receipts(**options: Any) -> SignedReceipts:
    return SignedReceipts(**{"secrets": [SECRET], **PATHS, **options})


def callback(content: Any = DELIVERED, *, secret: str = SECRET, age: float = 0, **headers: str) -> Callback:
    """What a provider posts that signs `<seconds>.<body>` with HMAC-SHA256, in hex."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    at = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return Callback(body=body, headers={"x-signature": digest, "x-timestamp": at, **headers})


@pytest.mark.parametrize(
    ("given", "told"),
    [("delivered", "delivered"), ("read", "delivered"), ("rejected", "failed"), ("accepted", "accepted")],
)
def test_receipt_is_read(given: str, told: str):
    content = {"message": {"id": 4711, "status": given, "reference": "0197:2", "code": 17}}
    reader = receipts(
        reference_path="message.reference", reason_path="message.code", reasons={"17": "message_filtered"}
    )
    report = reader.read(callback(content))

    assert (report.status, report.provider_message_id, report.reference) == (told, "4711", "0197:2")
    assert report.reason == ("message_filtered" if told == "failed" else "")


def test_reason_without_a_word_of_ours_is_not_passed_on():
    report = receipts(reason_path="message.code").read(
        callback({"message": {"id": "m-1", "status": "failed", "code": "sms_to_+5511987650034"}})
    )

    assert report.reason == "not_delivered"


def test_words_of_the_provider_are_options():
    reader = receipts(
        signature_header="X-Provider-Digest",
        timestamp_header="X-Provider-Time",
        separator="",
        prefix="sha256=",
        encoding="base64",
        status_path="0.state",
        id_path="0.uid",
        delivered=["DELIVRD"],
        failed=["UNDELIV"],
    )
    body = b'[{"uid": "m-1", "state": "DELIVRD"}]'
    at = str(int(time.time() * 1000))
    digest = base64.b64encode(hmac.new(SECRET.encode(), at.encode() + body, sha256).digest()).decode()
    headers = {"X-Provider-Digest": f"sha256={digest}", "X-Provider-Time": at}

    assert reader.read(Callback(body=body, headers=headers)).status == "delivered"


def test_either_of_two_secrets_is_taken_while_one_replaces_the_other():
    rotating = receipts(secrets=[NEXT, SECRET])

    assert rotating.read(callback()).status == rotating.read(callback(secret=NEXT)).status == "delivered"
    with pytest.raises(ReceiptRefused):
        receipts().read(callback(secret=NEXT))


def test_provider_may_send_the_signatures_of_both_its_secrets():
    genuine = callback().header("X-Signature")

    assert receipts().read(callback(**{"x-signature": f"{'0' * 64}, {genuine.upper()}"})).status == "delivered"


@pytest.mark.parametrize("age", [301, 86_400, -301])
def test_receipt_out_of_its_time_is_a_replay(age: float):
    with pytest.raises(ReceiptRefused):
        receipts().read(callback(age=age))
    assert receipts(tolerance=90_000).read(callback(age=age)).status == "delivered"


@pytest.mark.parametrize(
    "forged",
    [
        callback(secret="another-secret-of-it"),
        callback(**{"x-signature": ""}),
        callback(**{"x-signature": "é" * 64}),
        callback(**{"x-timestamp": str(int(time.time()) - 5)}),
        callback(**{"x-timestamp": ""}),
        callback(**{"x-timestamp": "1e9"}),
        callback(**{"x-timestamp": "٣" * 10}),
        callback(**{"x-timestamp": "9" * 5000}),
        Callback(body=callback().body + b" ", headers=callback().headers),
        Callback(body=b""),
    ],
)
def test_forged_receipt_is_refused(forged: Callback):
    with pytest.raises(ReceiptRefused):
        receipts().read(forged)


@pytest.mark.parametrize("content", [b"", b"not json", b"[" * 50_000, {}, {"message": {"status": "delivered"}}, []])
def test_signed_receipt_that_says_nothing_is_unreadable(content: Any):
    with pytest.raises(ReceiptUnreadable):
        receipts().read(callback(content))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secrets": []}, "secrets"),
        ({"secrets": ["short"]}, "16 characters"),
        ({"secrets": ""}, "16 characters"),
        ({"id_path": ""}, "reference_path"),
        ({"encoding": "base32"}, "encoding"),
        ({"tolerance": 0}, "tolerance"),
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_built(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        HttpChannel(url="https://sms.example.org/", body={}, receipts={"secrets": [SECRET], **PATHS, **options})


def test_gateway_without_receipts_takes_none():
    with pytest.raises(NotFound):
        HttpChannel(url="https://sms.example.org/", body={}).read_receipt(callback())


def test_gateway_reads_its_receipts():
    channel = HttpChannel(url="https://sms.example.org/", body={}, receipts={"secrets": SECRET, **PATHS})

    assert channel.read_receipt(callback()).provider_message_id == "m-1"
    assert SECRET not in repr(channel)
