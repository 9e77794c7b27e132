from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from tests.models.violations import copy, tamper, violates
from tests.stories import confirm
from twofa.models import Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

ITEMS = [
    {"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "100.00"},
    {"sku": "CB-2", "name": "Cable", "quantity": 2, "amount": "50.00"},
]


def content(**changes) -> Redemption:
    columns = {
        "campaign_id": 1,
        "participant_id": 2,
        "storefront_id": 3,
        "order_id": "A-1",
        "amount": Decimal("150.00"),
        "unit": "points",
        "description": "Headphones",
        "items": ITEMS,
        **changes,
    }
    return Redemption(**columns)


@pytest.mark.parametrize(
    "change",
    [
        {"campaign_id": 9},
        {"participant_id": 9},
        {"storefront_id": 9},
        {"order_id": "A-2"},
        {"order_id": "a-1"},
        {"amount": Decimal("150.01")},
        {"amount": Decimal("-150.00")},
        {"amount": Decimal("NaN")},
        {"unit": "miles"},
        {"description": "Headphones "},
        {"items": []},
        {"items": ITEMS[:1]},
        {"items": ITEMS[::-1]},
        {"items": [ITEMS[0], {**ITEMS[1], "sku": "CB-3"}]},
        {"items": [ITEMS[0], {**ITEMS[1], "name": "Cables"}]},
        {"items": [ITEMS[0], {**ITEMS[1], "quantity": 3}]},
        {"items": [ITEMS[0], {**ITEMS[1], "quantity": "2"}]},
        {"items": [ITEMS[0], {**ITEMS[1], "amount": "50.01"}]},
        {"items": [ITEMS[0], {**ITEMS[1], "extra": 1}]},
        {"items": [{}]},
        {"items": [None]},
        {"items": None},
        {"items": {}},
        {"items": "free"},
    ],
    ids=str,
)
def test_digest_depends_on_each_part_of_the_transaction(change):
    """Whatever somebody writes into the row: never the same digest, and never an error that stops the verdict."""
    assert content(**change).digest() != content().digest()


def test_digest_does_not_depend_on_how_the_database_spells_it():
    spelled = [dict(reversed(item.items())) for item in ITEMS]
    assert content(amount=Decimal("150.0"), items=spelled).digest() == content().digest()


def test_digest_of_a_row_is_the_same_when_it_is_read_again(shop):
    items = [{"sku": "Ñ 'x\"", "name": "Fone é e\u0301 \u2028 漢字 😀", "quantity": 10**9, "amount": "150.00"}]
    redemption = shop.open(items=items, description='"; DROP TABLE -- \u202e')
    assert Redemption.objects.get(pk=redemption.pk).digest() == redemption.digest()


def test_gate_opens_for_what_was_approved_and_nothing_else():
    row = content(two_factor_required=True)
    assert not row.is_as_approved()
    row.approved_digest = row.digest()
    assert row.is_as_approved()
    row.amount += 1
    assert not row.is_as_approved()
    row.two_factor_required = False
    assert not row.is_as_approved(), "what needed no token is held to its digest as well"


def test_redemption_is_due_from_its_time_on_where_it_has_one(shop):
    redemption, at = shop.open(), now()
    assert not Redemption.objects.due(at).exists()
    Redemption.objects.update(due_at=at)
    assert not Redemption.objects.due(at - timedelta(milliseconds=1)).exists()
    assert Redemption.objects.due(at).get() == redemption


@pytest.mark.parametrize("is_parked", [True, False])
@pytest.mark.parametrize("status", Redemption.Status.values)
def test_parked_redemption_waits_for_staff_while_it_may_be_completed(shop, status, is_parked):
    redemption = shop.open()
    state = {"status": status, "parked_at": now() if is_parked else None, "approved_digest": b"d" * 32}
    if status == "scheduled":
        state |= {"scheduled_for": now()}
    if status == "completed":
        state |= {"points": "completed", "completed_at": now()}
    Redemption.objects.update(**state)
    redemption.refresh_from_db()

    waits = is_parked and status in ("approved", "scheduled")
    assert redemption.is_parked is waits
    assert Redemption.objects.parked().exists() is waits


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"amount": 0}, "twofa_redemption_amount"),
        ({"amount": -1}, "twofa_redemption_amount"),
        ({"status": "completed"}, "twofa_redemption_"),
        ({"points": "completed"}, "twofa_redemption_spent_completed"),
        ({"status": "completed", "points": "completed"}, "twofa_redemption_"),
        ({"status": "completed", "points": "completed", "completed_at": "now"}, "twofa_redemption_approved_digest"),
        ({"status": "approved"}, "twofa_redemption_approved_digest"),
        ({"status": "scheduled"}, "twofa_redemption_approved_digest"),
        ({"two_factor_required": False}, "twofa_redemption_pending_required"),
        ({"campaign_id": None}, "campaign_id"),
    ],
    ids=str,
)
def test_impossible_redemption_is_refused_by_the_database(shop, columns, constraint):
    redemption = shop.open()
    with violates(constraint):
        tamper(redemption, **{name: now() if value == "now" else value for name, value in columns.items()})


@pytest.mark.postgres
def test_amount_that_is_no_number_is_refused_by_the_database(shop):
    """PostgreSQL's numeric knows NaN, and holds it to be greater than zero."""
    redemption = shop.open()
    with violates("twofa_redemption_amount"):
        tamper(redemption, amount=Decimal("NaN"))


def test_spent_points_cannot_be_given_back_by_a_write(shop):
    redemption = shop.open()
    confirm(shop, redemption, redemption.challenge.derive_token())
    for points in ("none", "reserved", "released"):
        with violates("twofa_redemption_completed_spent"):
            tamper(redemption, points=points)


def test_order_id_is_unique_in_storefront_and_campaign(shop):
    redemption = shop.open()
    with violates("twofa_redemption_order" if connection.vendor == "postgresql" else "order_id"):
        copy(redemption)
