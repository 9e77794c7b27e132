from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.batches import approve, lines, status
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, travel, unchanged
from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.flows import batch_completions, completions, parked_completions, sweeps
from twofa.models import Campaign, Event, Redemption, RedemptionBatch

pytestmark = pytest.mark.django_db
DONE, FAILED = ("completed", "completed"), ("failed", "released")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    jobs: list[Any] = []
    monkeypatch.setattr("twofa.jobs.publish", lambda name, pk, **_options: jobs.append((name, pk)))
    return jobs


def test_few_lines_are_completed_in_the_request(shop, published):
    batch = shop.open_batch(*["1.00"] * 5)
    assert approve(shop, batch).status == "completed"
    assert "twofa.tasks.complete_batch" not in [name for name, _pk in published]


def test_many_lines_are_one_job(shop, published):
    batch = shop.open_batch(*["1.00"] * 6)
    published.clear()
    assert approve(shop, batch).status == "completing"
    assert published == [("twofa.tasks.complete_batch", batch.pk)]
    assert lines(batch) == {("approved", "reserved"): 6}
    batch_completions.drive(batch.pk)
    assert (status(batch), lines(batch)) == ("completed", {DONE: 6})


@pytest.mark.parametrize("of", ["campaign", "storefront"])
def test_asynchronous_mode_is_one_job_however_few(published, of):
    shop = factories.Shop(completion_mode="async" if of == "campaign" else "sync")
    if of == "storefront":
        shop.storefront.completion_mode = "async"
        shop.storefront.save()
    batch = shop.open_batch("1.00")
    assert approve(shop, batch).status == "completing"
    assert ("twofa.tasks.complete_batch", batch.pk) in published


def test_job_that_comes_again_does_nothing(shop):
    batch = shop.open_batch()
    approve(shop, batch)
    with unchanged():
        batch_completions.drive(batch.pk)


def test_job_of_a_batch_that_waits_does_nothing(shop):
    batch = shop.open_batch()
    with unchanged():
        batch_completions.drive(batch.pk)


def test_each_line_has_its_own_outcome(shop):
    RecordingBackend.failures["complete"] = iter([None, RedemptionRefused("no_stock"), None])
    batch = shop.open_batch()
    done = approve(shop, batch)
    assert [line.status for line in done.lines] == ["completed", "failed", "completed"]
    assert done.lines[1].failure_code == "no_stock"
    assert (done.status, done.failure_code) == ("partly_completed", "")
    assert done.completed_at is not None
    assert lines(batch) == {DONE: 2, FAILED: 1}
    assert Event.objects.get(type="batch.partly_completed").data == {
        "batch": str(batch.pk), "completed": 2, "failed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reasons", "code"), [(("a", "a", "a"), "a"), (("a", "b", "a"), "several_reasons")], ids=["one", "several"]
)
def test_batch_none_of_whose_lines_was_completed_failed(shop, reasons, code):
    RecordingBackend.failures["complete"] = iter([RedemptionRefused(reason) for reason in reasons])
    done = approve(shop, shop.open_batch())
    assert (done.status, done.failure_code, done.completed_at) == ("failed", code, None)
    assert lines(done) == {FAILED: 3}


def test_line_with_an_unknown_outcome_is_tried_again_and_keeps_the_batch_open(shop):
    RecordingBackend.failures["complete"] = iter([None, TemporaryFailure(), None])
    batch = shop.open_batch()
    assert approve(shop, batch).status == "completing"
    assert lines(batch) == {DONE: 2, ("approved", "reserved"): 1}
    travel(timedelta(minutes=5))
    sweeps.sweep()
    assert (status(batch), lines(batch)) == ("completed", {DONE: 3})


@pytest.mark.parametrize("end", ["retry", "fail"])
def test_parked_line_keeps_the_batch_open_until_staff_decide(shop, settings, end):
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    RecordingBackend.failures["complete"] = iter([None, TemporaryFailure(), None])
    batch = shop.open_batch()
    assert approve(shop, batch).status == "completing"
    travel(timedelta(hours=2))
    sweeps.sweep()
    assert status(batch) == "completing"
    parked = Redemption.objects.parked().get()
    {"retry": parked_completions.retry, "fail": parked_completions.fail}[end](parked.pk, actor=STAFF, reason="Looked.")
    assert status(batch) == ("completed" if end == "retry" else "partly_completed")


def test_participant_switched_off_after_the_approval_fails_the_lines_left(shop, published):
    batch = shop.open_batch(*["1.00"] * 6)
    approve(shop, batch)
    Campaign.objects.update(is_active=False)
    batch_completions.drive(batch.pk)
    assert (status(batch), lines(batch)) == ("failed", {FAILED: 6})


def test_line_that_breaks_does_not_keep_the_others_waiting(shop, published, monkeypatch):
    batch = shop.open_batch(*["1.00"] * 6)
    approve(shop, batch)
    complete = completions.complete

    def breaks(pk: Any) -> Redemption:
        if pk == batch.lines[2].pk:
            raise OSError
        return complete(pk)

    monkeypatch.setattr(completions, "complete", breaks)
    batch_completions.drive(batch.pk)
    assert lines(batch) == {DONE: 5, ("approved", "reserved"): 1}
    assert status(batch) == "completing"
    monkeypatch.undo()
    travel(timedelta(minutes=1))
    sweeps.sweep()
    assert RedemptionBatch.objects.get().status == "completed"
