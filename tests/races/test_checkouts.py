"""Redemptions opened at the same moment: one order id, one place left in a budget."""

from __future__ import annotations

import pytest
from django.db import connection

from tests import factories
from tests.fulfillment import RecordingBackend
from tests.races.guards import meet_after, outcomes, unlocked, without_constraint
from twofa.flows import checkouts, facts
from twofa.models import Challenge, Delivery, Event, Redemption

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ADDRESS = "+5511999990034"


def opening(shop, order):
    return lambda: checkouts.open_redemption(
        order, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
    )


def neighbours(shop, number: int) -> list[str]:
    """Participants who share one phone."""
    people = [factories.participant(shop.campaign) for _ in range(number)]
    for person in people:
        factories.device(person, address=ADDRESS)
    return [person.external_id for person in people]


# --- one order id -----------------------------------------------------------------------------------------------------


def test_same_order_is_opened_once(shop, threads):
    order = shop.order()
    results = threads([opening(shop, order)] * 20)
    assert len({redemption.pk for redemption, _created in results}) == 1
    assert sum(created for _redemption, created in results) == 1
    assert RecordingBackend.count("reserve") == 1
    assert Delivery.objects.count() == Challenge.objects.count() == 1
    assert Event.objects.filter(type="redemption.pending").count() == 1


def test_order_id_of_two_participants_is_opened_for_one(shop, threads):
    people = neighbours(shop, 8)
    results = threads([opening(shop, shop.order(participant=person, order_id="A-1")) for person in people])
    assert outcomes(results) == {"done": 1, "order_conflict": 7}
    assert Redemption.objects.count() == Delivery.objects.count() == 1
    assert RecordingBackend.count("reserve") == 1


def test_without_the_guards_one_order_is_opened_more_than_once(shop, threads, monkeypatch):
    order = shop.order()
    meet_after(monkeypatch, facts, "budgets", 4)
    with without_constraint(Redemption, "twofa_redemption_order"):
        threads([unlocked(opening(shop, order))] * 4)
        assert Redemption.objects.count() > 1


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_budget_of_a_destination_is_spent_exactly_by_those_who_share_it(threads):
    shop = factories.Shop(sends_per_destination_per_day=5)
    calls = [opening(shop, shop.order(participant=person)) for person in neighbours(shop, 16)]
    assert outcomes(threads(calls)) == {"done": 5, "send_budget": 11}
    assert Delivery.objects.filter(address=ADDRESS).count() == 5
    assert RecordingBackend.count("reserve") == 5


def test_budget_of_a_campaign_is_spent_exactly(threads):
    shop = factories.Shop(sends_per_campaign_per_day=5)
    people = [factories.participant(shop.campaign) for _ in range(12)]
    for person in people:
        factories.device(person)
    calls = [opening(shop, shop.order(participant=person.external_id)) for person in people]
    assert outcomes(threads(calls)) == {"done": 5, "send_budget": 7}


def test_open_challenges_of_a_participant_are_limited_exactly(shop, threads):
    assert outcomes(threads([opening(shop, shop.order()) for _ in range(10)])) == {
        "done": 3,
        "too_many_open_challenges": 7,
    }


def test_splitting_at_once_does_not_escape_the_threshold(threads):
    shop = factories.Shop(threshold=300)
    results = threads([opening(shop, shop.order()) for _ in range(4)])
    assert sorted(redemption.status for redemption, _created in results) == ["completed"] + ["pending_2fa_approval"] * 3


@pytest.mark.parametrize(
    ("policy", "limit"),
    [
        ({"sends_per_destination_per_day": 2}, 2),
        ({"sends_per_campaign_per_day": 2}, 2),
        ({"max_open_challenges": 1}, 1),
    ],
    ids=str,
)
def test_without_the_guards_budgets_are_overdrawn(threads, monkeypatch, policy, limit):
    shop = factories.Shop(**policy)
    people = [shop.participant.external_id] * 4 if "max_open_challenges" in policy else neighbours(shop, 4)
    meet_after(monkeypatch, facts, "budgets", 4)
    threads([unlocked(opening(shop, shop.order(participant=person))) for person in people])
    assert Challenge.objects.count() > limit


def test_checkouts_of_one_destination_and_of_one_participant_lock_nobody_out(shop, threads):
    """Participants and destinations crosswise: whoever took its locks in another order would meet a deadlock."""
    people = neighbours(shop, 3)
    for person in people:
        participant = shop.campaign.participants.get(external_id=person)
        factories.device(participant, "email", address=f"{person}@example.com")
    calls = [
        opening(shop, shop.order(participant=person, channel=channel))
        for _ in range(4)
        for person in people
        for channel in ("sms", "email")
    ]
    assert set(outcomes(threads(calls))) <= {"done", "too_many_open_challenges"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert cursor.fetchone() == (0,)
