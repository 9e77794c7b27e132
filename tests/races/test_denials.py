"""“It was not me” while somebody types the token, and pressed in two windows at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import link_of, token_of
from tests.fulfillment import RecordingBackend
from tests.races.guards import blind_changes, meet_after, outcomes, unlocked, without_constraint
from tests.stories import confirm, points, travel
from twofa.flows import completions, denials, redemptions
from twofa.models import Campaign, Case, Challenge, Device, Event, Redemption
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def redemption(shop) -> Redemption:
    return shop.open()


def balanced(redemption: Redemption) -> bool:
    """What was set aside was spent once, or given back once."""
    spent, given_back = RecordingBackend.count("complete"), RecordingBackend.count("release")
    return (spent, given_back) == ((1, 0) if points(redemption) == ("completed", "completed") else (0, 1))


@pytest.mark.parametrize("round_", range(5))
def test_confirm_and_denial_at_once_end_in_one_way(shop, redemption, threads, round_):
    token, link = token_of(redemption.challenge), link_of(redemption.challenge)
    confirmed, denied = threads([lambda: confirm(shop, redemption, token), lambda: denials.deny(*link)])

    case = Case.objects.get()
    assert denied == case
    assert case.too_late == (points(redemption) == ("completed", "completed"))
    assert points(redemption) in {("completed", "completed"), ("rejected", "released")}
    assert case.too_late == (not isinstance(confirmed, Exception))
    assert balanced(redemption)
    assert Device.objects.get().is_held
    ends = Event.objects.filter(type__in=("challenge.approved", "challenge.rejected")).count()
    assert ends == 1


@pytest.mark.parametrize("round_", range(3))
def test_execution_and_denial_of_what_is_scheduled_at_once_end_in_one_way(shop, threads, round_):
    scheduled = shop.open(scheduled_for=now() + timedelta(hours=1))
    confirm(shop, scheduled, token_of(scheduled.challenge))
    link = link_of(scheduled.challenge)
    travel(timedelta(hours=1))
    threads([lambda: completions.drive(scheduled.pk), lambda: denials.deny(*link)])

    assert points(scheduled) in {("completed", "completed"), ("cancelled", "released")}
    assert Case.objects.get().too_late == (points(scheduled) == ("completed", "completed"))
    assert balanced(scheduled)


def test_without_the_guards_both_have_their_way(shop, redemption, threads, monkeypatch):
    # What is completed already is kept by constraints: here nobody completes.
    Campaign.objects.update(completion_mode="async")
    blind_changes(monkeypatch)
    meet_after(monkeypatch, redemptions, "_related", 2)
    token, link = token_of(redemption.challenge), link_of(redemption.challenge)
    # Even then the database keeps a rejected challenge from having an accepted token: that guard goes too.
    with without_constraint(Challenge, "twofa_challenge_accepted_approved"):
        threads([unlocked(lambda: confirm(shop, redemption, token)), unlocked(lambda: denials.deny(*link))])

        ends = Event.objects.filter(type__in=("challenge.approved", "challenge.rejected")).count()
        assert ends == 2


def test_pressed_ten_times_at_once_there_is_one_case(redemption, threads):
    link = link_of(redemption.challenge)
    results = threads([lambda: denials.deny(*link)] * 10)

    assert outcomes(results) == {"done": 10}
    assert {case.pk for case in results} == {Case.objects.get().pk}
    assert Event.objects.filter(type="case.opened").count() == 1
    assert balanced(redemption)


def test_without_the_guards_there_is_more_than_one(redemption, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, redemptions, "_related", 4)
    link = link_of(redemption.challenge)
    with without_constraint(Case, "twofa_case_one_open_per_challenge"):
        threads([unlocked(lambda: denials.deny(*link))] * 4)
        assert Case.objects.count() > 1


def test_denials_of_two_challenges_on_one_device_hold_it_once(shop, redemption, threads):
    other = shop.open()
    links = [link_of(redemption.challenge), link_of(other.challenge)]
    results = threads([lambda link=link: denials.deny(*link) for link in links])

    assert outcomes(results) == {"done": 2}
    assert Event.objects.filter(type="device.held").count() == 1
    assert {points(row)[1] for row in (redemption, other)} == {"released"}
    assert not Challenge.objects.filter(status="pending").exists()
    assert RecordingBackend.count("release") == 2
