"""The prepared statements say what the ORM says, for every model that they touch."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection
from django.db.models import BooleanField, CharField, DateTimeField
from django.test.utils import isolate_apps

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa.models import Campaign, Challenge, Delivery, Device, Event, Participant, Redemption, statements

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def redemption():
    RecordingBackend.reset()
    shop = factories.Shop(threshold=None, allowed_countries=["BR"])
    return shop.open(items=[{"sku": "A", "name": "Ação “é”", "quantity": 1, "amount": "150.00"}])


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize("model", [Campaign, Participant, Device, Redemption, Challenge, Delivery, Event])
def test_select_reads_what_the_orm_reads(redemption, model):
    select = statements.Select("FROM {thing} ORDER BY thing.id", thing=model, lock=("thing",))
    read = [columns(row["thing"]) for row in select.rows()]
    assert read
    assert read == [columns(row) for row in model._base_manager.order_by("pk")]


def test_select_of_an_absent_row_is_none(redemption):
    select = statements.Select(
        "FROM {redemption} LEFT JOIN {event} ON event.id = -1", redemption=Redemption, event=Event
    )
    assert select.row()["event"] is None


def test_what_was_left_out_is_read_when_it_is_asked_for(redemption, sql):
    select = statements.Select("FROM {campaign}", campaign=Campaign, only={"campaign": {"slug"}})
    campaign = select.row()["campaign"]
    with sql() as executed:
        assert campaign.slug == redemption.campaign.slug
    assert not executed
    assert campaign.unit == redemption.campaign.unit


def test_extra_is_converted(redemption):
    select = statements.Select("FROM {redemption}", redemption=Redemption, extra={"at": ("{clock}", DateTimeField())})
    at = select.row()["at"]
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


@pytest.mark.parametrize("name", ["auth_user", '"people"."user"', 'people"."user'])
def test_names_are_quoted_as_the_orm_quotes_them(name):
    assert statements.quote(name) == connection.ops.quote_name(name)


@pytest.mark.postgres
def test_several_are_read_in_one_round_trip_each_with_a_snapshot_of_its_own(redemption, threads, sql):
    """What is committed while a lock is waited for is seen by what is read after it."""
    asked = [
        statements.Select("FROM {redemption}", redemption=Redemption),
        statements.Select("", extra={"slept": ("pg_sleep(0.6)", CharField())}),
        statements.Select("FROM {redemption}", redemption=Redemption),
    ]
    executed = []

    def read():
        with sql() as statements_of_reader:
            rows = statements.read(*asked)
        executed.append(statements_of_reader)
        return [rows[index][0]["redemption"].unit for index in (0, 2)]

    def write():
        sleep(0.3)
        Redemption.objects.update(unit="miles")

    assert threads([read, write])[0] == ["points", "miles"]
    assert (len(executed[0].executed), len(executed[0])) == (1, 3)


@isolate_apps("tests")
def test_a_user_is_active_as_the_column_says_wherever_it_is():
    class Person(AbstractBaseUser):
        is_active = BooleanField(db_column="enabled")
        USERNAME_FIELD = "id"

        class Meta:
            app_label = "tests"

    class Member(Person):
        class Meta:
            app_label = "tests"

    class Robot(AbstractBaseUser):
        USERNAME_FIELD = "id"

        class Meta:
            app_label = "tests"

    assert statements.active_expression(Person) == 'account."enabled"'
    assert statements.active_expression(Robot) == "TRUE"
    inherited = statements.active_expression(Member)
    assert inherited == (
        '(SELECT parent."enabled" FROM "tests_person" AS parent WHERE parent."id" = account."person_ptr_id")'
    )
