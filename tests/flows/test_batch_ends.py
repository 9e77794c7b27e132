from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tests import factories
from tests.batches import confirm, lines, status
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import deliver_due, points, tamper, travel
from twofa.channels.memory import outbox
from twofa.exceptions import TemporaryFailure, TransactionChanged
from twofa.flows import sweeps
from twofa.models import Challenge, Delivery, Event, Redemption, RedemptionBatch

pytestmark = pytest.mark.django_db
LINE: dict[str, Any] = {
    "order_id": "L-other",
    "amount": "1.00",
    "unit": "miles",
    "description": "Gold",
    "items": '[{"sku": "G", "name": "Gold", "quantity": 1, "amount": "1.00"}]',
    "scheduled_for": "2027-01-01 00:00:00+00",
}
BATCH: dict[str, Any] = {"request_id": "R-other", "count": 2, "total": "1.00", "unit": "miles"}


def stored_key(row: Redemption | RedemptionBatch) -> Any:
    """A row's key as the database at hand has it."""
    return row._meta.pk.get_db_prep_value(row.pk, connection)


def refuses(shop: factories.Shop, batch: RedemptionBatch, token: str) -> None:
    """The right token of what was opened does not approve what it became, and all points go back."""
    with pytest.raises(TransactionChanged):
        confirm(shop, batch, token)
    assert status(batch) == "cancelled"
    assert Challenge.objects.get(batch=batch).status == "cancelled"
    assert Event.objects.filter(type="batch.tampered", data__batch=str(batch.pk)).count() == 1
    assert RecordingBackend.count("complete") == 0


@pytest.mark.parametrize("column", LINE)
def test_changed_line_makes_the_token_fail(shop, column):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    tamper(batch.lines[1], **{column: LINE[column]})
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 3}


@pytest.mark.parametrize("column", ["participant_id", "approver_id", "storefront_id"])
def test_line_of_somebody_else_makes_the_token_fail(shop, column):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    other: Any = (
        factories.storefront(shop.campaign) if column == "storefront_id" else factories.participant(shop.campaign)
    )
    tamper(batch.lines[1], **{column: other.pk})
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 3}


@pytest.mark.parametrize("column", BATCH)
def test_changed_batch_makes_the_token_fail(shop, column):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    tamper(batch, **{column: BATCH[column]})
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 3}


def test_line_taken_out_makes_the_token_fail_and_gets_its_points_back(shop):
    batch = shop.open_batch()
    token, line = token_of(batch.challenge), batch.lines[1]
    tamper(line, batch_id=None)
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 2}
    assert points(line) == ("pending_2fa_approval", "reserved")
    travel(timedelta(minutes=31))
    sweeps.sweep()
    assert points(line) == ("cancelled", "released")
    assert Event.objects.filter(type="redemption.tampered", redemption=line.pk).count() == 1
    assert Redemption.objects.get(pk=line.pk).failure_code == "transaction_changed"


def test_line_that_was_deleted_makes_the_token_fail(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM twofa_redemption WHERE id = %s", [stored_key(batch.lines[1])])
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 2}


def test_redemption_slipped_in_makes_the_token_fail_and_ends_with_its_own(shop):
    batch, single = shop.open_batch(), shop.open()
    token = token_of(batch.challenge)
    tamper(single, batch_id=stored_key(batch))
    refuses(shop, batch, token)
    assert lines(batch) == {("cancelled", "released"): 3, ("pending_2fa_approval", "reserved"): 1}
    travel(timedelta(minutes=31))
    sweeps.sweep()
    assert points(single) == ("expired", "released")


def test_changed_line_is_not_told_of(shop):
    batch = shop.open_batch()
    tamper(batch.lines[0], description="Gold")
    deliver_due()
    assert list(outbox) == []
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == ("failed", "transaction_changed")


def test_line_changed_after_the_approval_fails_alone():
    shop = factories.Shop(completion_mode="async")
    batch = shop.open_batch()
    confirm(shop, batch, token_of(batch.challenge))
    tamper(batch.lines[1], amount="9999.00")
    travel(timedelta(minutes=1))
    sweeps.sweep()
    assert lines(batch) == {("completed", "completed"): 2, ("failed", "released"): 1}
    assert status(batch) == "partly_completed"


def test_failed_release_is_tried_again_by_the_sweeper(shop):
    batch = shop.open_batch()
    RecordingBackend.failures["release"] = iter([None, TemporaryFailure(), None])
    travel(timedelta(minutes=31))
    sweeps.sweep()
    assert lines(batch) == {("expired", "released"): 2, ("expired", "reserved"): 1}
    travel(timedelta(minutes=5))
    sweeps.sweep()
    assert lines(batch) == {("expired", "released"): 3}
    assert Redemption.objects.filter(due_at__isnull=False).count() == 0


def test_many_lines_are_released_by_a_worker(shop, monkeypatch):
    published = []
    monkeypatch.setattr("twofa.jobs.publish", lambda name, pk, **_options: published.append((name, pk)))
    batch = shop.open_batch(*["1.00"] * 6)
    tamper(batch.lines[0], amount="2.00")
    with pytest.raises(TransactionChanged):
        confirm(shop, batch, token_of(batch.challenge))
    assert RecordingBackend.count("release") == 0
    assert ("twofa.tasks.complete_batch", batch.pk) in published
    travel(timedelta(seconds=1))
    sweeps.sweep()
    assert lines(batch) == {("cancelled", "released"): 6}
