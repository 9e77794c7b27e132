"""A batch of a hundred lines, and the worker that dies in the middle of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from example_project.loyalty import ledger
from example_project.loyalty.models import Transfer
from tests import factories
from tests.api.client import Api, batch_order, batches
from tests.batches import lines
from tests.factories import token_of
from tests.servers.process import wait_until
from tests.stories import travel
from twofa.flows import sweeps
from twofa.models import Challenge, Event, Redemption, RedemptionBatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
BACKEND = {"TWOFA_FULFILLMENT_BACKEND": "tests.faults.slow_points.SlowPoints"}
DONE = ("completed", "completed")


def completed() -> int:
    return Redemption.objects.filter(status="completed").count()


def test_every_line_ends_once_though_the_worker_is_killed(shop, celery_worker_process, settings: Any):
    settings.TWOFA_FULFILLMENT_BACKEND = BACKEND["TWOFA_FULFILLMENT_BACKEND"]
    ledger.grant(shop.participant, Decimal(6000), key="start")
    api = Api(factories.key(shop.storefront))
    amounts = [f"{number}.00" for number in range(1, 101)]
    opened = api.post(batches(shop), batch_order(shop, *amounts)).json()
    assert ledger.balances(shop.participant) == ledger.Balances(Decimal(950), Decimal(5050))
    worker = celery_worker_process(overrides=BACKEND)

    answer = api.post(f"/redemption-batches/{opened['id']}/confirm/", {"token": token_of(Challenge.objects.get())})

    assert (answer.status_code, answer.json()["status"]) == (202, "completing")
    wait_until(lambda: completed() >= 20, seconds=20, what="twenty lines")
    worker.kill()
    batch = RedemptionBatch.objects.get()
    assert 20 <= completed() < 100, "in the middle"
    assert batch.status == "completing"
    travel(timedelta(minutes=1))
    sweeps.sweep()
    batch.refresh_from_db()
    assert (batch.status, lines(batch)) == ("completed", {DONE: 100})
    assert ledger.balances(shop.participant) == ledger.Balances(Decimal(950), Decimal(0))
    assert ledger.discrepancies() == []
    spent = Transfer.objects.filter(kind=Transfer.Kind.SPEND)
    assert (spent.count(), sum(transfer.amount for transfer in spent)) == (100, Decimal(5050))
    told = Counter(Event.objects.values_list("type", flat=True))
    assert (told["redemption.completed"], told["batch.completed"]) == (100, 1)
