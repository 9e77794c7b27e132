"""Batches that another person approves: one token to them, for the total."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.batches import approve, lines, status
from tests.companies import DEPUTY, DIRECTOR, STRANGER, Company
from tests.stories import STAFF, deliver_due, refused, tamper
from twofa.channels.memory import outbox
from twofa.exceptions import ApproverNotEntitled, OrderConflict, TransactionChanged
from twofa.flows import approvers, batch_checkouts
from twofa.flows.recipients import Named
from twofa.models import Approver, Challenge, Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return Company()


def test_token_of_a_batch_goes_to_the_approver_and_says_for_whom(company):
    batch = company.open_batch(approver=Named(DIRECTOR))
    assert batch.two_factor_reason == "approver_required"
    assert batch.approver == company.director
    assert {line.approver_id for line in batch.lines} == {company.director.pk}
    assert batch.challenge.participant == company.participant
    assert Delivery.objects.get().participant_id == company.director.pk
    deliver_due()
    (message,) = outbox
    assert message.recipient == company.phone.address
    assert company.participant.name.split()[0] in message.text
    assert approve(company, batch).status == "completed"
    assert lines(batch) == {("completed", "completed"): 3}


@pytest.mark.parametrize("number", [STRANGER, DEPUTY])
def test_whoever_is_not_entitled_does_not_approve_a_batch(company, number):
    company.person(STRANGER)
    with refused(ApproverNotEntitled):
        company.open_batch(approver=Named(number))


def test_limit_of_an_approver_is_held_against_the_total(company):
    Approver.objects.update(max_amount=Decimal("449.99"))
    with refused(ApproverNotEntitled):
        company.open_batch(approver=Named(DIRECTOR))
    assert company.open_batch("100.00", "349.99", approver=Named(DIRECTOR)).status == "pending_2fa_approval"


def test_campaign_demands_an_approver_for_the_total():
    company = Company(two_factor_mode="off", approver_threshold=Decimal(400))
    assert company.open_batch("100.00", "299.99").status == "completed"
    batch = Company(two_factor_mode="off", approver_threshold=Decimal(400)).open_batch("100.00", "300.00")
    assert (batch.status, batch.two_factor_reason) == ("pending_2fa_approval", "approver_required")


def test_entitlement_that_was_revoked_does_not_approve_what_waits(company):
    batch = company.open_batch(approver=Named(DIRECTOR))
    approvers.revoke(company.entitlement, actor=STAFF, reason="Left.")
    with refused(ApproverNotEntitled):
        approve(company, batch)
    assert (status(batch), lines(batch)) == ("pending_2fa_approval", {("pending_2fa_approval", "reserved"): 3})


def test_approver_exchanged_by_hand_makes_the_token_fail(company):
    batch = company.open_batch(approver=Named(DIRECTOR))
    tamper(batch, approver_id=None)
    with pytest.raises(TransactionChanged):
        approve(company, batch)
    assert lines(batch) == {("cancelled", "released"): 3}
    assert Challenge.objects.get().status == "cancelled"


def test_same_request_with_another_approver_is_a_conflict(company):
    order = company.batch_order(approver=Named(DIRECTOR))
    asked = {"storefront": company.storefront, "campaign": company.campaign.slug, "actor": company.actor}
    batch, _created = batch_checkouts.open_batch(order, **asked)
    assert batch_checkouts.open_batch(order, **asked) == (batch, False)
    for approver in (None, Named(STRANGER)):
        with refused(OrderConflict):
            batch_checkouts.open_batch(replace(order, approver=approver), **asked)
