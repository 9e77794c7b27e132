from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.stories import confirm, deliver_due, travel
from twofa.flows import health, sweeps
from twofa.models import Delivery

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def test_nothing_to_do_is_never_late():
    assert health.overdue() == health.Overdue(timedelta(), timedelta(), timedelta())
    assert health.overdue().worst == timedelta()


def test_message_that_nobody_sends_grows_late_and_one_that_is_sent_does_not(shop):
    shop.open()
    travel(MINUTE)

    found = health.overdue()
    assert MINUTE <= found.messages < MINUTE * 2
    assert found.worst == found.messages
    assert found.redemptions == found.challenges == timedelta()

    deliver_due()
    assert health.overdue().worst == timedelta()


def test_message_of_a_worker_that_died_is_late_from_the_end_of_its_lease(shop):
    shop.open()
    row = Delivery.objects.get()
    Delivery.objects.update(status="sending", leased_until=row.due_at + MINUTE * 5)
    travel(MINUTE * 4)
    assert health.overdue().messages == timedelta(), "it is being sent"

    travel(MINUTE * 2)

    assert MINUTE <= health.overdue().messages < MINUTE * 2


def test_worst_message_is_told_of_whichever_kind(shop):
    for _time in range(2):
        shop.open()
    abandoned, queued = Delivery.objects.order_by("pk")
    Delivery.objects.filter(pk=abandoned.pk).update(status="sending", leased_until=abandoned.due_at + MINUTE)
    travel(MINUTE * 3)
    assert MINUTE * 3 <= health.overdue().messages < MINUTE * 4, "since it was queued"

    Delivery.objects.filter(pk=queued.pk).update(status="sent")
    assert MINUTE * 2 <= health.overdue().messages < MINUTE * 3, "since the lease ended"


def test_challenge_past_its_deadline_is_late_until_the_sweeper_comes(shop):
    shop.open()
    deliver_due()
    travel(timedelta(hours=1))
    assert health.overdue().challenges > timedelta(minutes=20)


def test_redemption_that_waits_for_its_completion_grows_late(monkeypatch):
    shop = factories.Shop(completion_mode="async")
    redemption = shop.open()
    confirm(shop, redemption, factories.token_of(redemption.challenge))
    travel(MINUTE * 5)

    assert health.overdue().redemptions > MINUTE


@pytest.mark.django_db(transaction=True)
def test_sweep_leaves_nothing_late(shop):
    shop.open()
    travel(timedelta(hours=1))
    assert health.overdue().worst > MINUTE

    sweeps.sweep()

    assert health.overdue().worst == timedelta()


def test_measuring_costs_four_statements(shop, sql):
    shop.open()
    with sql() as statements:
        health.overdue()

    assert len(statements) == 4
