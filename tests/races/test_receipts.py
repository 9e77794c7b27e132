"""Receipts at the same moment, and a receipt beside the worker who records the hand-off."""

from __future__ import annotations

import json

import pytest

from tests.flows.channels import SETTING, ScriptedChannel
from tests.races.guards import Pause, outcomes
from twofa.channels import Callback, Receipt
from twofa.flows import deliveries, receipts
from twofa.models import Delivery, Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture(autouse=True)
def reporting(settings):
    settings.TWOFA_CHANNELS = {**SETTING, "sms": {"BACKEND": "tests.flows.test_receipts.ReportingChannel"}}
    ScriptedChannel.follow(Receipt("m-1"))


def post(status: str, **report: str):
    body = json.dumps({"status": status, **report}).encode()
    return lambda: receipts.receive("sms", Callback(body=body))


def counted() -> dict[str, int]:
    return {
        status: Event.objects.filter(type=f"delivery.{status}").count() for status in ("sent", "delivered", "failed")
    }


def test_equal_receipts_at_once_are_one_event(shop, threads):
    shop.open()
    deliveries.deliver(Delivery.objects.get().pk)

    told = outcomes(threads([post("delivered", provider_message_id="m-1")] * 10))

    assert told == {"done": 10}
    assert counted() == {"sent": 1, "delivered": 1, "failed": 0}


def test_contrary_receipts_at_once_are_one_verdict(shop, threads):
    shop.open()
    deliveries.deliver(Delivery.objects.get().pk)

    calls = [post("delivered", provider_message_id="m-1"), post("failed", provider_message_id="m-1")] * 5
    told = outcomes(threads(calls))

    assert told == {"done": 10}
    verdict = Delivery.objects.get().status
    assert counted() == {"sent": 1, "delivered": verdict == "delivered", "failed": verdict == "failed"}


def test_receipt_while_the_hand_off_is_recorded_is_not_lost(shop, threads, monkeypatch):
    """The provider's report comes between its answer and our commit, on another thread."""
    shop.open()
    row = Delivery.objects.get()
    pause = Pause(monkeypatch, deliveries.delivery, "send")
    early = post("delivered", provider_message_id="m-1", reference=row.idempotency_key)

    told = outcomes(threads([lambda: deliveries.deliver(row.pk), pause.then(early)]))

    assert told == {"done": 2}
    assert Delivery.objects.get().status == "delivered"
    assert counted() == {"sent": 1, "delivered": 1, "failed": 0}


def test_receipts_around_the_hand_off_are_never_lost(shop, threads):
    shop.campaign.max_open_challenges = 99
    shop.campaign.save()
    for _ in range(5):
        shop.open()
        row = Delivery.objects.latest("id")
        ScriptedChannel.follow(Receipt(f"m-{row.pk}"))
        early = post("delivered", provider_message_id=f"m-{row.pk}", reference=row.idempotency_key)
        threads([lambda pk=row.pk: deliveries.deliver(pk), early, early])
        row.refresh_from_db()
        assert row.status == "delivered"
    assert counted() == {"sent": 5, "delivered": 5, "failed": 0}
