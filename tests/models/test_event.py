from __future__ import annotations

import pytest

from tests.stories import stored
from twofa.exceptions import PolicyRefused
from twofa.models import Event

pytestmark = pytest.mark.django_db


def test_events_are_neither_changed_nor_deleted(shop):
    shop.open()
    event = Event.objects.latest("id")
    before = stored()
    for act in (
        lambda: Event.objects.update(type="x"),
        lambda: Event.objects.filter(pk=event.pk).update(type="x"),
        lambda: Event.objects.all().delete(),
        event.save,
        event.delete,
    ):
        with pytest.raises(PolicyRefused):
            act()
    assert stored() == before


def test_event_outlives_what_it_speaks_of(shop):
    redemption = shop.open()
    challenge = redemption.challenge
    challenge.deliveries.all().delete()
    challenge.delete()
    redemption.delete()
    assert Event.objects.filter(redemption_id=redemption.pk).exists()
