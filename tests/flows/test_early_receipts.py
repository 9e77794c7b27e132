"""Receipts that come before their message is recorded as sent, or speak of another try than the one that is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.flows.channels import BUSY, SETTING, ScriptedChannel
from tests.flows.receipts import CHANNELS, ReportingChannel, post, sent, the_row, told
from tests.stories import deliver_due, everything, travel
from twofa.channels import DeliveryError
from twofa.flows import issuing
from twofa.models import Challenge, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reporting(settings):
    settings.TWOFA_CHANNELS = CHANNELS
    ScriptedChannel.follow()


class EarlyBird(ReportingChannel):
    """Its provider reports before it answers."""

    reports: tuple[dict[str, str], ...] = ()

    def send(self, message):
        for report in EarlyBird.reports:
            post(reference=message.idempotency_key, **report)
        return super().send(message)


@pytest.fixture
def early(settings):
    settings.TWOFA_CHANNELS = {**SETTING, "sms": {"BACKEND": "tests.flows.test_early_receipts.EarlyBird"}}

    def say(*reports: dict[str, str]) -> None:
        EarlyBird.reports = reports

    return say


def test_report_before_the_answer_is_kept_until_the_hand_off_is_recorded(redemption, early):
    early({"status": "sent", "message_id": "m-1"}, {"status": "delivered", "message_id": "m-1"})
    row = sent("m-1")

    assert (row.status, row.early_report, row.provider_message_id) == ("delivered", None, "m-1")
    assert row.sent_at == row.delivered_at
    assert told() == ["sent", "delivered"]
    assert Challenge.objects.get().expires_at == row.sent_at + timedelta(minutes=5)


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_early_report_is_the_providers_word_as_a_late_one_is(shop, early, status):
    shop.open()
    early({"status": status, "message_id": "m-1", "reason": "not_delivered", "provider": "two"})
    sent("m-1", provider="two")
    shop.open()
    early()
    sent("m-2", provider="two")
    post(status, "m-2", reason="not_delivered", provider="two")

    columns = ("actor_kind", "actor", "data")
    before, after = Event.objects.filter(type=f"delivery.{status}").order_by("pk").values_list(*columns)
    assert before == after
    assert before[:2] == ("provider", "two")
    assert set(Event.objects.filter(type="delivery.sent").values_list("actor_kind", flat=True)) == {"worker"}


def test_failure_before_the_answer_is_kept_as_well(redemption, early):
    early({"status": "failed", "message_id": "m-1", "reason": "recipient_refused"})
    row = sent("m-1")

    assert (row.status, row.reason) == ("failed", "recipient_refused")
    assert told() == ["sent", "failed"]


def test_early_reports_of_a_notice_are_kept_as_well(shop, early):
    early({"status": "delivered", "message_id": "m-1"})
    issuing.queue_notice("device.made_default", shop.device, at=now())

    assert sent("m-1").status == "delivered"


def test_delivered_is_not_overwritten_by_what_comes_out_of_order(redemption, early):
    early({"status": "delivered", "message_id": "m-1"}, {"status": "failed", "message_id": "m-1"})

    assert sent("m-1").status == "delivered"


def test_failure_of_an_earlier_attempt_is_not_one_of_the_attempt_that_succeeded(redemption, early):
    early({"status": "failed", "message_id": "m-lost"})

    assert sent("m-1").status == "sent"
    assert told() == ["sent"]


def test_report_of_a_message_whose_answer_was_lost_spares_its_repetition(redemption, early):
    early({"status": "delivered", "message_id": "m-lost", "provider": "two"})
    ScriptedChannel.follow(DeliveryError("timeout", retryable=True))
    deliver_due()

    row = the_row()
    assert ScriptedChannel.calls == 1
    assert (row.status, row.provider_message_id, row.provider) == ("delivered", "m-lost", "two")
    assert told() == ["sent", "delivered"]
    assert Challenge.objects.get().expires_at == row.sent_at + timedelta(minutes=5)


def test_report_between_two_tries_spares_the_second(redemption):
    ScriptedChannel.follow(BUSY)
    deliver_due()
    assert the_row().status == "queued"

    post("delivered", "m-lost", reference=the_row().idempotency_key)
    travel(timedelta(seconds=30))
    deliver_due()

    assert ScriptedChannel.calls == 1
    assert (the_row().status, told()) == ("delivered", ["queued", "sent", "delivered"])


@pytest.mark.parametrize("is_early", [False, True])
def test_failure_without_an_id_is_that_of_the_only_try(redemption, early, is_early):
    """A gateway may give back our key alone, even where its answer named an id."""
    failed = {"status": "failed", "reason": "recipient_unreachable"}
    early(*[failed] * is_early)
    row = sent("m-1")
    if not is_early:
        post(reference=row.idempotency_key, **failed)

    assert (the_row().status, the_row().reason) == ("failed", "recipient_unreachable")
    assert told() == ["sent", "failed"]


def test_failure_without_an_id_is_of_no_try_where_there_were_several(redemption):
    ScriptedChannel.follow(BUSY)
    deliver_due()
    travel(timedelta(seconds=30))
    row = sent("m-2")
    assert (row.status, row.tries) == ("sent", 2)
    before = everything()

    post("failed", reference=row.idempotency_key, reason="recipient_unreachable")

    assert everything() == before
