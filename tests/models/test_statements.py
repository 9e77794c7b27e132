"""The prepared statements say what the ORM says, for every model that they touch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db.models import DateTimeField
from django.forms.models import model_to_dict

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa.exceptions import TransitionRefused
from twofa.models import Campaign, Challenge, Delivery, Device, Event, Participant, Redemption, statements
from twofa.models.statements import attribute_names

pytestmark = pytest.mark.django_db


@pytest.fixture
def redemption():
    RecordingBackend.reset()
    shop = factories.Shop(threshold=None, allowed_countries=["BR"])
    return shop.open(items=[{"sku": "A", "name": "Ação “é”", "quantity": 1, "amount": "150.00"}])


def columns(row):
    return {name: getattr(row, name) for name in attribute_names(type(row))}


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


def test_extra_is_converted(redemption):
    select = statements.Select("FROM {redemption}", redemption=Redemption, extra={"at": ("{clock}", DateTimeField())})
    at = select.row()["at"]
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


@pytest.mark.parametrize("model", [Redemption, Challenge, Delivery, Event])
def test_insert_stores_what_the_orm_would(redemption, model):
    row = model._base_manager.first()
    before = columns(row)
    if model is Event:
        twins = [Event(**{**before, "id": None}) for _twin in range(3)]
        statements.insert(*twins)
        assert len({twin.pk for twin in twins}) == 3
        stored = Event.objects.get(pk=twins[2].pk)
        assert {**columns(stored), "id": None} == {**before, "id": None}
        return
    Delivery.objects.all().delete()
    Challenge.objects.all().delete()
    if model is Redemption:
        Redemption.objects.all().delete()
    if model is Delivery:
        statements.insert(redemption.challenge)
    twin = model(**before)
    statements.insert(twin)
    assert columns(model._base_manager.get(pk=twin.pk)) == before
    assert twin._state.adding is False


def test_update_changes_only_the_expected_row(redemption):
    challenge = redemption.challenge
    assert statements.update(challenge, {"attempts": 1}, {"attempts": 4}) == 0
    assert statements.update(challenge, {"attempts": 1, "ended_at": None}, {"attempts": 0, "expires_at": None}) == 1
    assert Challenge.objects.get(pk=challenge.pk).attempts == 1


def test_change_that_lost_a_race_is_refused(redemption):
    challenge = redemption.challenge
    Challenge.objects.filter(pk=challenge.pk).update(attempts=2)
    with pytest.raises(TransitionRefused):
        challenge.change(guard=("attempts",), attempts=1)
    assert Challenge.objects.get(pk=challenge.pk).attempts == 2
    assert model_to_dict(challenge)["attempts"] == 0
