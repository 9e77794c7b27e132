from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from tests.api.client import checkouts, nothing_changes, order, refused
from twofa.api import fields, redemptions
from twofa.api.redemptions import ItemInput
from twofa.exceptions import Invalid
from twofa.models import Redemption

GIVEN = {"participant": "u-42", "order_id": "A-1", "amount": "150.00", "description": "Headphones"}
ITEM = {"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}
ANYTHING: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "\x00",
    "\ud800",
    "\u202e",
    "x" * 3000,
    [],
    [[]],
    {},
    {"a": {}},
]


def items(**changes):
    return {"items": [{name: value for name, value in {**ITEM, **changes}.items() if value is not ...}]}


BAD = [
    ({"amount": 150}, "amount", "not_an_amount"),
    ({"amount": 150.0}, "amount", "not_an_amount"),
    ({"amount": None}, "amount", "null"),
    ({"amount": ...}, "amount", "required"),
    ({"amount": "0"}, "amount", "not_positive"),
    ({"amount": "0.00"}, "amount", "not_positive"),
    ({"amount": "-1"}, "amount", "not_an_amount"),
    ({"amount": "+1"}, "amount", "not_an_amount"),
    ({"amount": "1e3"}, "amount", "not_an_amount"),
    ({"amount": "1.234"}, "amount", "not_an_amount"),
    ({"amount": "1,50"}, "amount", "not_an_amount"),
    ({"amount": ".5"}, "amount", "not_an_amount"),
    ({"amount": "1."}, "amount", "not_an_amount"),
    ({"amount": "1\n"}, "amount", "not_an_amount"),
    ({"amount": " 1"}, "amount", "not_an_amount"),
    ({"amount": "9" * 13}, "amount", "not_an_amount"),
    ({"amount": "9" * 40}, "amount", "not_an_amount"),
    ({"amount": "１５０"}, "amount", "not_an_amount"),
    ({"amount": "NaN"}, "amount", "not_an_amount"),
    ({"amount": "Infinity"}, "amount", "not_an_amount"),
    ({"amount": ["150.00"]}, "amount", "not_an_amount"),
    ({"order_id": 7}, "order_id", "not_a_text"),
    ({"order_id": ""}, "order_id", "blank"),
    ({"order_id": "A" * 129}, "order_id", "max_length"),
    ({"order_id": "A\x00"}, "order_id", "forbidden_characters"),
    ({"order_id": "A\ud800"}, "order_id", "forbidden_characters"),
    ({"description": "a\nb"}, "description", "forbidden_characters"),
    ({"description": "a\u2066b"}, "description", "forbidden_characters"),
    ({"description": "A" * 201}, "description", "max_length"),
    ({"description": True}, "description", "not_a_text"),
    ({"participant": "a b"}, "participant", "no_match"),
    ({"participant": "a\n"}, "participant", "forbidden_characters"),
    ({"participant": {"external_id": "u"}}, "participant", "not_a_text"),
    ({"channel": "SMS"}, "channel", "invalid_choice"),
    ({"channel": {}}, "channel", "invalid_choice"),
    ({"device": "nope"}, "device", "invalid"),
    ({"device": 7}, "device", "invalid"),
    ({"device": "{" + str(uuid.UUID(int=7)) + "}"}, "device", "invalid"),
    ({"approver": "98765432100"}, "approver", "not_an_object"),
    ({"approver": {}}, "approver.document_number", "required"),
    ({"approver": {"document_number": 98765432100}}, "approver.document_number", "not_a_text"),
    ({"approver": {"document_number": "9" * 33}}, "approver.document_number", "max_length"),
    ({"approver": {"document_number": "9", "channel": "fax"}}, "approver.channel", "invalid_choice"),
    ({"approver": {"document_number": "9", "device": None}}, "approver.device", "unknown_field"),
    ({"approver": {"document_number": "9"}, "channel": "sms"}, "channel", "not_with_approver"),
    ({"approver": {"document_number": "9"}, "device": str(uuid.UUID(int=7))}, "device", "not_with_approver"),
    ({"scheduled_for": "2030-01-01T00:00:00"}, "scheduled_for", "not_a_time"),
    ({"scheduled_for": "2030-01-01"}, "scheduled_for", "not_a_time"),
    ({"scheduled_for": "2030-02-30T00:00:00Z"}, "scheduled_for", "not_a_time"),
    ({"scheduled_for": 1893456000}, "scheduled_for", "not_a_time"),
    ({"scheduled_for": "2020-01-01T00:00:00Z"}, "scheduled_for", "in_the_past"),
    ({"scheduled_for": "2099-01-01T00:00:00-03:00"}, "scheduled_for", "too_far_ahead"),
    ({"status": "completed"}, "status", "unknown_field"),
    ({"storefront": 1}, "storefront", "unknown_field"),
    ({"test": True}, "test", "unknown_field"),
    ({"__proto__": {}}, "__proto__", "unknown_field"),
    ({"a\x00\ud800\n": 1}, "a\ufffd\ufffd\ufffd", "unknown_field"),
    ({"n" * 500: 1}, "n" * 64, "unknown_field"),
    ({"items": {}}, "items", "not_a_list"),
    ({"items": "x"}, "items", "not_a_list"),
    ({"items": None}, "items", "null"),
    ({"items": [7]}, "items[0]", "not_an_object"),
    ({"items": [None]}, "items[0]", "null"),
    ({"items": [{**ITEM, "amount": "1.00"}] * 101}, "items", "max_length"),
    ({"items": [ITEM, ITEM]}, "items", "sum_mismatch"),
    (items(amount="149.99"), "items", "sum_mismatch"),
    (items(amount="-150.00"), "items[0].amount", "not_an_amount"),
    (items(quantity=0), "items[0].quantity", "min_value"),
    (items(quantity=True), "items[0].quantity", "not_a_number"),
    (items(quantity="1"), "items[0].quantity", "not_a_number"),
    (items(quantity=1.0), "items[0].quantity", "not_a_number"),
    (items(quantity=10**30), "items[0].quantity", "max_value"),
    (items(sku=...), "items[0].sku", "required"),
    (items(name="\u202e"), "items[0].name", "forbidden_characters"),
    (items(price="1"), "items[0].price", "unknown_field"),
]


@pytest.mark.parametrize(("change", "field", "code"), BAD, ids=map(str, range(len(BAD))))
def test_each_caller_is_told_in_their_own_language_though_one_form_serves_all(change, field, code):
    body = {**GIVEN, **change}
    told = [_told(body, language) for language in ("en", "pt-br", "es", "en")]

    assert told[0] == told[3]
    # The future alone is asked for by a flow.
    assert len({*told}) == (1 if told[0] == "" else 3), told


def _told(body: dict[str, Any], language: str) -> str:
    with translation.override(language):
        try:
            redemptions.ORDER.read({name: value for name, value in body.items() if value is not ...})
        except Invalid as error:
            return str(error.params["errors"][0]["detail"])
    return ""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2030-01-31T12:00:00.123456789Z", "2030-01-31T12:00:00.123456+00:00"),
        ("2030-01-31t12:00:00z", "2030-01-31T12:00:00+00:00"),
        ("2030-01-31T12:00:00.5-03:00", "2030-01-31T15:00:00.500000+00:00"),
    ],
)
def test_times_are_read_as_any_language_writes_them(written, read):
    """RFC 3339, 5.6: any number of digits after the point, and letters of either case."""
    assert fields.Moment().run_validation(written).isoformat() == read


@pytest.mark.parametrize(("change", "field", "code"), BAD, ids=map(str, range(len(BAD))))
def test_bad_checkout_is_refused_by_its_member(api, shop, change, field, code):
    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop, **change)), 400, "invalid")

    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize(
    "member",
    ["participant", "order_id", "amount", "description", "items", "channel", "device", "approver", "scheduled_for"],
)
def test_no_value_of_any_member_is_an_error_of_ours(api, shop, member):
    for value in ANYTHING:
        response = api.post(checkouts(shop), order(shop, **{member: value}))

        assert response.status_code in {200, 201, 400, 404, 422, 429}, (member, value)


def test_every_error_is_told_but_not_a_book_of_them(api, shop):
    some = refused(api.post(checkouts(shop), {"amount": 1, "more": 2}), 400, "invalid")["errors"]
    many = refused(api.post(checkouts(shop), {f"m{number}": 1 for number in range(500)}), 400, "invalid")["errors"]

    assert {error["field"] for error in some} == {"amount", "more", "participant", "order_id", "description"}
    assert len(many) == 50


def test_error_does_not_repeat_the_value(api, shop):
    for name in ("participant", "amount", "channel", "device", "items", "description"):
        response = api.post(checkouts(shop), order(shop, **{name: "SECRET7\x00"}))

        assert b"SECRET7" not in response.content


@pytest.mark.parametrize("amount", ["0.01", "1", "1.5", "999999999999.99", "000150.00"])
def test_largest_and_smallest_amounts_are_kept_exactly(api, shop, amount):
    response = api.post(checkouts(shop), order(shop, amount=amount))

    assert response.status_code == 201
    assert Redemption.objects.get().amount == Decimal(amount)


def test_texts_are_kept_as_they_are(api, shop):
    text = " Fone 🎧 “ção” — 日本 "

    body = api.post(checkouts(shop), order(shop, description=text, order_id="A/1 #?é")).json()

    assert (body["description"], body["order_id"]) == (text, "A/1 #?é")


def test_reading_leaves_nothing_behind():
    class Form(fields.Input):
        name = fields.Text(max_length=5)
        note = fields.Text(max_length=5, required=False)

    form = Form()

    assert form.read({"name": "a", "note": "b"}) == {"name": "a", "note": "b"}
    assert form.read({"name": "c"}) == {"name": "c"}


def test_json_of_an_answer_survives_what_was_sent(api, shop):
    response = api.post(checkouts(shop), json.dumps({"\ud800": "\ud800"}).encode())

    assert refused(response, 400, "invalid")["errors"][0]["field"] == "\ufffd"


def test_long_list_is_refused_before_its_items_are_read(api, shop, monkeypatch):
    """A body has room for 85,000 of them, and each would take longer to refuse than to write."""
    read = []
    monkeypatch.setattr(ItemInput, "run_validation", lambda self, data: read.append(data))
    with nothing_changes():
        problem = refused(api.post(checkouts(shop), order(shop, items=[{}] * 60_000)), 400, "invalid")

    assert [(error["field"], error["code"]) for error in problem["errors"]] == [("items", "max_length")]
    assert read == []


def test_unknown_members_are_described_as_far_as_they_are_told(api, shop, monkeypatch):
    described = []
    shown = fields._shown
    monkeypatch.setattr(fields, "_shown", lambda name: described.append(name) or shown(name))
    with nothing_changes():
        body = order(shop, **{f"unknown-{number}": number for number in range(10_000)})
        problem = refused(api.post(checkouts(shop), body), 400, "invalid")

    assert len(problem["errors"]) == len(described) == 50
