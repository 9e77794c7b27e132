"""The gate before the points: what a row alone says was approved is not taken for it."""

from __future__ import annotations

import pytest

from tests.batches import lines, status
from tests.fulfillment import RecordingBackend
from tests.stories import points, tamper
from twofa.flows import completions
from twofa.models import Challenge, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def test_row_that_was_called_approved_by_hand_spends_nothing(shop):
    redemption = shop.open()
    tamper(redemption, status="approved", approved_digest=redemption.digest(), due_at=now())
    completions.drive(redemption.pk)
    assert points(redemption) == ("failed", "released")
    assert RecordingBackend.count("complete") == 0
    assert Challenge.objects.get().status == "pending"
    assert Event.objects.filter(type="redemption.tampered").count() == 1


def test_line_that_was_called_approved_by_hand_spends_nothing(shop):
    batch = shop.open_batch()
    line = batch.lines[0]
    tamper(line, status="approved", approved_digest=line.digest(), due_at=now())
    completions.drive(line.pk)
    assert lines(batch) == {("pending_2fa_approval", "reserved"): 2, ("failed", "released"): 1}
    assert RecordingBackend.count("complete") == 0
    assert status(batch) == "pending_2fa_approval"
