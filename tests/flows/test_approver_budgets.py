"""Messages to an approver: one requester has half of them, so that a stolen session does not silence a director."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.companies import STRANGER, Company
from tests.stories import cancel, refused, resend, travel
from twofa.exceptions import SendBudget
from twofa.models import Campaign, Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return Company()


def test_one_requester_does_not_use_up_the_messages_of_an_approver(company):
    Campaign.objects.update(sends_per_participant_per_day=6)
    for _time in range(3):
        cancel(company, company.ask())
    with refused(SendBudget):
        company.ask()
    waiting = company.open()
    assert Delivery.objects.filter(participant=company.director).count() == 3

    colleague = company.person(STRANGER)
    company.entitle(company.director, requester=colleague)
    assert company.ask(participant=colleague.external_id).status == waiting.status


def test_resend_stays_within_the_share_of_the_requester(company):
    Campaign.objects.update(sends_per_participant_per_day=2)
    redemption = company.ask()
    travel(timedelta(seconds=31))
    with refused(SendBudget):
        resend(company, redemption)
