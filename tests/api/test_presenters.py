from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from twofa.api import links, presenters
from twofa.flows.next_actions import NextAction
from twofa.models import Challenge, Device, Failure

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (AT, "2026-01-31T12:00:00.123456Z"),
        (AT.replace(microsecond=0), "2026-01-31T12:00:00Z"),
        (AT.astimezone(timezone(timedelta(hours=-3))), "2026-01-31T12:00:00.123456Z"),
    ],
)
def test_times_are_in_utc(at, shown):
    assert presenters.moment(at) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1", "1.00"), ("1.5", "1.50"), ("0.01", "0.01"), ("999999999999.99", "999999999999.99"), ("1E+3", "1000.00")],
)
def test_amounts_have_two_places(amount, shown):
    assert presenters.points(Decimal(amount)) == shown


def test_next_action_has_only_what_it_says():
    assert presenters.next_action(NextAction("none"), links.NOWHERE) == {"type": "none"}
    assert presenters.next_action(NextAction("wait", available_at=AT, poll_after=2), links.NOWHERE) == {
        "type": "wait",
        "available_at": "2026-01-31T12:00:00.123456Z",
        "poll_after": 2,
    }


@pytest.mark.parametrize("code", Failure.values)
def test_failure_says_in_words_why(code):
    told = presenters._failure(code)

    assert told is not None
    assert told["code"] == code
    assert told["detail"] == told["detail"][0].upper() + str(Failure(code).label)[1:] + "."
    assert "programme" not in told["detail"], "it was no refusal by the host"


def test_reason_of_the_host_is_a_refusal_and_its_own_words_come_first():
    refused = {"code": "no_stock", "detail": "The redemption was refused by the loyalty programme."}

    assert presenters._failure("no_stock") == refused
    assert presenters._failure("no_stock", "Sold out.") == {"code": "no_stock", "detail": "Sold out."}
    assert presenters._failure("") is None


def test_pending_device_without_a_challenge_asks_for_a_token():
    assert presenters.device(Device(status="pending"), None)["next_action"]["type"] == "resend_token"


def test_challenge_on_another_device_authorizes():
    waiting = Challenge(
        purpose="device",
        action="revoke",
        status="pending",
        issued_at=AT,
        deadline=AT + timedelta(minutes=30),
        max_attempts=5,
        max_resends=3,
        resend_cooldown=timedelta(0),
    )
    waiting.read_at = AT
    device = Device(status="active")

    shown = presenters.device(device, waiting)

    assert shown["challenge"] is None
    assert shown["authorization"] is not None
    assert shown["next_action"] == {"type": "authorize_device", "path": f"/devices/{device.uuid}/authorize/"}
