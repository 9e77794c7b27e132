"""Tokens told at the same moment: comparisons, completions and renewals."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.races.guards import Pause, blind_changes, meet_after, outcomes, unlocked
from tests.stories import cancel, confirm, points, resend, travel
from twofa import jobs
from twofa.flows import completions, facts, redemptions
from twofa.models import Campaign, Challenge, Event, Redemption
from twofa.models.clock import TIMES, now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def redemption(shop) -> Redemption:
    return shop.open()


@pytest.fixture
def comparisons(monkeypatch) -> list[str]:
    """Every token that was compared (list.append is atomic)."""
    compared: list[str] = []
    judge = Challenge.judge

    def spy(challenge: Challenge, token: str):
        compared.append(token)
        return judge(challenge, token)

    monkeypatch.setattr(Challenge, "judge", spy)
    return compared


def telling(shop, redemption, *tokens: str):
    return [lambda token=token: confirm(shop, redemption, token) for token in tokens]


# --- the gate, which was waited at ------------------------------------------------------------------------------------


def test_completion_that_waited_for_the_confirmation_sees_its_token(shop, redemption, threads, monkeypatch):
    """PostgreSQL reads the row again after a wait, and not what stands in other tables (ADR 0003)."""
    Campaign.objects.update(completion_mode="async")
    monkeypatch.setattr(jobs, "publish", lambda *args, **options: True)
    monkeypatch.setattr(completions, "_announce", lambda pk: None)
    token = token_of(redemption.challenge)
    pause = Pause(monkeypatch, Challenge, "judge")
    threads([lambda: confirm(shop, redemption, token), pause.then(lambda: completions.complete(redemption.pk))])
    assert points(redemption) == ("completed", "completed")


# --- sixty at once ----------------------------------------------------------------------------------------------------


def test_sixty_wrong_tokens_are_compared_five_times(shop, redemption, comparisons, threads):
    wrong = wrong_token(redemption.challenge)
    told = outcomes(threads(telling(shop, redemption, *[wrong] * 60)))
    assert len(comparisons) == 5
    assert told == {"token_invalid": 4, "attempts_exhausted": 1, "challenge_closed": 55}
    assert points(redemption) == ("rejected", "released")
    assert Challenge.objects.get().attempts == 5
    assert Event.objects.filter(type="challenge.attempt_failed").count() == 5
    assert RecordingBackend.count("release") == 1


def test_without_the_guards_more_are_compared(shop, redemption, comparisons, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, redemptions, "_related", 8)
    wrong = wrong_token(redemption.challenge)
    threads([unlocked(call) for call in telling(shop, redemption, *[wrong] * 8)])
    assert len(comparisons) > 5
    assert Challenge.objects.get().attempts < len(comparisons)


def test_sixty_right_tokens_complete_once(shop, redemption, comparisons, threads):
    token = token_of(redemption.challenge)
    results = threads(telling(shop, redemption, *[token] * 60))
    assert outcomes(results) == {"done": 60}
    assert points(redemption) == ("completed", "completed")
    assert RecordingBackend.calls == [("reserve", redemption.pk), ("complete", redemption.pk)]
    assert len(comparisons) == 1
    assert Event.objects.filter(type="redemption.completed").count() == 1


def test_without_the_guards_the_host_completes_more_than_once(shop, redemption, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, redemptions, "_related", 6)
    meet_after(monkeypatch, RecordingBackend, "complete", 6)
    threads([unlocked(call) for call in telling(shop, redemption, *[token_of(redemption.challenge)] * 6)])
    assert RecordingBackend.count("complete") > 1


@pytest.mark.parametrize("wrongs", [4, 12])
def test_wrong_and_right_tokens_at_once_end_in_one_way(shop, redemption, comparisons, threads, wrongs):
    right, wrong = token_of(redemption.challenge), wrong_token(redemption.challenge)
    threads(telling(shop, redemption, *[right] * 10, *[wrong] * wrongs))
    assert len(comparisons) <= 5
    completed = points(redemption) == ("completed", "completed")
    assert completed or points(redemption) == ("rejected", "released")
    assert completed or wrongs > 4, "four wrong ones leave one attempt"
    assert (RecordingBackend.count("complete"), RecordingBackend.count("release")) == (completed, not completed)


def test_without_the_guards_wrong_and_right_tokens_both_win(shop, redemption, comparisons, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, redemptions, "_related", 10)
    right, wrong = token_of(redemption.challenge), wrong_token(redemption.challenge)
    threads([unlocked(call) for call in telling(shop, redemption, *[right] * 5, *[wrong] * 5)])
    assert len(comparisons) > 5


# --- against one other ------------------------------------------------------------------------------------------------


def race_with_resend(shop, redemption, threads, monkeypatch, guard):
    token = token_of(redemption.challenge)
    travel(timedelta(seconds=31))
    pause = Pause(monkeypatch, Challenge, "judge")
    return threads(
        [
            guard(lambda: confirm(shop, redemption, token)),
            guard(pause.then(lambda: resend(shop, redemption))),
        ]
    )


def test_confirmation_and_renewal_do_not_both_win(shop, redemption, threads, monkeypatch):
    confirmed, renewed = race_with_resend(shop, redemption, threads, monkeypatch, lambda call: call)
    assert confirmed.status == "completed"
    assert renewed.code == "challenge_closed"
    assert Challenge.objects.get().generation == 1


def test_without_the_guards_a_voided_token_confirms(shop, redemption, threads, monkeypatch):
    blind_changes(monkeypatch)
    race_with_resend(shop, redemption, threads, monkeypatch, unlocked)
    challenge = Challenge.objects.get()
    assert (challenge.status, challenge.generation) == ("approved", 2)


def race_with_cancel(shop, redemption, threads, monkeypatch, guard):
    token = token_of(redemption.challenge)
    pause = Pause(monkeypatch, Challenge, "judge")
    threads([guard(lambda: confirm(shop, redemption, token)), guard(pause.then(lambda: cancel(shop, redemption)))])
    return RecordingBackend.count("complete"), RecordingBackend.count("release")


def test_confirmation_and_cancellation_do_not_both_win(shop, redemption, threads, monkeypatch):
    assert race_with_cancel(shop, redemption, threads, monkeypatch, lambda call: call) == (1, 0)
    assert points(redemption) == ("completed", "completed")


def test_without_the_guards_points_are_spent_and_given_back(shop, redemption, threads, monkeypatch):
    blind_changes(monkeypatch)
    completed, released = race_with_cancel(shop, redemption, threads, monkeypatch, unlocked)
    assert (completed, released) != (1, 0)
    assert points(redemption) != ("completed", "completed")


def race_with_expiry(shop, redemption, threads, monkeypatch, guard):
    token = token_of(redemption.challenge)
    deadline = now() + timedelta(milliseconds=300)
    Challenge.objects.update(deadline=deadline)
    pause = Pause(monkeypatch, Challenge, "judge", patience=1)

    def expire() -> None:
        time.sleep(0.35)
        redemptions.expire(redemption.pk)

    threads([guard(lambda: confirm(shop, redemption, token)), guard(pause.then(expire))])
    return RecordingBackend.count("complete"), RecordingBackend.count("release")


def test_confirmation_in_time_and_expiry_do_not_both_win(shop, redemption, threads, monkeypatch):
    assert race_with_expiry(shop, redemption, threads, monkeypatch, lambda call: call) == (1, 0)
    assert points(redemption) == ("completed", "completed")


def test_without_the_guards_an_expired_redemption_is_confirmed(shop, redemption, threads, monkeypatch):
    blind_changes(monkeypatch)
    assert race_with_expiry(shop, redemption, threads, monkeypatch, unlocked) != (1, 0)


# --- waiting for a lock -----------------------------------------------------------------------------------------------


def wait_across_expiry(shop, redemption, threads):
    """The token expires while its confirmation waits for a row that somebody else holds."""
    token = token_of(redemption.challenge)
    Challenge.objects.update(expires_at=now() + timedelta(seconds=1.5))
    held = threading.Event()

    def hold() -> None:
        with redemptions.transaction.atomic():
            Redemption.objects.select_for_update().get(pk=redemption.pk)
            held.set()
            time.sleep(1.8)

    def wait():
        assert held.wait(timeout=10)
        return confirm(shop, redemption, token)

    return threads([hold, wait])[1]


def test_token_that_expires_during_the_wait_for_a_lock_is_expired(shop, redemption, threads):
    assert wait_across_expiry(shop, redemption, threads).code == "token_expired"
    assert Challenge.objects.get().attempts == 0


@pytest.mark.parametrize("clock", ["now()", "statement_timestamp()"])
def test_by_a_clock_of_before_the_wait_it_would_have_been_accepted(shop, redemption, threads, monkeypatch, clock):
    """The one is of the transaction, the other of the message that brought the statement together with the lock."""
    monkeypatch.setitem(TIMES, "postgresql", {"now": clock, "yesterday": f"{clock} - interval '24 hours'"})
    monkeypatch.setattr(facts.STANDING_OF_REDEMPTION, "_prepared", {})
    assert wait_across_expiry(shop, redemption, threads).status == "completed"


def test_repeated_token_while_the_first_completes_waits_for_its_answer(shop, threads, monkeypatch):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    pause = Pause(monkeypatch, RecordingBackend, "complete")
    first, second = threads(
        [lambda: confirm(shop, redemption, token), pause.then(lambda: confirm(shop, redemption, token))]
    )
    assert (first.status, second.status) == ("completed", "completed")
    assert RecordingBackend.count("complete") == 1


def test_failed_attempts_of_the_day_are_counted_over_parallel_challenges(threads):
    """Three challenges of one participant, eight guesses at each, one budget of six."""
    shop = factories.Shop(failed_attempts_per_day=6)
    opened = [shop.open() for _ in range(3)]
    calls = [call for row in opened for call in telling(shop, row, *[wrong_token(row.challenge)] * 8)]
    told = outcomes(threads(calls))
    assert told["failed_attempts_budget"] == len(calls) - 6 - told.get("challenge_closed", 0)
    assert Event.objects.filter(type="challenge.attempt_failed").count() == 6


def test_without_the_guards_the_budget_of_the_day_is_overdrawn(threads, monkeypatch):
    shop = factories.Shop(failed_attempts_per_day=2)
    opened = [shop.open() for _ in range(3)]
    meet_after(monkeypatch, redemptions, "_related", 6)
    calls = [call for row in opened for call in telling(shop, row, *[wrong_token(row.challenge)] * 2)]
    blind_changes(monkeypatch)
    threads([unlocked(call) for call in calls])
    assert Event.objects.filter(type="challenge.attempt_failed").count() > 2
