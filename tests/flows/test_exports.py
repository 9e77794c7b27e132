from __future__ import annotations

import pytest
from django.db import transaction

from tests.stories import STAFF
from twofa.flows import exports
from twofa.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


def test_export_is_an_event_with_who_how_many_and_which():
    exports.record(actor=STAFF, filters=["status__exact=rejected", "q=u-1"], rows=12)

    (event,) = Event.objects.all()
    assert (event.type, event.actor_kind, event.actor) == ("redemptions.exported", "staff", "maria")
    assert event.data == {"filters": ["status__exact=rejected", "q=u-1"], "rows": 12}


def test_export_is_refused_where_its_event_could_be_rolled_back():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        exports.record(actor=STAFF, filters=[], rows=1)

    assert not Event.objects.exists()
