"""Rows written as JSON, and several at once, are what the ORM would have written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.forms.models import model_to_dict

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa.exceptions import TransitionRefused
from twofa.models import Challenge, Delivery, Event, Redemption, writes

pytestmark = pytest.mark.django_db

AWKWARD = "Ação \\ \"quoted\" 'single' %s %% {x} \u2028 \U0001f3a7\t\r\n"


@pytest.fixture
def redemption():
    RecordingBackend.reset()
    shop = factories.Shop(threshold=None, allowed_countries=["BR"])
    return shop.open(description="Ação “é”", items=[{"sku": "A\\", "name": AWKWARD, "quantity": 1, "amount": "150.00"}])


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def emptied() -> None:
    Delivery.objects.all().delete()
    Challenge.objects.all().delete()
    Redemption.objects.all().delete()


@pytest.mark.parametrize("model", [Redemption, Challenge])
def test_insert_stores_what_the_orm_would(redemption, model):
    row = model._base_manager.first()
    before = columns(row)
    emptied()
    if model is Challenge:
        writes.insert(Redemption(**columns(redemption)))
    twin = model(**before)
    writes.insert(twin)
    assert columns(model._base_manager.get(pk=twin.pk)) == before
    assert twin._state.adding is False


def test_insert_gives_the_key_that_the_database_made(redemption):
    before = columns(Delivery.objects.get())
    Delivery.objects.all().delete()
    twin = Delivery(**{**before, "id": None})
    writes.insert(twin)
    assert twin.pk != before["id"]
    assert columns(Delivery.objects.get()) == {**before, "id": twin.pk}


@pytest.mark.parametrize("text", [AWKWARD, "null", "\\x41", ""])
def test_record_keeps_every_value_as_it_is(redemption, text):
    at = redemption.created_at + timedelta(microseconds=1)
    about = {"type": "test.kept", "created_at": at, "actor_kind": "staff", "actor": text, "correlation_id": ""}
    data = {"text": text, "none": None, "number": 2**60, "list": [1.5, True], text: {}}
    writes.record(Event, [{**about, "challenge_id": redemption.challenge.pk, "data": data}, {**about, "data": {}}])
    first, second = Event.objects.filter(type="test.kept").order_by("id")
    assert (first.actor, first.data, first.created_at) == (text, data, at)
    assert (first.challenge_id, second.challenge_id, second.data) == (redemption.challenge.pk, None, {})


def test_what_has_no_column_type_is_refused(redemption):
    with pytest.raises(TypeError):
        writes.record(Event, [{"type": "x", "created_at": redemption.created_at, "data": {"thing": object()}}])


def test_update_changes_only_the_expected_row(redemption):
    challenge = redemption.challenge
    with pytest.raises(LookupError):
        writes.update(challenge, {"attempts": 1}, {"attempts": 4}, LookupError())
    assert Challenge.objects.get(pk=challenge.pk).attempts == 0
    writes.update(challenge, {"attempts": 1, "ended_at": None}, {"attempts": 0, "expires_at": None}, LookupError())
    assert Challenge.objects.get(pk=challenge.pk).attempts == 1


def test_change_that_lost_a_race_is_refused(redemption):
    challenge = redemption.challenge
    Challenge.objects.filter(pk=challenge.pk).update(attempts=2)
    with pytest.raises(TransitionRefused):
        challenge.change(guard=("attempts",), attempts=1)
    assert Challenge.objects.get(pk=challenge.pk).attempts == 2
    assert model_to_dict(challenge)["attempts"] == 0


def test_writes_of_a_block_are_sent_together_in_their_order(redemption, sql):
    challenge, parts = redemption.challenge, connection.vendor == "postgresql"
    with sql() as executed, writes.together():
        challenge.change(guard=("attempts",), attempts=1)
        challenge.change(guard=("attempts",), attempts=2)
        redemption.move(at=redemption.created_at, failure_code="x")
    assert len(executed.executed) == (1 if parts else 3)
    assert len(executed) == 3
    assert Challenge.objects.get().attempts == 2
    assert Redemption.objects.get().failure_code == "x"


def test_a_block_inside_of_another_keeps_the_order(redemption):
    challenge = redemption.challenge
    with writes.together():
        challenge.change(guard=("attempts",), attempts=1)
        with writes.together():
            challenge.change(guard=("attempts",), attempts=2)
        challenge.change(guard=("attempts",), attempts=3)
    assert Challenge.objects.get().attempts == 3


def in_one_block(*changes) -> None:
    with transaction.atomic(), writes.together():
        for row, values in changes:
            if isinstance(row, Redemption):
                row.move(at=row.created_at, **values)
            else:
                row.change(guard=("attempts",), **values)


def test_one_lost_race_undoes_all_that_was_sent_with_it(redemption):
    challenge = redemption.challenge
    Challenge.objects.filter(pk=challenge.pk).update(attempts=2)
    with pytest.raises(TransitionRefused):
        in_one_block((redemption, {"failure_code": "x"}), (challenge, {"attempts": 1}))
    assert Redemption.objects.get().failure_code == ""


def test_a_constraint_undoes_all_that_was_sent_with_it(redemption):
    with pytest.raises(IntegrityError):
        in_one_block((redemption, {"failure_code": "x"}), (redemption, {"amount": -1}))
    assert Redemption.objects.get().failure_code == ""


def test_nothing_of_a_block_that_raises_is_sent(redemption):
    with pytest.raises(TransitionRefused):
        in_one_block((redemption, {"failure_code": "x"}), (redemption, {"status": "scheduled"}))
    assert Redemption.objects.get().failure_code == ""
    Redemption.objects.get().move(at=redemption.created_at, failure_code="y")
    assert Redemption.objects.get().failure_code == "y", "gathering ended with the block"
