from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import cancel, confirm, deliver_due, travel
from twofa.exceptions import TemporaryFailure
from twofa.flows import stuck, sweeps, turns
from twofa.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)
LATE = stuck.GRACE + timedelta(seconds=5)


@pytest.fixture
def shop() -> factories.Shop:
    RecordingBackend.reset()
    return factories.Shop(max_open_challenges=100)


def fail(method: str, times: int) -> None:
    RecordingBackend.failures[method] = iter([TemporaryFailure()] * times)


def kinds(found: stuck.Stuck) -> set[str]:
    return {name for name, rows in vars(found).items() if name != "at" and rows}


def test_what_goes_its_way_is_not_stuck(shop: factories.Shop):
    shop.open()
    deliver_due()
    confirmed, cancelled = shop.open(), shop.open()
    confirm(shop, confirmed, token_of(confirmed.challenge))
    cancel(shop, cancelled)

    assert stuck.find().is_empty


def test_parked_completion_waits_for_staff(shop: factories.Shop, settings: Any):
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    fail("complete", 1)
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))

    found = stuck.find()

    assert kinds(found) == {"parked"}
    assert [row.pk for row in found.parked] == [redemption.pk]


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_message_that_never_left_is_stuck_while_its_token_may_be_typed(status: str, shop: factories.Shop):
    redemption = shop.open()
    deliver_due()
    Delivery.objects.update(status=status, reason="timeout")

    assert [row.challenge.redemption_id for row in stuck.find().undelivered] == [redemption.pk]

    cancel(shop, redemption)
    assert stuck.find().is_empty


def test_message_that_a_newer_one_replaced_is_not_stuck(shop: factories.Shop):
    redemption = shop.open()
    deliver_due()
    Delivery.objects.update(status="failed")
    type(redemption.challenge).objects.filter(pk=redemption.challenge.pk).update(generation=2)

    assert stuck.find().undelivered == []


def test_message_that_no_worker_takes_is_stuck_after_a_while(shop: factories.Shop):
    shop.open()
    assert stuck.find().is_empty

    travel(LATE)

    assert kinds(stuck.find()) == {"waiting"}


def test_message_of_a_worker_that_died_is_stuck_after_its_lease(shop: factories.Shop):
    shop.open()
    row = Delivery.objects.get()
    Delivery.objects.update(status="sending", leased_until=row.due_at + timedelta(minutes=1))
    travel(LATE)
    assert stuck.find().waiting == []

    travel(timedelta(minutes=1))

    assert [row.pk for row in stuck.find().waiting] == [row.pk]


def test_challenge_that_no_sweeper_ends_is_stuck_after_its_deadline(shop: factories.Shop):
    redemption = shop.open()
    deliver_due()
    travel(timedelta(minutes=30))
    assert stuck.find().overdue == []

    travel(LATE)

    assert [row.redemption_id for row in stuck.find().overdue] == [redemption.pk]
    sweeps.sweep()
    assert stuck.find().is_empty


def test_call_that_nobody_makes_is_stuck_after_a_while(shop: factories.Shop):
    redemption = factories.Shop(two_factor_mode="off", completion_mode="async").open()
    travel(turns.GRACE + LATE)

    assert [row.pk for row in stuck.find().undriven] == [redemption.pk]
    assert kinds(stuck.find()) == {"undriven"}


def test_release_that_keeps_failing_is_shown_until_it_succeeds(shop: factories.Shop):
    fail("release", 2)
    redemption = shop.open()
    cancel(shop, redemption)

    assert [row.pk for row in stuck.find().failing] == [redemption.pk]

    for _time in range(2):
        travel(timedelta(hours=2))
        sweeps.sweep()
    assert stuck.find().is_empty


def test_lists_are_bounded_and_say_that_there_are_more(shop: factories.Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stuck, "MOST", 2)
    for _time in range(4):
        shop.open()
    travel(LATE)

    newest = list(Delivery.objects.order_by("-pk").values_list("pk", flat=True)[:3])
    assert [row.pk for row in stuck.find().waiting] == newest


def test_finding_costs_the_same_however_much_is_stuck(shop: factories.Shop):
    def cost() -> int:
        with record_statements() as statements:
            stuck.find()
        assert {sql.split()[0] for sql in statements.counted} == {"SELECT"}
        return len(statements)

    assert cost() == 10
    for _time in range(3):
        shop.open()
    travel(LATE)
    assert cost() == 10


def test_no_secret_is_read(shop: factories.Shop):
    with record_statements() as statements:
        stuck.find()

    text = str(statements)
    assert not [name for name in ('"seed"', '"superseded"', '"address"', '"document_number"') if name in text]
