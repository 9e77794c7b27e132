from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.admin.conftest import World, page
from tests.stories import STAFF
from twofa.flows import exports
from twofa.models import EVENT_LABELS, Event

pytestmark = pytest.mark.django_db(transaction=True)


def test_event_leads_to_what_it_speaks_of(world: World, boss: Client, staff: Callable[..., Client]):
    event = Event.objects.get(type="delivery.sent")
    address = page("event", "change", event.pk)

    (about,) = boss.get(address).context["sections"]
    (bare,) = staff("view_event").get(address).context["sections"]

    assert [str(row[0].text) for row in about.rows] == [
        "campaign",
        "storefront",
        "participant",
        "redemption",
        "challenge",
        "delivery",
    ]
    assert {boss.get(row[1].url).status_code for row in about.rows} == {200}
    assert {row[1].url for row in bare.rows} == {""}


def test_event_outlives_what_it_speaks_of(world: World, boss: Client):
    event = Event.objects.get(type="delivery.sent")
    world.delivery.delete()

    (about,) = boss.get(page("event", "change", event.pk)).context["sections"]

    assert [str(cell.text) for cell in about.rows[-1]] == ["delivery", "it is no more", str(event.delivery_id)]


def test_latest_events_of_a_participant_begin_with_the_newest(world: World, boss: Client):
    sections = boss.get(page("participant", "change", world.shop.participant.pk)).context["sections"]

    latest = sections[-1]
    assert str(latest.title) == "Latest events, the newest first"
    times = [str(row[0].text) for row in latest.rows]
    assert times == sorted(times, reverse=True)


def test_export_is_found_among_the_events_of_redemptions(world: World, boss: Client):
    exports.record(actor=STAFF, filters=["q=u-1"], rows=3)

    listed = boss.get(page("event", "changelist"), {"about": "redemptions"})

    assert "Redemptions exported" in listed.content.decode()
    assert "filters: q=u-1" in listed.content.decode()


def test_every_subject_can_be_chosen_but_two_that_tell_of_the_trail_and_of_what_was_not_sent(boss: Client):
    about = boss.get(page("event", "changelist")).context["cl"].filter_specs[0]

    offered = {value for value, _label in about.lookup_choices}
    assert {type_.partition(".")[0] for type_ in EVENT_LABELS} - offered == {"notice", "trail"}
    assert offered <= {type_.partition(".")[0] for type_ in EVENT_LABELS}
