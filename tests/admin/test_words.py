from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from django.utils.html import strip_tags

from tests.admin.lives import live_all
from tests.admin.test_pages import crawl
from twofa.admin import vocabulary, words
from twofa.flows.reviews import VIEWED
from twofa.models import (
    EVENT_LABELS,
    MESSAGES,
    POLICY_FIELDS,
    Challenge,
    Delivery,
    Event,
    Failure,
    Redemption,
    RedemptionBatch,
)

CODE = Path(words.__file__).parents[1]
STATES = {
    "redemption.": Redemption.FINAL,
    "batch.": RedemptionBatch.FINAL,
    "challenge.": Challenge.FINAL,
    "document.": ("approved", "rejected"),
    "campaign.change_": ("approved", "rejected", "withdrawn"),
    # A claim is no event, and receipts come later.
    "delivery.": frozenset(Delivery.Status) - {"sending", "delivered"},
}
_TYPE = re.compile(
    r"(role|storefront|campaign|participant|device|redemptions?|batch|approver|points|challenge|delivery|document|case|trail|notice"
    r"|message_template|webhook_endpoint|prefix|safe_number)\.[a-z_]*"
)
# What is called so in Portuguese too.
SAME = {"endpoint", "selfie", "webhook"}
# What is somebody's own text, and not a code of ours.
FREE = {"destination", "name", "prefix", "unit", "campaigns", "allowed_countries", "proposed_by"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "—"),
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=2, seconds=30), "2 minutes 30 seconds"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=1, hours=1, minutes=30), "1 day 1 hour 30 minutes"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(seconds=29, microseconds=700_000), "30 seconds"),
    ],
)
def test_duration_in_words(value: timedelta | None, expected: str):
    assert words.duration(value) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ""),
        ({"reason": "", "tries": 2, "left": None}, "tries: 2"),
        ({"verdict": "superseded", "attempts": 2}, "typed: a token that a newer one has replaced · attempts used: 2"),
        ({"channel": "sms", "reason": "too_late"}, "channel: SMS · reason: it would have come too late"),
        ({"reason": "no_such_account"}, "reason: no such account"),
        ({"reason": "He called; see Ana_S."}, "reason: He called; see Ana_S."),
        ({"columns": ["locale", "document_number"]}, "changed: locale, document number"),
        (
            {"role": "Support", "added": ["view_redemption", "reset_device"], "removed": ["paint_redemption"]},
            "role: Support · added: Can see redemptions, Can reset a participant's device · removed: paint redemption",
        ),
        ({"mode": "required", "threshold": "1500.00"}, "two-factor: required · threshold: 1,500.00 miles"),
        ({"before": {"odd_key": 1}, "after": {"odd_key": None}}, "odd key: 1 → —"),
        ({"before": {"is_active": True}, "after": {"is_active": False}}, "active: yes → no"),
        ({"before": {}, "after": {"allowed_channels": ["sms", "email"]}}, "allowed channels: — → SMS, e-mail"),
        ({"before": {"allowed_countries": ["BR"]}, "after": {"allowed_countries": []}}, "allowed countries: BR → all"),
        (
            {"policy_version": 2, "before": {"token_ttl": 300.0}, "after": {"token_ttl": 90.0}},
            "token life: 5 minutes → 1 minute 30 seconds; policy version: 2",
        ),
        ({"policy": {"unit": "points", "threshold": None, "max_resends": 0}}, "unit: points · resends: 0"),
    ],
    ids=str,
)
def test_data_of_an_event_in_words(data: dict[str, Any], expected: str):
    assert words.details(data, unit="miles") == expected


def test_long_data_is_cut_in_tables_and_whole_on_its_page():
    data = {"reason": "so " * 150}

    assert len(words.details(data)) == 160
    assert len(words.listed(data)[0]) > 400


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("7", "•"), ("12", "••"), ("39053344705", "•••••••••05")])
def test_document_number_keeps_two_characters(text: str, expected: str):
    assert words.masked(text) == expected


def test_unknown_event_message_or_purpose_is_called_by_its_code():
    assert str(Event(type="shop.opened")) == "shop.opened"
    assert Delivery(event="shop.opened").message_label == "shop.opened"
    assert Challenge(purpose="step_up:see_statement").purpose_label == "step-up: see_statement"


# --- nothing comes out raw: by the code that writes it ---------------------------------------------------------------


def calls(*names: str, folder: str = ".") -> Iterator[ast.Call]:
    """Every call of a function or method of these names in our code."""
    for path in (CODE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
                yield node


def texts(node: ast.AST) -> set[str]:
    """The texts written in an expression; of a text with a state in it, one for each state."""
    found = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return {text + state for text in found for state in STATES.get(text, ("",))}


def written_types() -> set[str]:
    found = {"challenge.attempt_failed", VIEWED}
    for call in calls("add", "_record", "_postpone", "postpone", folder="flows"):
        found |= {text for argument in call.args for text in texts(argument) if _TYPE.fullmatch(text)}
    return found


def test_every_type_that_flows_write_has_a_name():
    assert written_types() - EVENT_LABELS.keys() == set()


def test_every_key_that_flows_write_has_a_name():
    keys = {keyword.arg for call in calls("add", "_record", folder="flows") for keyword in call.keywords if keyword.arg}

    assert {"reason", "verdict", "cause"} <= keys
    assert keys - {"policy", "before", "after"} - vocabulary.KEYS.keys() == set()
    assert set(POLICY_FIELDS) - vocabulary.KEYS.keys() == set()


def test_every_reason_in_the_code_has_words():
    reasons = {text for call in calls("DeliveryError", "RedemptionRefused") for text in texts(call.args[0])}
    for node in calls("add", "_move", "move", "cancel_open", "end"):
        for keyword in node.keywords:
            if keyword.arg in ("reason", "failure_code"):
                reasons |= texts(keyword.value)
    causes = {
        text
        for call in calls("rotate")
        for keyword in call.keywords
        if keyword.arg == "cause"
        for text in texts(keyword.value)
    }

    assert len(reasons) > 25
    assert reasons - vocabulary.REASONS.keys() - {""} == set()
    assert {code: words.reason(code) for code in Failure.values} == dict(Failure.choices)
    assert causes == vocabulary.CAUSES.keys()


# --- nothing comes out raw: by living through all of it --------------------------------------------------------------


def coded(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys and codes in an event's data."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from coded(value)
            continue
        yield key, key
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and re.fullmatch(r"[a-z_:]+", item) and key not in FREE and item not in SAME:
                yield key, item


def is_raw(code: str, text: str) -> bool:
    return re.search(_alone(re.escape(code)), text) is not None


def _alone(pattern: str) -> str:
    return rf"(?<![\w-])(?:{pattern})(?![\w-])"


@pytest.mark.django_db
def test_no_key_and_no_code_is_shown_to_staff(settings: Any, boss: Client):
    live_all(settings)
    events = list(Event.objects.order_by("pk"))
    assert {event.type for event in events} == written_types()
    inputs = [row.two_factor_inputs for row in Redemption.objects.all()]

    with translation.override("pt-br"):
        raw = {
            (kind, key, code)
            for kind, data in [*((event.type, event.data) for event in events), *(("decision", row) for row in inputs)]
            for key, code in coded(data)
            if is_raw(code, "\n".join(words.listed(data, unit="milhas")))
        }
    assert sorted(raw) == []

    pages = crawl(boss)
    known = {*EVENT_LABELS, *MESSAGES, *vocabulary.KEYS, *vocabulary.REASONS, *vocabulary.CAUSES, *vocabulary.DOCUMENTS}
    names = {name for name in known if re.search(r"[._:]", name)}
    raw_name = re.compile(_alone("|".join(map(re.escape, sorted(names, key=len, reverse=True)))))
    shown = {
        (address, name)
        for address, content in pages.items()
        # A picture is among what the links lead to; and what a program is told, or staff type, as it is.
        for name in raw_name.findall(
            strip_tags(re.sub(r"(?s)<(pre|code)>.*?</\1>", "", content.decode(errors="replace")))
        )
    }
    assert len(pages) > 100
    assert sorted(shown) == []
