"""An order for later: chosen in the visitor's own time, seen to wait, cancelled, and booked once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from example_project.loyalty import ledger
from example_project.shop import times
from tests.example.shopping import Shopper, World, latest_token, orders
from tests.stories import travel
from twofa.channels.memory import outbox
from twofa.flows import completions
from twofa.models import Redemption

FORM = "/products/mug/order/"


@pytest.fixture
def buyer(world: World, ana: Shopper) -> Shopper:
    """Ana, with a phone, at a product."""
    world.phone()
    ana.get("/products/mug/")
    return ana


def tomorrow(zone: Any = UTC) -> str:
    return f"{timezone.now().astimezone(zone) + timedelta(days=1):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("", "", None),
        ("2026-11-27T09:30", "", datetime(2026, 11, 27, 9, 30, tzinfo=UTC)),
        ("2026-11-27T09:30", "America/Sao_Paulo", datetime(2026, 11, 27, 12, 30, tzinfo=UTC)),
        # Twice on the clock: the first of them.
        ("2026-10-25T02:30", "Europe/Madrid", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_time_is_that_of_the_clock_in_the_visitors_zone(text: str, zone: str, moment: datetime | None):
    assert times.read(text, zone) == moment


@pytest.mark.parametrize(
    ("text", "zone", "code"),
    [
        ("2026-03-29T02:30", "Europe/Madrid", "skipped_time"),
        ("tomorrow", "UTC", "unreadable_time"),
        ("2026-11-27T09:30+02:00", "UTC", "unreadable_time"),
        ("0001-01-01T00:00", "Asia/Tokyo", "unreadable_time"),
        ("2026-11-27T09:30", "Mars/Olympus", "unreadable_time"),
        ("2026-11-27T09:30", "../../etc/passwd", "unreadable_time"),
        ("2026-11-27T09:30", "America", "unreadable_time"),
        ("2026-11-27T09:30", "\0", "unreadable_time"),
    ],
)
def test_what_is_no_time_is_never_guessed(text: str, zone: str, code: str):
    with pytest.raises(times.Unreadable) as refused:
        times.read(text, zone)

    assert refused.value.code == code


@pytest.mark.django_db(transaction=True)
def test_order_for_later_waits_and_is_booked_at_its_time(buyer: Shopper, world: World):
    assert "The time is that of" in buyer.page
    buyer.send(FORM, when=tomorrow())
    assert "Booked on" in buyer.page
    buyer.type(latest_token())
    assert "Confirmed, and scheduled" in buyer.page
    assert "data-reload" not in buyer.page, "a page that waits for a day does not ask every three seconds"
    assert orders() == [("scheduled", "reserved")]

    travel(timedelta(days=1))
    completions.drive(Redemption.objects.get().pk)

    assert "It is yours" in buyer.get(buyer.path)
    assert orders() == [("completed", "completed")]
    assert ledger.balances(world.ana).available == Decimal("49350.50")


@pytest.mark.django_db(transaction=True)
def test_order_for_later_is_cancelled_and_its_points_come_back(buyer: Shopper, world: World):
    buyer.send(FORM, when=tomorrow())
    buyer.type(latest_token())

    buyer.send(f"{buyer.path}cancel/")

    assert "The order is cancelled" in buyer.page
    assert orders() == [("cancelled", "released")]
    assert ledger.balances(world.ana).available == Decimal("50000.00")


@pytest.mark.django_db(transaction=True)
def test_zone_of_the_form_is_meant(buyer: Shopper):
    text = tomorrow()

    buyer.send(FORM, when=text, zone="America/Sao_Paulo")

    kept = Redemption.objects.get().scheduled_for
    assert kept == datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(hours=3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2020-01-01T10:00", "That time has passed"),
        ("2120-01-01T10:00", "Too far ahead"),
        ("soon", "Choose a day and a time"),
    ],
)
def test_time_that_cannot_be_is_said_beside_the_field_and_stays_there(buyer: Shopper, text: str, said: str):
    buyer.send(FORM, when=text)

    assert said in buyer.page
    assert 'href="#when"' in buyer.page
    assert buyer.fields(FORM)["when"] == text
    assert (orders(), len(outbox)) == ([], 0)
    buyer.send(FORM, when="")
    assert "Type the token we sent you" in buyer.page


@pytest.mark.django_db(transaction=True)
def test_order_that_missed_its_time_says_why(buyer: Shopper, world: World):
    buyer.send(FORM, when=tomorrow())
    buyer.type(latest_token())

    travel(timedelta(days=3))
    completions.drive(Redemption.objects.get().pk)

    assert "could not be booked at its time" in buyer.get(buyer.path)
    assert orders()[0][0] == "failed"
