"""A review whose page was open while something changed: a decision, a name, or what there is to decide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests import papers
from tests.admin.conftest import World
from tests.admin.test_reviews import (
    REVIEWER,
    begin,
    claim,
    decision,
    filled,
    form,
    forms_of,
    picture,
    review,
    said,
    text,
)
from tests.admin.trees import Tree
from tests.stories import travel, unchanged
from twofa.models import CLAIM_LIFE, Event, IdentityDocument, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


def test_loser_of_two_decisions_is_told_who_was_faster(world: World, boss: Client, staff: Callable[..., Client]):
    claim(boss, world)
    sent = decision(boss, world, verdict="approve")
    travel(CLAIM_LIFE + timedelta(seconds=1))
    maria = staff(*REVIEWER)
    claim(maria, world)
    maria.post(review(world), decision(maria, world, verdict="reject", reason="unreadable"))

    response = boss.post(review(world), sent)

    assert "maria was faster (rejected" in said(boss, response)
    world.document.refresh_from_db()
    assert world.document.decision == "rejected"


def test_loser_to_oneself_is_told_that_it_was_in_another_window(world: World, boss: Client):
    begin(boss, world)
    first, second = (decision(boss, world, verdict=verdict, reason="unreadable") for verdict in ("approve", "reject"))
    boss.post(review(world), first)

    with unchanged():
        told = said(boss, boss.post(review(world), second))

    assert "You have decided this already, in another window (approved" in told
    assert "faster" not in told


@pytest.mark.parametrize(
    ("is_sent", "line"), [(True, "the participant has replaced this picture"), (False, "nobody has to decide this")]
)
def test_decision_about_what_is_out_of_the_queue_is_told_why(is_sent: bool, line: str, world: World, boss: Client):
    begin(boss, world)
    sent, old = decision(boss, world, verdict="approve"), world.document
    IdentityDocument.objects.filter(pk=old.pk).update(replaced_at=now(), claimed_by=None, claimed_until=None)
    if is_sent:
        papers.kept(world.shop.participant, old.kind, old.side)

    with unchanged():
        response = boss.post(review(world), sent)

    assert line in said(boss, response)


@pytest.mark.postgres
def test_two_forms_sent_at_once_are_one_decision(
    world: World, boss: Client, staff: Callable[..., Client], threads: Callable[..., list[Any]]
):
    maria = staff(*REVIEWER)
    begin(boss, world)
    first = decision(boss, world, verdict="approve")
    travel(CLAIM_LIFE + timedelta(seconds=1))
    begin(maria, world)
    second = decision(maria, world, verdict="reject", reason="unreadable")
    travel(CLAIM_LIFE + timedelta(seconds=1))

    answers = threads([lambda: boss.post(review(world), first), lambda: maria.post(review(world), second)])

    told = [said(client, answer) for client, answer in zip((boss, maria), answers, strict=True)]
    assert sum("was faster" in line or "Begin the review" in line for line in told) == 1
    world.document.refresh_from_db()
    assert world.document.decided_by == User.objects.get(username="maria")
    assert Event.objects.filter(type__in=("document.approved", "document.rejected")).count() == 1


def test_name_that_changed_meanwhile_is_told_and_shown(world: World, boss: Client):
    begin(boss, world)
    sent = decision(boss, world, verdict="approve")
    Participant.objects.filter(pk=world.shop.participant.pk).update(name="Rui Lima")

    with unchanged():
        response = boss.post(review(world), sent)

    assert "has changed their name or document number" in said(boss, response) + text(response)
    assert "Rui Lima" in text(response)
    world.document.refresh_from_db()
    assert world.document.status == "pending"
    again = {**Tree(text(response)).forms[-1].values}
    assert again  # the form came back with the new mark, and is taken now
    assert boss.post(review(world), decision(boss, world, verdict="approve")).status_code == 302
    world.document.refresh_from_db()
    assert world.document.status == "approved"


def test_slip_in_a_form_does_not_pass_off_a_name_that_changed_meanwhile_as_seen(world: World, boss: Client):
    begin(boss, world)
    sent = decision(boss, world, verdict="perhaps")
    Participant.objects.filter(pk=world.shop.participant.pk).update(name="Rui Lima")
    with unchanged():
        slipped = boss.post(review(world), sent)
        again = {**filled(slipped, world.document), "do": "decide", "verdict": "approve"}
        warned = boss.post(review(world), again)

    assert "has changed their name or document number" in said(boss, warned)
    boss.post(review(world), {**filled(warned, world.document), "do": "decide"})
    world.document.refresh_from_db()
    assert world.document.status == "approved"


def test_refusal_for_another_reason_does_not_pass_off_a_changed_name_as_seen(world: World, boss: Client):
    claim(boss, world)
    sent = decision(boss, world, verdict="approve")
    Participant.objects.filter(pk=world.shop.participant.pk).update(name="Rui Lima")

    refused = boss.post(review(world), sent)

    assert "Look at each page" in said(boss, refused)
    assert filled(refused, world.document)["seen"] == sent["seen"]


def test_what_arrives_during_a_review_says_what_to_press_and_is_decided_then(world: World, boss: Client):
    begin(boss, world)
    back = papers.kept(world.shop.participant, "passport", "single")

    shown = text(boss.get(review(world)))

    assert "This arrived during your review." in shown
    assert "Take what arrived since, and 15 minutes more</button>" in shown
    assert picture(back) not in shown
    assert str(back.pk) not in [values.get("document", [""])[0] for values in forms_of(shown)]
    claim(boss, world)
    assert "Take what arrived since" not in text(boss.get(review(world)))
    boss.get(picture(back))
    sent = {**form(boss, world, back), "do": "decide", "verdict": "approve"}
    assert "was faster" not in said(boss, boss.post(review(world), sent))
    back.refresh_from_db()
    assert back.status == "approved"
