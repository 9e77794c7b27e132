from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from twofa.channels import bodies
from twofa.testing import ChannelContract


def filled(structure: Any, **changes: Any) -> Any:
    return bodies.Template(structure).fill(ChannelContract().make_message(**changes))


def test_every_name_is_replaced():
    values = {
        "recipient": "+5511987650034",
        "text": "text",
        "token": "7K2M9Q",
        "subject": "subject",
        "locale": "es",
        "event": "login.token",
        "challenge_id": None,
        "idempotency_key": "k:1",
        "expires_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }

    assert filled({name: f"<{{{name}}}>" for name in bodies.NAMES}, **values) == {
        "recipient": "<+5511987650034>",
        "recipient_digits": "<5511987650034>",
        "text": "<text>",
        "token": "<7K2M9Q>",
        "subject": "<subject>",
        "locale": "<es>",
        "event": "<login.token>",
        "challenge_id": "<>",
        "idempotency_key": "<k:1>",
        "expires_at": "<2026-01-02T03:04:05+00:00>",
    }
    assert filled("{expires_at}", expires_at=None) == ""


def test_what_is_not_text_stays():
    assert filled({"a": [1, True, None, 2.5, ("{locale}",)]}) == {"a": [1, True, None, 2.5, ["pt-br"]]}


def test_placeholder_in_a_value_is_not_replaced_again():
    assert filled("{text}", text="{token} {text}") == "{token} {text}"


@pytest.mark.parametrize("text", ["{text.__class__}", "{0}", "{}", "{text!r}", "{ token }", "{Token}", "{{{}}}"])
def test_format_tricks_are_plain_text(text: str):
    assert filled(text) == text


@pytest.mark.parametrize("structure", ["{tokens}", {"a": ["{recipent}"]}, ({"b": "{secret_key}"},)])
def test_unknown_name_is_refused(structure: Any):
    with pytest.raises(ValueError, match="unknown placeholders"):
        bodies.Template(structure)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", 7),
        ("messages.0.id", "m"),
        ("messages.1.id", None),
        ("messages.x", None),
        ("messages.-1", None),
        ("messages.²", None),
        ("id.deeper", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_path_leads_to_a_value_or_nowhere(path: str, found: Any):
    assert bodies.look_up({"id": 7, "messages": [{"id": "m"}]}, path) == found


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xfa", b"[" * 100_000])
def test_what_is_not_json_is_nothing(body: bytes):
    assert bodies.parse(body) is None
