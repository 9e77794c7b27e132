from __future__ import annotations

from datetime import timedelta

import pytest

from tests.models.test_challenge import T, challenge
from twofa.flows.next_actions import of_challenge, of_redemption
from twofa.models import Redemption


@pytest.mark.parametrize(
    ("columns", "after", "type_"),
    [
        ({}, 0, "confirm_token"),
        ({"delivery_status": "sent", "expires_at": T + timedelta(minutes=5)}, 299, "confirm_token"),
        ({"delivery_status": "sent", "expires_at": T + timedelta(minutes=5)}, 300, "resend_token"),
        ({"resends": 3, "expires_at": T + timedelta(minutes=5)}, 300, "none"),
        ({"delivery_status": "failed"}, 0, "resend_token"),
        ({"delivery_status": "expired", "resends": 3}, 0, "resend_token"),
        ({}, 30 * 60, "none"),
        ({"status": "approved"}, 0, "none"),
        ({"status": "rejected"}, 0, "none"),
    ],
    ids=str,
)
def test_next_action_of_a_challenge(columns, after, type_):
    delivery = columns.pop("delivery_status", "queued")
    row = challenge(**columns)
    row.delivery_status = delivery
    assert of_challenge(row, T + timedelta(seconds=after)).type == type_


def test_resend_is_available_after_the_pause_or_at_once_where_nothing_arrived():
    row = challenge(expires_at=T)
    assert of_challenge(row, T).available_at == T + timedelta(seconds=30)
    row.delivery_status = "failed"
    assert of_challenge(row, T).available_at == T


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        ("approved", "wait"),
        ("scheduled", "wait"),
        ("completed", "none"),
        ("failed", "none"),
        ("rejected", "none"),
        ("expired", "none"),
        ("cancelled", "none"),
    ],
)
def test_next_action_of_a_redemption(status, type_):
    assert of_redemption(Redemption(status=status)).type == type_


def test_next_action_of_a_waiting_redemption_is_that_of_its_challenge():
    redemption = Redemption(status="pending_2fa_approval", two_factor_required=True)
    redemption.read_at = T
    redemption.challenge = challenge()
    assert of_redemption(redemption).type == "confirm_token"


@pytest.mark.parametrize(("after", "type_", "at"), [(-1, "wait", T), (0, "wait", None), (1, "wait", None)])
def test_scheduled_redemption_waits_for_its_time_and_then_for_its_end(after, type_, at):
    redemption = Redemption(status="scheduled", scheduled_for=T)
    redemption.read_at = T + timedelta(seconds=after)
    action = of_redemption(redemption)
    assert (action.type, action.available_at) == (type_, at)
    assert (action.poll_after is None) == (at is not None)
