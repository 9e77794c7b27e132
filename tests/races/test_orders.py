"""Entitlements and schedules at the same moment as what they decide about."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests import factories
from tests.companies import DIRECTOR, Company
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.races.guards import Pause, blind_changes, meet_after, outcomes, unlocked
from tests.stories import STAFF, cancel, confirm, points, travel
from twofa import jobs
from twofa.flows import approvers, buyers, completions, facts, schedules, sweeps
from twofa.flows.recipients import Named
from twofa.models import Approver, Campaign, Challenge, Delivery, Event, Redemption
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
DAY = timedelta(days=1)


@pytest.fixture
def company() -> Company:
    return Company()


# --- a revocation and a right token -----------------------------------------------------------------------------------


def race_with_revocation(company, threads, monkeypatch, guard):
    redemption = company.ask()
    token = token_of(redemption.challenge)
    row = Approver.objects.select_related("requester").get()
    pause = Pause(monkeypatch, Challenge, "judge")
    results = threads(
        [
            guard(lambda: confirm(company, redemption, token)),
            guard(pause.then(lambda: approvers.revoke(row, actor=STAFF, reason="Left"))),
        ]
    )
    order = Event.objects.filter(type__in=("approver.revoked", "redemption.approved")).order_by("created_at")
    return outcomes(results), list(order.values_list("type", flat=True))


def test_right_token_is_before_the_revocation_or_not_at_all(company, threads, monkeypatch):
    done, order = race_with_revocation(company, threads, monkeypatch, lambda call: call)
    assert done == {"done": 2}
    assert order == ["redemption.approved", "approver.revoked"]


def test_without_the_guards_a_token_approves_after_the_revocation(company, threads, monkeypatch):
    stored = []
    write = approvers.Trail.write
    monkeypatch.setattr(approvers.Trail, "write", lambda trail: (stored.append(trail.actor.kind), write(trail))[1])
    race_with_revocation(company, threads, monkeypatch, unlocked)
    assert [kind for kind in stored if kind in ("staff", "storefront")][-2:] == ["staff", "storefront"]
    assert Redemption.objects.get().status == "completed"
    assert not Approver.objects.get().is_active


# --- two who ask the same director ------------------------------------------------------------------------------------


def race_for_the_last_message(company, threads, monkeypatch, guard):
    Campaign.objects.update(sends_per_participant_per_day=1)
    other = factories.participant(company.campaign)
    approvers.entitle(
        requester=other, participant=company.director, by=factories.staff(), actor=STAFF, reason="Board of 3 May"
    )
    meet_after(monkeypatch, facts, "budgets", 2)
    asking = [
        lambda who=who: company.open(participant=who.external_id, approver=Named(DIRECTOR))
        for who in (company.participant, other)
    ]
    results = threads([guard(call) for call in asking])
    return outcomes(results), Delivery.objects.filter(participant=company.director).count()


def test_last_message_of_a_recipient_is_sent_once(company, threads, monkeypatch):
    told, sent = race_for_the_last_message(company, threads, monkeypatch, lambda call: call)
    assert (told, sent) == ({"done": 1, "send_budget": 1}, 1)


def test_without_the_turn_the_recipient_gets_one_too_many(company, threads, monkeypatch):
    _told, sent = race_for_the_last_message(company, threads, monkeypatch, unlocked)
    assert sent == 2


def test_people_who_approve_for_one_another_do_not_wait_in_a_circle(company, threads, monkeypatch):
    factories.device(company.participant, "email")
    company.participant.document_number = "39053344705"
    company.participant.save()
    approvers.entitle(
        requester=company.director,
        participant=company.participant,
        by=factories.staff(),
        actor=STAFF,
        reason="Board of 3 May",
    )
    meet_after(monkeypatch, buyers, "locked", 2)
    asking = [
        lambda: company.open(approver=Named(DIRECTOR)),
        lambda: company.open(participant="director", approver=Named("39053344705")),
    ]
    assert outcomes(threads(asking)) == {"done": 2}


# --- a schedule and its cancellation ----------------------------------------------------------------------------------


def due(shop) -> Redemption:
    redemption = shop.open(scheduled_for=now() + DAY)
    confirm(shop, redemption, token_of(redemption.challenge))
    travel(DAY)
    return redemption


def race_with_execution(shop, threads, monkeypatch, guard):
    redemption = due(shop)
    pause = Pause(monkeypatch, RecordingBackend, "complete")
    results = threads(
        [
            guard(lambda: completions.complete(redemption.pk)),
            guard(pause.then(lambda: cancel(shop, redemption))),
        ]
    )
    return redemption, outcomes(results), (RecordingBackend.count("complete"), RecordingBackend.count("release"))


def test_execution_that_has_begun_wins_over_a_cancellation(shop, threads, monkeypatch):
    redemption, told, calls = race_with_execution(shop, threads, monkeypatch, lambda call: call)
    assert (told, calls) == ({"done": 1, "wrong_state": 1}, (1, 0))
    assert points(redemption) == ("completed", "completed")


def test_cancellation_that_came_first_wins_over_the_execution(shop, threads, monkeypatch):
    redemption = due(shop)
    pause = Pause(monkeypatch, schedules.turns, "locked")
    threads([lambda: cancel(shop, redemption), pause.then(lambda: completions.complete(redemption.pk))])
    assert points(redemption) == ("cancelled", "released")
    assert (RecordingBackend.count("complete"), RecordingBackend.count("release")) == (0, 1)


def test_without_the_guards_points_are_spent_and_given_back(shop, threads, monkeypatch):
    blind_changes(monkeypatch)
    # That a call is about to be made is noted before it is made: a guard as well.
    monkeypatch.setattr(completions, "_announce", lambda _pk: None)
    _redemption, _told, calls = race_with_execution(shop, threads, monkeypatch, unlocked)
    assert calls == (1, 1)


# --- sweepers ---------------------------------------------------------------------------------------------------------


def swept(shop, threads, monkeypatch, guard, number: int = 12) -> tuple[set[UUID], list[UUID]]:
    Campaign.objects.update(two_factor_mode="off")
    rows = {shop.open(scheduled_for=now() + DAY).pk for _ in range(number)}
    travel(DAY)
    published: list[UUID] = []
    monkeypatch.setattr(jobs, "publish", lambda _name, pk, **_options: published.append(pk) or True)
    meet_after(monkeypatch, schedules, "_free", 2)
    threads([guard(sweeps.sweep)] * 2)
    return rows, published


def test_two_sweepers_publish_each_once(shop, threads, monkeypatch):
    rows, published = swept(shop, threads, monkeypatch, lambda call: call)
    assert (set(published), len(published)) == (rows, len(rows))


def test_without_the_guards_they_publish_some_twice(shop, threads, monkeypatch):
    rows, published = swept(shop, threads, monkeypatch, unlocked)
    assert len(published) > len(rows)


def test_ten_workers_with_the_same_job_execute_it_once(shop, threads):
    redemption = due(shop)
    threads([lambda: completions.complete(redemption.pk)] * 10)
    assert points(redemption) == ("completed", "completed")
    assert RecordingBackend.count("complete") == 1
    assert Event.objects.filter(type="redemption.completed").count() == 1
