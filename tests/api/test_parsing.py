from __future__ import annotations

import io
import json

import pytest

from tests.api.client import checkouts, nothing_changes, order, refused
from twofa.api import parsing
from twofa.api.errors import Malformed, PayloadTooLarge

DEEP = 100_000


UNREADABLE = [
    (b"", "not_json"),
    (b"{", "not_json"),
    (b"nonsense", "not_json"),
    (b"{'a': 1}", "not_json"),
    (b'{"a": 1,}', "not_json"),
    (b'{"a": NaN}', "not_json"),
    (b'{"a": Infinity}', "not_json"),
    (b'{"a": -Infinity}', "not_json"),
    (b'{"a": "\x00"}', "not_json"),
    (b'{"a": "\n"}', "not_json"),
    (b'{"a": 1}{"b": 2}', "not_json"),
    (b'\xef\xbb\xbf{"a": 1}', "not_json"),
    (b'{"a": ' + b"9" * 5000 + b"}", "not_json"),
    (b'{"a": "\xff"}', "not_utf8"),
    ('{"a": 1}'.encode("utf-16"), "not_utf8"),
    (b"[]", "not_an_object"),
    (b"null", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"7", "not_an_object"),
    (b'{"a": 1, "a": 1}', "duplicate_member"),
    (b'{"a": {"b": 1, "b": 2}}', "duplicate_member"),
    (b'{"a": 1, "\\u0061": 2}', "duplicate_member"),
    (b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "too_deep"),
    (b'{"a": ' + b"[" * DEEP, "too_deep"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
]


@pytest.mark.parametrize(("raw", "reason"), UNREADABLE, ids=map(str, range(len(UNREADABLE))))
def test_what_is_not_one_object_is_malformed(raw, reason):
    with pytest.raises(Malformed) as refusal:
        parsing.decode(raw)

    assert [error["code"] for error in refusal.value.params["errors"]] == [reason]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"a": [[]] * 200},
        {"a": "[" * 100 + '"\\'},
        {"a": 1.5, "b": None, "c": True, "d": "ação"},
        json.loads('{"a":' * 32 + "1" + "}" * 32),
    ],
    ids=lambda value: str(value)[:24],
)
def test_object_is_read_as_it_is(body):
    assert parsing.decode(json.dumps(body).encode()) == body


def test_body_longer_than_declared_is_too_large():
    with pytest.raises(PayloadTooLarge):
        parsing.StrictJSONParser().parse(io.BytesIO(b" " * (parsing.MAX_BYTES + 1)))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b'{"a":' * 40000, 400, "malformed"),
        (b'{"amount": "1.00", "amount": "2.00"}', 400, "malformed"),
        (b'{"description": "' + b"x" * parsing.MAX_BYTES + b'"}', 413, "payload_too_large"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_unreadable_checkout_is_refused(api, shop, body, status, code):
    with nothing_changes():
        problem = refused(api.post(checkouts(shop), body), status, code)

    assert "errors" in problem or code != "malformed"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "json",
    ],
)
def test_other_media_types_are_unsupported(api, shop, content_type):
    with nothing_changes():
        refused(
            api.post(checkouts(shop), json.dumps(order(shop)).encode(), content_type=content_type),
            415,
            "unsupported_media_type",
        )


def test_media_type_may_name_its_charset(api, shop):
    assert api.post(checkouts(shop), order(shop), content_type="Application/JSON; charset=utf-8").status_code == 201


def test_chunked_body_is_refused_and_not_taken_for_none(api, shop):
    pk = api.post(checkouts(shop), order(shop)).json()["id"]

    with nothing_changes():
        problem = refused(api.post(f"/redemptions/{pk}/cancel/", transfer_encoding="chunked"), 400, "malformed")

    assert problem["errors"][0]["code"] == "length_required"
