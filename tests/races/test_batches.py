"""Batches at the same moment: one token told twice, its last two lines, and the same ids asked for by several."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F

from tests import factories
from tests.batches import approve, cancel, confirm, lines, status
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.races.guards import Pause, blind_changes, meet_after, outcomes, unlocked, without_constraint
from twofa.flows import batch_checkouts, batches, completions, facts, settlements
from twofa.models import Challenge, Delivery, Event, Redemption, RedemptionBatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
DONE = ("completed", "completed")


@pytest.fixture
def batch(shop) -> RedemptionBatch:
    opened: RedemptionBatch = shop.open_batch()
    return opened


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let single rows, and several at once, be written whatever state they are in."""
    blind_changes(monkeypatch)

    def move_all(rows: Any, *, at: Any, each: Any = None, **changes: Any) -> None:
        for row in rows:
            own = {name: values[row.pk] for name, values in (each or {}).items()}
            Redemption.objects.filter(pk=row.pk).update(updated_at=at, version=F("version") + 1, **changes, **own)
            vars(row).update(changes, **own)

    monkeypatch.setattr(Redemption, "move_all", move_all)


# --- the token --------------------------------------------------------------------------------------------------------


def test_right_token_told_twenty_times_completes_each_line_once(shop, batch, threads):
    token = token_of(batch.challenge)
    results = threads([lambda: confirm(shop, batch, token)] * 20)
    assert outcomes(results) == {"done": 20}
    assert (status(batch), lines(batch)) == ("completed", {DONE: 3})
    completed = [pk for name, pk in RecordingBackend.calls if name == "complete"]
    assert sorted(completed) == sorted(line.pk for line in batch.lines)
    assert Event.objects.filter(type="batch.approved").count() == 1
    assert Event.objects.filter(type="batch.completed").count() == 1


def test_without_the_guards_lines_are_completed_more_than_once(shop, batch, threads, monkeypatch):
    blind(monkeypatch)
    meet_after(monkeypatch, batches, "_locked", 4)
    meet_after(monkeypatch, RecordingBackend, "complete", 4)
    token = token_of(batch.challenge)
    threads([unlocked(lambda: confirm(shop, batch, token))] * 4)
    assert RecordingBackend.count("complete") > 3


def test_sixteen_wrong_tokens_are_charged_five_times(shop, batch, threads):
    wrong = wrong_token(batch.challenge)
    told = outcomes(threads([lambda: confirm(shop, batch, wrong)] * 16))
    assert told == {"token_invalid": 4, "attempts_exhausted": 1, "challenge_closed": 11}
    assert lines(batch) == {("rejected", "released"): 3}
    assert RecordingBackend.count("release") == 3


def race_with_cancel(shop, batch, threads, monkeypatch, guard, **patience):
    token = token_of(batch.challenge)
    pause = Pause(monkeypatch, Challenge, "judge", **patience)
    return threads([guard(lambda: confirm(shop, batch, token)), guard(pause.then(lambda: cancel(shop, batch)))])


def test_confirmation_and_cancellation_do_not_both_win(shop, batch, threads, monkeypatch):
    confirmed, cancelled = race_with_cancel(shop, batch, threads, monkeypatch, lambda call: call)
    assert confirmed.status == "completed"
    assert cancelled.code == "wrong_state"
    assert lines(batch) == {DONE: 3}
    assert RecordingBackend.count("release") == 0


def test_without_the_guards_points_are_spent_and_given_back(shop, batch, threads, monkeypatch):
    blind(monkeypatch)
    race_with_cancel(shop, batch, threads, monkeypatch, unlocked, patience=5)
    assert RecordingBackend.count("release") > 0
    assert Challenge.objects.get().status == "approved"
    assert Event.objects.filter(type="batch.cancelled").count() == 1


# --- the last lines ---------------------------------------------------------------------------------------------------


@pytest.fixture
def two_left(shop) -> RedemptionBatch:
    """An approved batch of six, the last two lines of which are open; jobs are not published here."""
    batch: RedemptionBatch = shop.open_batch(*["1.00"] * 6)
    approve(shop, batch)
    for line in batch.lines[:4]:
        completions.complete(line.pk)
    assert status(batch) == "completing"
    return batch


def completing_last(batch, guard=lambda call: call):
    return [guard(lambda line=line: completions.complete(line.pk)) for line in batch.lines[4:]]


def test_last_two_lines_at_once_end_the_batch_once(two_left, threads, monkeypatch):
    meet_after(monkeypatch, RecordingBackend, "complete", 2)
    threads(completing_last(two_left))
    assert (status(two_left), lines(two_left)) == ("completed", {DONE: 6})
    assert Event.objects.filter(type="batch.completed").count() == 1


def test_both_find_all_ended_and_one_ends_the_batch(two_left, threads, monkeypatch):
    """Both commits come before either asks."""
    meet_after(monkeypatch, completions, "_complete", 2)
    meet_after(monkeypatch, settlements, "due", 2)
    threads(completing_last(two_left))
    assert status(two_left) == "completed"
    assert Event.objects.filter(type="batch.completed").count() == 1


def test_without_the_guards_the_batch_ends_twice(two_left, threads, monkeypatch):
    blind(monkeypatch)
    meet_after(monkeypatch, completions, "_complete", 2)
    meet_after(monkeypatch, settlements, "now", 2)
    threads(completing_last(two_left, unlocked))
    assert Event.objects.filter(type="batch.completed").count() == 2


def test_asked_before_their_commits_neither_would_end_the_batch(two_left, threads, monkeypatch):
    """Why it is asked after the commit: each would see the other's line open."""
    ask, settled = settlements.due, []
    monkeypatch.setattr(settlements, "settle", lambda _pk: None)

    def too_early(row, trail, completed=completions._completed):
        completed(row, trail)
        settled.append(ask().filter(pk=row.batch_id).exists())

    monkeypatch.setattr(completions, "_completed", too_early)
    meet_after(monkeypatch, completions, "_completed", 2)
    threads(completing_last(two_left))
    assert settled == [False, False]
    assert status(two_left) == "completing"


# --- the ids ----------------------------------------------------------------------------------------------------------


def opening(shop, order):
    return lambda: batch_checkouts.open_batch(
        order, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
    )


def test_same_request_is_opened_once(shop, threads):
    results = threads([opening(shop, shop.batch_order(request_id="R-1", lines=shop.batch_order().lines))] * 10)
    assert sum(created for _batch, created in results) == 1
    assert len({batch.pk for batch, _created in results}) == 1
    assert RecordingBackend.count("reserve") == 3
    assert Delivery.objects.count() == Challenge.objects.count() == 1


def test_without_the_guards_one_request_is_opened_more_than_once(shop, threads, monkeypatch):
    meet_after(monkeypatch, facts, "budgets", 3)
    orders = [shop.batch_order(request_id="R-1") for _ in range(3)]
    with without_constraint(RedemptionBatch, "twofa_batch_request"):
        threads([unlocked(opening(shop, order)) for order in orders])
        assert RedemptionBatch.objects.count() > 1


def test_order_ids_that_two_participants_use_in_another_order_are_opened_for_one(shop, threads):
    """Both insert the same two ids, in the opposite order: a deadlock, which the database breaks."""
    other = factories.participant(shop.campaign)
    factories.device(other)
    asked = shop.batch_order("1.00", "2.00").lines
    orders = [
        shop.batch_order(lines=asked),
        shop.batch_order(lines=asked[::-1], participant=other.external_id),
    ]
    results = threads([opening(shop, order) for order in orders])
    assert outcomes(results) == {"done": 1, "order_conflict": 1}
    assert (RedemptionBatch.objects.count(), Redemption.objects.count()) == (1, 2)
    assert RecordingBackend.count("reserve") == 2
