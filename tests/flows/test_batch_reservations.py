from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.batches import approve, cancel, lines, resend, status
from tests.fulfillment import RecordingBackend
from tests.stories import deliver_due, refused, travel
from twofa.channels.memory import outbox
from twofa.exceptions import RedemptionRefused, TemporaryFailure, WrongState
from twofa.flows import sweeps
from twofa.models import Challenge, Delivery, RedemptionBatch

pytestmark = pytest.mark.django_db
PENDING, APPROVED = "pending_2fa_approval", "approved"


@pytest.fixture(autouse=True)
def _remote(settings: Any) -> None:
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RemoteBackend"


@pytest.fixture
def exempt() -> factories.Shop:
    return factories.Shop(two_factor_mode="off", completion_mode="async")


def fail(*errors: Exception | None) -> None:
    RecordingBackend.failures["reserve"] = iter(errors)


def sweep_later() -> None:
    travel(timedelta(minutes=2))
    sweeps.sweep()


def test_token_is_sent_once_all_points_are_set_aside(shop):
    batch = shop.open_batch()
    assert lines(batch) == {(PENDING, "reserved"): 3}
    deliver_due()
    assert len(outbox) == 1
    assert approve(shop, batch).status == "completed"


def test_no_token_is_sent_while_one_line_waits_for_its_ledger(shop):
    fail(None, TemporaryFailure())
    batch = shop.open_batch()
    assert lines(batch) == {(PENDING, "reserved"): 1, (PENDING, "none"): 2}
    deliver_due()
    assert list(outbox) == []
    with refused(WrongState):
        resend(shop, batch)
    sweep_later()
    assert lines(batch) == {(PENDING, "reserved"): 3}
    deliver_due()
    assert len(outbox) == 1


def test_refused_line_cancels_the_batch_and_gives_the_others_back(shop):
    fail(None, RedemptionRefused("insufficient_points"))
    with pytest.raises(RedemptionRefused) as refusal:
        shop.open_batch()
    assert refusal.value.params == {"reason": "insufficient_points", "line": 1}
    batch = RedemptionBatch.objects.get()
    assert (batch.status, batch.failure_code) == ("cancelled", "insufficient_points")
    assert lines(batch) == {("cancelled", "released"): 2, ("cancelled", "none"): 1}
    assert Challenge.objects.get().status == "cancelled"
    assert Delivery.objects.get().status == "superseded"
    deliver_due()
    assert list(outbox) == []


def test_line_refused_to_the_sweeper_cancels_the_batch(shop):
    fail(None, TemporaryFailure(), RedemptionRefused("insufficient_points"))
    batch = shop.open_batch()
    sweep_later()
    assert status(batch) == "cancelled"
    sweep_later()
    assert lines(batch) == {("cancelled", "released"): 2, ("cancelled", "none"): 1}


def test_points_that_may_be_set_aside_are_given_back_at_the_deadline(shop):
    fail(None, TemporaryFailure())
    batch = shop.open_batch()
    fail(*[TemporaryFailure()] * 100)
    travel(timedelta(minutes=31))
    sweeps.sweep()
    assert (status(batch), lines(batch)) == ("expired", {("expired", "released"): 3})


def test_cancelled_before_its_ledger_answered(shop):
    fail(None, TemporaryFailure())
    batch = shop.open_batch()
    assert cancel(shop, batch).status == "cancelled"
    assert lines(batch) == {("cancelled", "released"): 3}


def test_exempt_batch_completes_nothing_before_all_points_are_set_aside(exempt):
    fail(None, TemporaryFailure())
    batch = exempt.open_batch()
    assert lines(batch) == {(APPROVED, "reserved"): 1, (APPROVED, "none"): 2}
    sweeps.sweep()
    assert RecordingBackend.count("complete") == 0
    sweep_later()
    sweep_later()
    called = [name for name, _pk in RecordingBackend.calls]
    assert called == ["reserve"] * 4 + ["complete"] * 3
    assert (status(batch), lines(batch)) == ("completed", {("completed", "completed"): 3})


def test_exempt_batch_that_is_refused_fails_as_a_whole(exempt):
    fail(None, None, RedemptionRefused("insufficient_points"))
    with pytest.raises(RedemptionRefused) as refusal:
        exempt.open_batch()
    assert refusal.value.params["line"] == 2
    batch = RedemptionBatch.objects.get()
    assert (batch.status, batch.failure_code) == ("failed", "insufficient_points")
    assert lines(batch) == {("failed", "released"): 2, ("failed", "none"): 1}
    assert RecordingBackend.count("complete") == 0


def test_exempt_batch_whose_ledger_never_answers_fails_and_gives_all_back(exempt, settings):
    settings.TWOFA_COMPLETION_MAX_TRIES = 2
    fail(None, TemporaryFailure(), TemporaryFailure())
    batch = exempt.open_batch()
    sweep_later()
    sweep_later()
    assert status(batch) == "failed"
    assert lines(batch) == {("failed", "released"): 3}
    codes = list(batch.redemptions.order_by("pk").values_list("failure_code", flat=True))
    assert codes == ["batch_refused", "unavailable", "batch_refused"], "each line says what became of itself"
    assert RecordingBackend.count("complete") == 0


def test_right_token_after_the_ledger_answered_late(shop):
    fail(None, TemporaryFailure())
    batch = shop.open_batch()
    sweep_later()
    deliver_due()
    assert approve(shop, batch).status == "completed"
