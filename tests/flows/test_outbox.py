from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.flows.channels import REFUSED, SETTING, ScriptedChannel
from tests.stories import deliver_due, resend, travel, unchanged
from twofa.channels import Receipt
from twofa.exceptions import TransitionRefused
from twofa.flows import issuing, outbox, receipts
from twofa.flows.history import WORKER, Trail
from twofa.flows.receipts import Reported
from twofa.models import Challenge, Delivery, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

KEYS = {"channel", "destination", "provider", "reason", "tries", "generation"}


@pytest.fixture(autouse=True)
def scripted(settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow(Receipt("m-1", provider="two"))


def report(row: Delivery, status: str, reason: str = "") -> None:
    receipts._record(row.channel, Reported(status, reason, row.provider, "m-1"), "")


def the_event(state: str) -> Event:
    return Event.objects.get(type=f"delivery.{state}")


def told(state: str) -> dict[str, Any]:
    event = the_event(state)
    assert event.delivery_id is not None
    assert set(event.data) == KEYS
    return event.data


def test_whoever_moves_a_message_tells_the_same_of_it(shop, redemption):
    deliver_due()
    row = Delivery.objects.get()
    known = {"channel": "sms", "destination": row.destination, "provider": "two", "tries": 1, "generation": 1}
    assert told("sent") == {**known, "reason": ""}

    report(row, "failed", "recipient_unreachable")
    assert told("failed") == {**known, "reason": "recipient_unreachable"}

    resend(shop, redemption)
    travel(timedelta(minutes=1))
    resend(shop, redemption)
    assert told("superseded") == {**known, "provider": "", "reason": "", "tries": 0, "generation": 2}
    assert the_event("superseded").redemption_id == redemption.pk


def test_worker_that_gives_up_tells_it_as_a_receipt_does(redemption):
    ScriptedChannel.follow(REFUSED)
    deliver_due()

    assert told("failed")["reason"] == "message_refused"


def test_notice_has_no_number_of_a_token(shop):
    issuing.queue_notice("device.made_default", shop.device, at=now())
    deliver_due()

    assert told("sent")["generation"] is None


def test_messages_that_are_taken_back_cost_one_statement_each(redemption, sql):
    challenge = Challenge.objects.get()
    trail = Trail(WORKER, now())
    with sql() as statements:
        issuing.supersede(challenge, trail)

    # The reading with its lock, and the change of the one that was found.
    assert len(statements) == 2, str(statements)


def test_move_that_lost_its_race_tells_nothing(redemption):
    row = Delivery.objects.get()
    row.leased_until = now()
    trail = Trail(WORKER, now())
    with unchanged():
        with pytest.raises(TransitionRefused):
            outbox.move(row, trail, Delivery.Status.EXPIRED, guard=("leased_until",))
        trail.write()
    assert row.status == "queued"
