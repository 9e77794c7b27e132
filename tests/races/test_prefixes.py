"""Two sweepers at one prefix; staff who lift at the same moment; the last SMS of the day, and the last of a prefix."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.flows.pumping import pump
from tests.races.guards import meet_after, outcomes, unlocked, without_constraint
from tests.stories import STAFF
from twofa.flows import checkouts, facts, prefixes
from twofa.models import Challenge, Delivery, Event, PrefixPause
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def opening(shop, order):
    return lambda: checkouts.open_redemption(
        order, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
    )


def crowd(shop, number: int, *, email: bool = False) -> list[str]:
    """Participants with a phone of one prefix each of their own number, some with an e-mail address as well."""
    people = [factories.participant(shop.campaign) for _ in range(number)]
    for count, person in enumerate(people):
        factories.device(person, address=f"+55119876500{count:02}")
        if email:
            factories.device(person, "email")
    return [person.external_id for person in people]


def test_sweepers_at_the_same_moment_pause_a_prefix_once(shop, threads):
    pump(shop, 30)
    at = now()

    results = threads([lambda: prefixes.watch(at)] * 8)

    assert sorted(results) == [0] * 7 + [1]
    assert PrefixPause.objects.count() == Event.objects.filter(type="prefix.paused").count() == 1


def test_without_the_constraint_a_prefix_is_paused_more_than_once(shop, threads, monkeypatch):
    pump(shop, 30)
    at = now()
    suspects = prefixes._suspects
    monkeypatch.setattr(prefixes, "_suspects", lambda *args: list(suspects(*args)))
    meet_after(monkeypatch, prefixes, "_suspects", 4)

    with without_constraint(PrefixPause, "twofa_prefix_pause_one_open"):
        threads([lambda: prefixes.watch(at)] * 4)
        assert PrefixPause.objects.count() > 1


def test_pause_is_lifted_once(shop, threads):
    at = now()
    pause = PrefixPause.objects.create(
        prefix="+551198765", sends=20, confirmations=0, paused_at=at, paused_until=at + timedelta(hours=12)
    )

    results = threads([lambda: prefixes.lift(pause, actor=STAFF, reason="r")] * 6)

    assert outcomes(results) == {"done": 1, "wrong_state": 5}
    assert Event.objects.filter(type="prefix.lifted").count() == 1


def test_sms_of_the_day_are_spent_exactly(threads):
    shop = factories.Shop(sms_per_day=5)
    calls = [opening(shop, shop.order(participant=person)) for person in crowd(shop, 16)]

    assert outcomes(threads(calls)) == {"done": 5, "send_budget": 11}
    assert Delivery.objects.count() == 5


def test_whoever_comes_after_the_last_sms_gets_an_email(threads):
    shop = factories.Shop(sms_per_day=5)
    calls = [opening(shop, shop.order(participant=person)) for person in crowd(shop, 12, email=True)]

    assert outcomes(threads(calls)) == {"done": 12}
    assert Delivery.objects.filter(channel="sms").count() == 5
    assert Delivery.objects.filter(channel="email").count() == 7


def test_budget_of_a_prefix_is_spent_exactly(threads):
    shop = factories.Shop(sends_per_prefix_per_day=5)
    calls = [opening(shop, shop.order(participant=person)) for person in crowd(shop, 16)]

    assert outcomes(threads(calls)) == {"done": 5, "send_budget": 11}


@pytest.mark.parametrize("policy", [{"sms_per_day": 2}, {"sends_per_prefix_per_day": 2}], ids=str)
def test_without_the_turns_budgets_are_overdrawn(threads, monkeypatch, policy):
    shop = factories.Shop(**policy)
    people = crowd(shop, 4)
    meet_after(monkeypatch, facts, "budgets", 4)

    threads([unlocked(opening(shop, shop.order(participant=person))) for person in people])

    assert Challenge.objects.count() > 2


def test_two_phones_crosswise_lock_nobody_out(threads):
    """Each turns from the phone that the other one turns to: whoever took turns in the order of need would deadlock."""
    shop = factories.Shop(sms_per_day=1, max_open_challenges=100)
    shop.open()
    phones = ("+5511987650001", "+5521987650002")
    people = [factories.participant(shop.campaign) for _ in range(4)]
    for number, person in enumerate(people):
        first, second = phones if number % 2 else reversed(phones)
        factories.device(person, "sms", address=first)
        factories.device(person, "whatsapp", address=second)

    calls = [opening(shop, shop.order(participant=person.external_id)) for person in people for _time in range(4)]

    assert outcomes(threads(calls)) == {"done": 16}
    assert set(Delivery.objects.values_list("channel", flat=True)) == {"sms", "whatsapp"}
