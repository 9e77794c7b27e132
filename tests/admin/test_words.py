from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from twofa.admin import words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "—"),
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=2, seconds=30), "2 minutes 30 seconds"),
        (timedelta(days=2), "2880 minutes"),
    ],
)
def test_duration_in_words(value: timedelta | None, expected: str):
    assert words.duration(value) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ""),
        ({"reason": "", "tries": 2, "left": None}, "tries: 2"),
        ({"before": {"a": 1}, "after": {"a": None}}, "a: 1 → —"),
        ({"before": {"is_active": True}, "after": {"is_active": False}}, "is_active: yes → no"),
        ({"before": {}, "after": {"allowed_channels": ["sms", "email"]}}, "allowed_channels: — → sms, email"),
        ({"policy": {"unit": "points", "threshold": None}}, "policy: unit points, threshold —"),
    ],
    ids=str,
)
def test_data_of_an_event_in_one_line(data: dict[str, Any], expected: str):
    assert words.details(data) == expected


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("7", "•"), ("12", "••"), ("39053344705", "•••••••••05")])
def test_document_number_keeps_two_characters(text: str, expected: str):
    assert words.masked(text) == expected


def test_unknown_event_is_called_by_its_type():
    assert words.event("shop.opened") == "shop.opened"
