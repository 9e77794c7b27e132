"""A thousand redemptions that are due in the same minute, with two sweepers and two real workers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from copy import copy
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from example_project.loyalty import ledger
from example_project.loyalty.models import Transfer
from tests import factories
from tests.servers.process import wait_until
from tests.stories import travel
from twofa.flows import sweeps
from twofa.models import Event, Redemption
from twofa.models.clock import now
from twofa.models.ids import uuid7

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
NUMBER = 1000
BACKEND = "example_project.loyalty.fulfillment.PointsBackend"


def open_all(shop: factories.Shop) -> None:
    """One by the flow, and as many like it, each with its points set aside."""
    ledger.grant(shop.participant, Decimal(NUMBER) + 5, key="welcome")
    row = shop.open(amount=Decimal("1.00"), scheduled_for=now() + timedelta(days=1))
    rows = []
    for number in range(1, NUMBER):
        another = copy(row)
        another.pk, another.order_id = uuid7(), f"{row.order_id}-{number}"
        another.approved_digest = another.digest()
        rows.append(another)
    Redemption.objects.bulk_create(rows)
    with transaction.atomic():
        for another in rows:
            ledger.reserve(shop.participant, another.amount, reference=another.pk)


def left() -> int:
    return Redemption.objects.filter(status="scheduled").count()


def sweep_until(stopped: threading.Event) -> None:
    try:
        while not stopped.is_set():
            sweeps.sweep()
            time.sleep(1)
    finally:
        connection.close()


def test_thousand_that_are_due_at_once_are_executed_once_each(celery_worker_process, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = BACKEND
    shop = factories.Shop(two_factor_mode="off")
    open_all(shop)
    travel(timedelta(days=1, seconds=2))
    assert left() == NUMBER
    for _worker in range(2):
        celery_worker_process(overrides={"TWOFA_FULFILLMENT_BACKEND": BACKEND})
    stopped = threading.Event()
    sweepers = [threading.Thread(target=sweep_until, args=(stopped,)) for _sweeper in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        # On a machine of its own it takes a quarter of a minute; one that others use as well may take long.
        wait_until(lambda: left() == 0, seconds=240, what="a thousand executions")
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
