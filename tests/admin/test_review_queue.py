"""From one review to the next: who it is, in which campaign, and what is told where there is none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests import factories, papers
from tests.admin.conftest import World, page
from tests.admin.test_reviews import begin, decision, review, said, text
from tests.admin.trees import Tree
from tests.stories import unchanged
from twofa.models import IdentityDocument
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

NEXT, QUEUE = page("identitydocument", "next"), page("identitydocument", "changelist")


def next_of(response: Any) -> dict[str, Any]:
    """What the button sends that goes on to the next participant."""
    return next(found.values for found in Tree(text(response)).forms if found.action == NEXT)


def test_next_begins_the_oldest_and_leaving_one_gives_it_back(world: World, boss: Client):
    old = papers.kept(factories.participant(world.shop.campaign), created_at=now() - timedelta(days=1))

    first = boss.post(page("identitydocument", "next"))
    second = boss.post(page("identitydocument", "next"), {"leave": old.participant_id})

    assert first["Location"] == page("identitydocument", "review", old.participant_id)
    assert second["Location"] == review(world)
    assert [row.pk for row in IdentityDocument.objects.filter(claimed_by__isnull=False)] == [world.document.pk]


def test_next_where_nothing_waits_says_so(world: World, boss: Client):
    papers.decided(world.document)

    response = boss.post(page("identitydocument", "next"), {"campaign": "no number", "leave": "none"})

    assert response["Location"] == page("identitydocument", "changelist")
    assert "Nothing waits for you." in said(boss, response)


def test_next_is_no_link(world: World, boss: Client):
    with unchanged():
        assert boss.get(page("identitydocument", "next")).status_code == 405


def test_leaving_the_only_one_who_waits_does_not_say_that_nothing_waits(world: World, boss: Client):
    boss.post(NEXT)

    response = boss.post(NEXT, {"leave": world.shop.participant.pk})

    told = said(boss, response)
    assert response["Location"] == QUEUE
    assert "Whom you left stays in the queue." in told
    assert "Nothing waits" not in told
    world.document.refresh_from_db()
    assert world.document.claimed_by is None


def test_buttons_of_a_review_stay_in_the_campaign_of_its_queue(world: World, boss: Client):
    """Somebody of another campaign has waited longest: whoever works through one campaign never gets them."""
    papers.kept(factories.participant(factories.campaign()), created_at=now() - timedelta(days=9))
    campaign = str(world.shop.campaign.pk)
    second = papers.kept(factories.participant(world.shop.campaign)).participant

    first = boss.post(NEXT, {"campaign": campaign})
    shown = boss.get(first["Location"])
    left = boss.post(NEXT, next_of(shown))

    assert first["Location"] == f"{review(world)}?campaign={campaign}"
    assert next_of(shown)["campaign"] == [campaign]
    assert left["Location"] == f"{page('identitydocument', 'review', second.pk)}?campaign={campaign}"


def test_campaign_of_the_queue_outlives_a_decision_and_its_end_is_told_as_the_campaigns(world: World, boss: Client):
    papers.kept(factories.participant(factories.campaign()))
    campaign = str(world.shop.campaign.pk)
    address = boss.post(NEXT, {"campaign": campaign})["Location"]
    begin(boss, world)

    decided = boss.post(address, decision(boss, world, verdict="approve"))
    ended = boss.post(NEXT, next_of(boss.get(decided["Location"])))

    assert decided["Location"] == address
    assert ended["Location"] == f"{QUEUE}?campaign__id__exact={campaign}"
    assert "Nothing of this campaign waits for you." in said(boss, ended)


@pytest.mark.parametrize("asked", ["x", "0", "999999"])
def test_campaign_in_an_address_that_is_not_the_participants_is_none(asked: str, world: World, boss: Client):
    shown = boss.get(review(world), {"campaign": asked})

    assert "campaign" not in next_of(shown)
