"""A thousand redemptions that are due in the same minute, with two sweepers and two real workers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from example_project.loyalty import ledger
from example_project.loyalty.models import Transfer
from tests import factories
from tests.servers.process import wait_until
from tests.stories import travel
from twofa.flows import sweeps
from twofa.models import Event, Redemption
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
NUMBER = 1000
BACKEND = "example_project.loyalty.fulfillment.PointsBackend"


def open_all(shop: factories.Shop) -> None:
    ledger.grant(shop.participant, Decimal(NUMBER) + 5, key="welcome")
    when = now() + timedelta(days=1)
    for number in range(NUMBER):
        shop.open(amount=Decimal("1.00"), scheduled_for=when + timedelta(milliseconds=number))


def left() -> int:
    return Redemption.objects.filter(status="scheduled").count()


def sweep_until(stopped: threading.Event) -> None:
    while not stopped.is_set():
        sweeps.sweep()
        time.sleep(1)


def test_thousand_that_are_due_at_once_are_executed_once_each_within_a_minute(celery_worker_process, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = BACKEND
    shop = factories.Shop(two_factor_mode="off")
    open_all(shop)
    travel(timedelta(days=1, seconds=2))
    assert left() == NUMBER
    for _worker in range(2):
        celery_worker_process(overrides={"TWOFA_FULFILLMENT_BACKEND": BACKEND})
    stopped = threading.Event()
    sweepers = [threading.Thread(target=sweep_until, args=(stopped,)) for _sweeper in range(2)]
    began = time.monotonic()
    for sweeper in sweepers:
        sweeper.start()
    try:
        wait_until(lambda: left() == 0, seconds=60, what="a thousand executions")
        took = time.monotonic() - began
    finally:
        stopped.set()
        for sweeper in sweepers:
            sweeper.join()
    assert Counter(Redemption.objects.values_list("status", "points")) == {("completed", "completed"): NUMBER}
    completed = Counter(Event.objects.filter(type="redemption.completed").values_list("redemption", flat=True))
    assert (len(completed), set(completed.values())) == (NUMBER, {1})
    assert Transfer.objects.filter(kind=Transfer.Kind.SPEND).count() == NUMBER
    assert ledger.discrepancies() == []
    assert ledger.balances(shop.participant) == ledger.Balances(available=Decimal("5.00"), reserved=Decimal("0.00"))
    assert took < 60
