from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from tests.models.violations import copy, tamper, violates
from twofa.models import Delivery
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=30)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def row(shop) -> Delivery:
    return shop.open().challenge.deliveries.get()


def test_generation_has_one_delivery(row):
    with violates("twofa_delivery_generation"):
        copy(row)


def test_notices_are_as_many_as_needed(row):
    copy(row, challenge_id=None, generation=0)
    copy(row, challenge_id=None, generation=0)


def test_sending_needs_a_lease(row):
    with violates("twofa_delivery_lease"):
        tamper(row, status="sending")


def test_claim_takes_a_row_once_until_its_lease_ends(row):
    at = row.due_at
    assert Delivery.objects.claim(row.pk, at=at - MILLISECOND, lease=LEASE) is None
    claimed = Delivery.objects.claim(row.pk, at=at, lease=LEASE)
    assert (claimed.status, claimed.tries, claimed.leased_until) == ("sending", 1, at + LEASE)
    assert Delivery.objects.claim(row.pk, at=at, lease=LEASE) is None
    assert Delivery.objects.claim(row.pk, at=at + LEASE - MILLISECOND, lease=LEASE) is None
    taken_over = Delivery.objects.claim(row.pk, at=at + LEASE, lease=LEASE)
    assert (taken_over.status, taken_over.tries, taken_over.leased_until) == ("sending", 2, at + 2 * LEASE)


def test_row_is_due_since_its_time_or_since_the_end_of_its_lease(row):
    at = row.due_at
    assert row.due_since == at
    assert Delivery.objects.oldest_due(at - MILLISECOND) is None
    assert Delivery.objects.oldest_due(at) == at
    claimed = Delivery.objects.claim(row.pk, at=at, lease=LEASE)
    assert claimed.due_since == at + LEASE
    assert Delivery.objects.oldest_due(at + LEASE - MILLISECOND) is None
    assert Delivery.objects.oldest_due(at + LEASE * 2) == at + LEASE


@pytest.mark.parametrize("status", ["sent", "delivered", "failed", "superseded", "expired"])
def test_what_is_done_is_not_claimed(row, status):
    Delivery.objects.filter(pk=row.pk).update(status=status)
    assert Delivery.objects.claim(row.pk, at=now() + timedelta(days=1), lease=LEASE) is None
    assert Delivery.objects.get(pk=row.pk).tries == 0
    assert not Delivery.objects.open().exists()


def test_claim_of_a_row_that_is_not_there_takes_nothing(row):
    assert Delivery.objects.claim(row.pk + 1000, at=now(), lease=LEASE) is None


def test_provider_may_recognise_a_repeated_message(row):
    assert row.idempotency_key == f"{row.challenge_id}:1"
    row.tries = 3
    assert row.idempotency_key == f"{row.challenge_id}:1"
    assert Delivery(pk=7).idempotency_key == "notice:7"


def test_address_is_not_in_its_texts(row):
    for text in (str(row), repr(row)):
        assert row.address not in text


def test_row_is_found_by_the_key_that_its_provider_has(row):
    copy(row, challenge_id=None, generation=0)
    notice = Delivery.objects.latest("id")

    assert Delivery.objects.of_key(row.idempotency_key).get() == row
    assert Delivery.objects.of_key(notice.idempotency_key).get() == notice
    assert not Delivery.objects.of_key(f"notice:{row.pk}").exists(), "a token's message is no notice"


@pytest.mark.parametrize(
    "key",
    ["", ":", "notice", "notice:", "notice:-1", "notice:٣", f"notice:{'9' * 400}", "x:1", f"{'0' * 32}:1"],
)
def test_key_of_no_row_finds_none(row, key):
    assert not Delivery.objects.of_key(key).exists()


@pytest.mark.postgres
def test_columns_of_receipts_have_defaults_for_workers_of_the_release_before(row):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE twofa_delivery SET provider = DEFAULT, early_report = DEFAULT, delivered_at = DEFAULT "
            "RETURNING provider, early_report IS NULL, delivered_at IS NULL"
        )
        assert cursor.fetchall() == [("", True, True)]


@pytest.mark.postgres
def test_new_row_has_no_early_report_in_the_sense_of_sql(row):
    assert Delivery.objects.filter(early_report__isnull=True).get() == row
