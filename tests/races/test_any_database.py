"""What PostgreSQL's row locks give, SQLite gives by letting one transaction write at a time: the same invariants."""

from __future__ import annotations

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.races.guards import outcomes
from tests.stories import confirm, points
from twofa.channels.memory import outbox
from twofa.flows import deliveries
from twofa.models import Challenge, Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_wrong_tokens_are_compared_five_times(shop, threads):
    redemption = shop.open()
    wrong = wrong_token(redemption.challenge)
    told = outcomes(threads([lambda: confirm(shop, redemption, wrong)] * 12))
    assert told == {"token_invalid": 4, "attempts_exhausted": 1, "challenge_closed": 7}
    assert Challenge.objects.get().attempts == 5
    assert points(redemption) == ("rejected", "released")


def test_right_tokens_complete_once(shop, threads):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    assert outcomes(threads([lambda: confirm(shop, redemption, token)] * 12)) == {"done": 12}
    assert RecordingBackend.count("complete") == 1


def test_message_is_sent_once(shop, threads):
    shop.open()
    pk = Delivery.objects.get().pk
    assert outcomes(threads([lambda: deliveries.deliver(pk)] * 8)) == {"done": 8}
    assert len(outbox) == 1


def test_open_challenges_and_budgets_are_spent_exactly(threads):
    shop = factories.Shop(sends_per_destination_per_day=2)
    told = outcomes(threads([shop.open] * 6))
    assert told == {"done": 2, "send_budget": 4}
    assert RecordingBackend.count("reserve") == 2
