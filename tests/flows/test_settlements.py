from __future__ import annotations

import pytest

from tests.batches import approve, lines, status
from tests.factories import token_of
from tests.stories import confirm, unchanged
from twofa.flows import completions, settlements, sweeps
from twofa.models import Event, Redemption, RedemptionBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def unsettled(shop, monkeypatch) -> RedemptionBatch:
    """A batch whose process died after its last line was completed."""
    batch: RedemptionBatch = shop.open_batch()
    with monkeypatch.context() as patch:
        patch.setattr(settlements, "settle", lambda _pk: None)
        approve(shop, batch)
    assert lines(batch) == {("completed", "completed"): 3}
    assert status(batch) == "completing"
    return batch


def test_sweeper_settles_what_nobody_did(unsettled):
    assert sweeps.sweep()["settled"] == 1
    assert status(unsettled) == "completed"
    assert sweeps.sweep()["settled"] == 0


def test_settled_once(unsettled):
    settlements.settle(unsettled.pk)
    with unchanged():
        settlements.settle(unsettled.pk)
        settlements._settle(unsettled.pk)
    assert Event.objects.filter(type="batch.completed").count() == 1


def test_open_line_keeps_it_open(unsettled):
    Redemption.objects.filter(pk=unsettled.lines[0].pk).update(status="approved", points="reserved", completed_at=None)
    with unchanged():
        settlements.settle(unsettled.pk)
        settlements._settle(unsettled.pk)
    assert not settlements.due().exists()


def test_last_line_settles_whoever_completes_it(shop, monkeypatch):
    monkeypatch.setattr("twofa.jobs.publish", lambda *_args, **_options: True)
    batch = shop.open_batch(*["1.00"] * 6)
    approve(shop, batch)
    for line in batch.lines:
        assert status(batch) == "completing"
        completions.complete(line.pk)
    assert status(batch) == "completed"


def test_single_redemption_settles_nothing(shop, monkeypatch):
    monkeypatch.setattr(settlements, "settle", lambda _pk: pytest.fail("it has no batch"))
    redemption = shop.open()
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"
