"""Whatever a ledger answers, and however a batch ends: what is spent is what its completed lines cost, and no more."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import batches, factories
from tests.property.ledger import FAILED, FINE, LOST, REFUSED, Ledger
from tests.stories import STAFF, travel
from twofa.exceptions import RedemptionRefused
from twofa.flows import parked_completions, sweeps
from twofa.models import Event, Redemption, RedemptionBatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
AMOUNTS = st.lists(st.integers(1, 10**6).map(lambda cents: str(Decimal(cents) / 100)), min_size=1, max_size=7)
ANSWERS = st.lists(st.sampled_from([FINE, FINE, FINE, REFUSED, FAILED, LOST]), max_size=20)
ENDED = {"completed": "completed", "partly_completed": "partly", "failed": "failed"}


def open_batch(amounts: list[str], mode: str) -> tuple[factories.Shop, RedemptionBatch]:
    shop = factories.Shop(two_factor_mode=mode)
    with suppress(RedemptionRefused):
        shop.open_batch(*amounts)
    return shop, RedemptionBatch.objects.get(campaign=shop.campaign)


def end(shop: factories.Shop, batch: RedemptionBatch, how: str) -> None:
    """Do what somebody does to a batch that waits; what may not be done now is refused."""
    act = {
        "confirm": lambda: batches.approve(shop, batch),
        "cancel": lambda: batches.cancel(shop, batch),
        "reject": lambda: batches.reject(shop, batch, 5),
        "wait": lambda: travel(timedelta(minutes=31)),
    }
    if batch.status == "pending_2fa_approval":
        act[how]()


def settle(batch: RedemptionBatch) -> None:
    """Let time pass and sweepers run, and staff decide, until nothing is left to do."""
    for _day in range(6):
        travel(timedelta(hours=3))
        sweeps.sweep()
        for line in Redemption.objects.filter(batch=batch).parked():
            parked_completions.retry(line.pk, actor=STAFF, reason="The ledger is up again.")
    batch.refresh_from_db()


@settings(max_examples=10)
@given(amounts=AMOUNTS, answers=ANSWERS, how=st.sampled_from(["confirm", "confirm", "cancel", "reject", "wait"]),
       mode=st.sampled_from(["required", "off"]))  # fmt: skip
@override_settings(
    TWOFA_FULFILLMENT_BACKEND="tests.property.ledger.Ledger", TWOFA_COMPLETION_MAX_TRIES=2, CELERY_BROKER_URL=""
)
def test_sums_balance_whatever_the_ledger_answers(amounts, answers, how, mode):
    Ledger.clear(answers)
    shop, batch = open_batch(amounts, mode)
    end(shop, batch, how)
    settle(batch)

    rows = list(Redemption.objects.filter(batch=batch).order_by("pk"))
    completed = [row for row in rows if row.status == "completed"]
    assert len(rows) == len(amounts)
    assert batch.is_final
    assert all(row.is_final and row.points in ("completed", "released", "none") for row in rows)
    assert Ledger.held == {}
    # Also of a completion whose answer was lost: the next call is told so, and nothing is paid twice or given back.
    assert {row.pk: row.amount for row in completed} == Ledger.spent
    assert {row.pk for row in rows if row.points == "released"} <= Ledger.given_back
    if batch.status in ENDED:
        expected = "completed" if len(completed) == len(rows) else "partly_completed" if completed else "failed"
        assert batch.status == expected
    else:
        assert completed == []
        assert Ledger.spent == {}
    told = Event.objects.filter(type__startswith="batch.", data__batch=str(batch.pk)).exclude(
        type__in=["batch.pending", "batch.exempted", "batch.approved"]
    )
    assert [event.type for event in told] == [f"batch.{batch.status}"]
