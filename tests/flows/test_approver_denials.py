"""“It was not me”, said by whoever should approve for another one."""

from __future__ import annotations

import pytest

from tests import factories
from tests.companies import Company
from tests.factories import link_of
from tests.stories import STAFF, points, refused
from twofa.exceptions import NotFound
from twofa.flows import cases, denials, erasures, holds
from twofa.models import Case, Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def company() -> Company:
    return Company()


def test_approver_stops_it_and_the_trail_does_not_name_the_requester_for_it(company):
    redemption = company.ask()
    case = denials.deny(*link_of(redemption.challenge, company.phone))
    assert points(redemption) == ("rejected", "released")
    assert (case.participant, case.reported_from.participant) == (company.participant, company.director)
    rows = Event.objects.filter(correlation_id=case.correlation_id).exclude(type="points.released")
    assert set(rows.values_list("actor_kind", "actor")) == {("participant", "")}


def test_what_else_waits_on_the_approvers_device_is_cancelled(company):
    first, second = company.ask(), company.ask()
    denials.deny(*link_of(first.challenge, company.phone))
    assert points(second) == ("cancelled", "released")


def test_link_of_an_erased_approver_shows_nothing(company):
    link = link_of(company.ask().challenge, company.phone)
    erasures.erase(company.director, actor=STAFF, reason="request 17")
    for press in (denials.look, denials.deny):
        with refused(NotFound):
            press(*link)
    assert not Case.objects.exists()


def test_erased_approver_is_forgotten_in_what_staff_wrote(company):
    case = denials.deny(*link_of(company.ask().challenge, company.phone))
    holds.release(company.phone, by=factories.staff(), actor=STAFF, reason="Spoken with.")
    cases.close(case, by=factories.staff(), actor=STAFF, outcome="mistake", note="The director was on holiday.")
    erasures.erase(company.director, actor=STAFF, reason="request 17")
    assert Case.objects.get().note == ""
