"""Everybody at once: what no single race foresees. Deadlocks, lost updates, states that contradict one another."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import cancel, confirm, points, resend, travel
from twofa.exceptions import TwoFactorError
from twofa.flows import completions, deliveries, redemptions, reservations, sweeps
from twofa.models import Challenge, Delivery, Event, Redemption

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def acts(shop, redemption: Redemption):
    right, wrong = token_of(redemption.challenge), wrong_token(redemption.challenge)
    pk = Delivery.objects.filter(challenge=redemption.challenge).latest("id").pk
    return [
        lambda: confirm(shop, redemption, right),
        lambda: confirm(shop, redemption, right),
        lambda: confirm(shop, redemption, wrong),
        lambda: resend(shop, redemption),
        lambda: cancel(shop, redemption),
        lambda: redemptions.expire(redemption.pk),
        lambda: deliveries.deliver(pk),
        lambda: deliveries.deliver(pk),
        lambda: completions.complete(redemption.pk),
        lambda: reservations.release(redemption.pk),
        sweeps.sweep,
        sweeps.sweep,
    ]


def deadlocks() -> int:
    """How many there have been in this database, those of tests before this one too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("minutes", [1, 9, 30], ids=["fresh", "too late to send", "overdue"])
def test_everybody_at_once_leaves_each_redemption_in_one_state(threads, minutes):
    shop, before = factories.Shop(max_open_challenges=99), deadlocks()
    factories.device(shop.participant, "email")
    for _ in range(3):
        opened = [shop.open() for _ in range(2)]
        travel(timedelta(minutes=minutes, seconds=30))
        results = threads([act for redemption in opened for act in acts(shop, redemption)])
        unexpected = [result for result in results if isinstance(result, Exception) and not is_told(result)]
        assert unexpected == []
        travel(timedelta(hours=1))
        for _ in range(2):
            sweeps.sweep()
        for redemption in opened:
            ensure_consistent(redemption)
    assert deadlocks() == before


def is_told(error: Exception) -> bool:
    """A refusal of ours, and not one that only a bug or a lost race gives."""
    return isinstance(error, TwoFactorError) and error.code != "transition_refused"


def ensure_consistent(redemption: Redemption) -> None:
    status, spent = points(redemption)
    assert (status, spent) in {
        ("completed", "completed"),
        ("cancelled", "released"),
        ("expired", "released"),
        ("rejected", "released"),
    }
    calls = Counter(name for name, pk in RecordingBackend.calls if pk == redemption.pk)
    assert calls == {"reserve": 1, "complete" if status == "completed" else "release": 1}
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.status == "approved") is (status == "completed")
    assert challenge.seed is None
    compared = Event.objects.filter(challenge=challenge, type__in=["challenge.attempt_failed", "challenge.approved"])
    assert compared.count() == challenge.attempts <= challenge.max_attempts
    assert not Delivery.objects.open().filter(challenge=challenge).exists()
    ends = Event.objects.filter(redemption=redemption, type=f"redemption.{status}")
    assert ends.count() == 1
