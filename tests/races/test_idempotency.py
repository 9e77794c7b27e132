"""One key, many requests at the same moment."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.races.guards import Meeting, outcomes, without_constraint
from tests.stories import travel
from twofa.flows import idempotency
from twofa.flows.idempotency import Answer
from twofa.models import IdempotencyRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

DONE = Answer(201, "{}", "application/json", stored=True)


class Counted:
    """A call that takes its time, counted."""

    def __init__(self, meeting: Meeting) -> None:
        self.times = 0
        self._lock = threading.Lock()
        self._meeting = meeting

    def __call__(self) -> Answer:
        with self._lock:
            self.times += 1
        self._meeting.wait()
        return DONE


def running(shop, call):
    return lambda: idempotency.run(call, storefront=shop.storefront, path="/a/", key="k", body={"a": 1})


def test_key_of_ten_requests_is_run_once(shop, threads):
    call = Counted(Meeting(2))
    results = threads([running(shop, call)] * 10)
    assert call.times == 1
    assert set(outcomes(results)) <= {"done", "idempotency_in_progress"}
    assert sum(result == (DONE, False) for result in results) == 1
    assert running(shop, call)() == (DONE, True)


def test_without_the_constraint_it_is_run_more_than_once(shop, threads):
    call = Counted(Meeting(4))
    with without_constraint(IdempotencyRecord, "twofa_idempotency_key"):
        threads([running(shop, call)] * 4)
    assert call.times > 1


def abandon(shop) -> None:
    """A claim whose process died more than a minute ago."""
    running(shop, Counted(Meeting(1)))()
    IdempotencyRecord.objects.update(answered_at=None, status=None)
    travel(timedelta(seconds=61))


def test_dead_claim_is_taken_over_by_one(shop, threads):
    abandon(shop)
    call = Counted(Meeting(2))
    threads([running(shop, call)] * 8)
    assert call.times == 1


def test_without_the_condition_it_is_taken_over_by_many(shop, threads, monkeypatch):
    abandon(shop)
    call = Counted(Meeting(4))
    monkeypatch.setattr(idempotency, "CLAIM_LIFE", timedelta(days=-1))
    threads([running(shop, call)] * 4)
    assert call.times > 1
