"""What a receipt may change, in whatever order it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.flows.channels import ScriptedChannel
from tests.flows.receipts import CHANNELS, ReportingChannel, post, sent, the_row
from tests.stories import cancel, confirm, deliver_due, everything, resend, travel
from twofa import alerts
from twofa.channels import Receipt, ReceiptRefused
from twofa.exceptions import NotFound
from twofa.flows import issuing
from twofa.models import Challenge, Delivery, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reporting(settings):
    settings.TWOFA_CHANNELS = CHANNELS
    ScriptedChannel.follow()


def challenge_columns() -> dict[str, Any]:
    return dict(Challenge.objects.values().get())


# --- in order ---------------------------------------------------------------------------------------------------------


def test_delivered_message_is_delivered(redemption):
    row = sent()
    before = challenge_columns()

    post("delivered", "m-1")

    row.refresh_from_db()
    assert (row.status, row.reason) == ("delivered", "")
    assert row.delivered_at is not None
    assert challenge_columns() == before, "a receipt never changes a challenge"
    event = Event.objects.get(type="delivery.delivered")
    assert (event.actor_kind, event.actor, event.delivery_id) == ("provider", "sms", row.pk)
    assert (event.challenge_id, event.redemption_id) == (row.challenge_id, redemption.pk)


def test_failed_message_has_its_reason(redemption):
    sent()
    before = challenge_columns()

    post("failed", "m-1", reason="recipient_unreachable")

    row = the_row()
    assert (row.status, row.reason, row.delivered_at) == ("failed", "recipient_unreachable", None)
    assert challenge_columns() == before
    assert Event.objects.get(type="delivery.failed").data["reason"] == "recipient_unreachable"
    assert Delivery.objects.count() == 1, "no failover: that would change the challenge"


def test_resend_after_a_reported_failure_skips_the_pause_and_is_not_counted(shop, redemption):
    sent()
    post("failed", "m-1", reason="recipient_unreachable")

    resend(shop, redemption)

    challenge = Challenge.objects.get()
    assert (challenge.generation, challenge.resends) == (2, 0)


def test_message_on_its_way_changes_nothing(redemption):
    sent()
    before = everything()
    for status in ("queued", "accepted", "sent", "sending", ""):
        post(status, "m-1")
    assert everything() == before


@pytest.mark.parametrize("first", ["delivered", "failed"])
@pytest.mark.parametrize("then", ["delivered", "failed", "sent"])
def test_first_verdict_stands(redemption, first, then):
    sent()
    post(first, "m-1", reason="not_delivered")
    before = everything()

    post(then, "m-1", reason="recipient_refused")

    assert everything() == before


def test_notice_is_delivered(shop):
    row = issuing.queue_notice("device.made_default", shop.device, at=now())
    sent("m-notice")

    post("delivered", "m-notice")
    assert the_row().status == "delivered"

    row = issuing.queue_notice("device.made_default", shop.device, at=now())
    ScriptedChannel.follow(Receipt(None))
    deliver_due()
    post("failed", reference=row.idempotency_key, reason="not_delivered")
    assert the_row().status == "failed"


# --- late -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["approved", "cancelled", "renewed"])
@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_late_receipt_changes_the_delivery_alone(shop, redemption, ending, status):
    sent()
    if ending == "approved":
        confirm(shop, redemption, factories.token_of(redemption.challenge))
    elif ending == "cancelled":
        cancel(shop, redemption)
    else:
        travel(timedelta(seconds=31))
        resend(shop, redemption)
    before, redeemed = challenge_columns(), redemption.__class__.objects.values().get()

    post(status, "m-1", reason="not_delivered" if status == "failed" else "")

    assert Delivery.objects.earliest("id").status == status
    assert challenge_columns() == before
    assert redemption.__class__.objects.values().get() == redeemed


def test_receipt_of_a_message_taken_back_changes_nothing(shop, redemption):
    key = the_row().idempotency_key
    cancel(shop, redemption)
    deliver_due()
    assert the_row().status == "superseded"
    before = everything()

    post("delivered", "m-1", reference=key)

    assert everything() == before


# --- whose ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "report",
    [
        {"message_id": "m-2"},
        {"message_id": ""},
        {"message_id": "m-1", "alias": "whatsapp"},
        {"message_id": "m-1", "provider": "two"},
        {"reference": "0197a000-0000-7000-8000-000000000001:1"},
        {"reference": "notice:1"},
        {"reference": "0197a000-0000-7000-8000-000000000001:"},
        {"reference": f"notice:{'9' * 30}"},
        {"reference": "no uuid:1"},
        {"reference": "0197a000-0000-7000-8000-000000000001:999999999999"},
    ],
)
def test_receipt_of_an_unknown_message_is_told_so(redemption, report):
    """404, so that a provider which repeats its receipts comes back with one that came before we knew the id."""
    sent()
    before = everything()

    with pytest.raises(NotFound):
        post("delivered", **{"message_id": "", **report})

    assert everything() == before


@pytest.mark.parametrize("message_id", ["", "\0"])
@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_report_that_names_nobody_is_not_of_the_message_without_an_id(redemption, status, message_id):
    ScriptedChannel.follow(Receipt(None))
    deliver_due()
    assert (the_row().status, the_row().provider_message_id) == ("sent", "")
    before = everything()

    with pytest.raises(NotFound):
        post(status, message_id)

    assert everything() == before


def test_reference_of_another_channel_is_unknown(redemption):
    row = sent()
    before = everything()

    with pytest.raises(NotFound):
        post("delivered", "m-1", alias="whatsapp", reference=row.idempotency_key)

    assert everything() == before


def test_receipt_is_the_providers_that_took_the_message(redemption):
    row = sent(provider="two")

    post("failed", "m-1", provider="one", reference=row.idempotency_key, reason="not_delivered")
    assert the_row().status == "sent", "another provider's failed attempt"

    post("failed", "m-1", provider="two", reason="not_delivered")
    assert (the_row().status, the_row().provider) == ("failed", "two")
    assert Event.objects.get(type="delivery.failed").actor == "two"


def test_id_that_two_messages_have_is_nobodys(shop, caplog):
    for _ in range(2):
        shop.open()
        sent("the same")

    with pytest.raises(NotFound):
        post("delivered", "the same")

    assert "same id" in caplog.text


@pytest.mark.parametrize(
    ("alias", "provider"), [("email", ""), ("sandbox", ""), ("pager", ""), ("", ""), ("sms", "three")]
)
def test_channel_that_takes_no_receipts_has_no_path(redemption, alias, provider):
    row = sent()
    before = everything()

    with pytest.raises(NotFound):
        post("delivered", "m-1", alias=alias, provider=provider, reference=row.idempotency_key)

    assert everything() == before


def test_refused_receipts_sound_one_alert_a_path_and_change_nothing(redemption, monkeypatch, caplog):
    """Anybody may post them, any number of times: the log must not be theirs to fill."""

    def refuse(*_args):
        raise ReceiptRefused

    sent()
    monkeypatch.setattr(ReportingChannel, "read_receipt", refuse)
    alerts.forget()
    caplog.clear()
    before = everything()

    for provider in ("", "two") * 5:
        with pytest.raises(ReceiptRefused):
            post("delivered", "m-1", provider=provider)

    assert everything() == before
    sounded = [(record.alert, record.alert_ids) for record in caplog.records if record.levelname == "WARNING"]
    assert sounded == [
        ("receipt_refused", {"channel": "sms"}),
        ("receipt_refused", {"channel": "sms", "provider": "two"}),
    ]


def test_text_that_no_database_takes_is_taken(redemption):
    with pytest.raises(NotFound):
        post("delivered", "m-\0\ud800")
    sent()
    post("failed", "m-1\0", reason="lost\0")

    assert (the_row().status, the_row().reason) == ("failed", "lost")


def test_reason_too_long_for_its_column_is_cut(redemption):
    sent()
    post("failed", "m-1", reason="x" * 500)

    assert the_row().reason == "x" * 64
