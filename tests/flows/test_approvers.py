"""Entitlements: given, changed and taken back by staff, with a trace; and forgotten with the people in them."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction

from tests import factories
from tests.batches import lines, status
from tests.companies import DEPUTY, DIRECTOR, STRANGER, Company
from tests.stories import STAFF, confirm, deliver_due, points, refused, travel
from twofa.exceptions import Invalid, NotFound, PolicyRefused, WrongState
from twofa.flows import approvers, erasures, portability
from twofa.flows.recipients import Named
from twofa.models import Approver, Challenge, Delivery, Event, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return Company()


def entitle(company: Company, **changes):
    given = {
        "requester": company.participant,
        "participant": company.director,
        "by": factories.staff(),
        "actor": STAFF,
        "reason": "Board of 3 May",
        **changes,
    }
    return approvers.entitle(**given)


def change(company: Company, **changes):
    return approvers.change(company.entitlement, by=factories.staff(), actor=STAFF, reason="Holidays", changes=changes)


def codes(error: Invalid) -> set[tuple[str, str]]:
    return {(line["field"], line["code"]) for line in error.params["errors"]}


def test_entitlement_leaves_a_trace_with_a_name_and_no_second_copy_of_the_people(company):
    deputy = company.person(DEPUTY)
    until = now() + timedelta(days=30)
    other = company.person(STRANGER)
    row = entitle(company, participant=other, deputy=deputy, max_amount=Decimal("500.00"), valid_until=until)
    event = Event.objects.filter(type="approver.entitled").latest("pk")
    assert (event.actor_kind, event.actor) == ("staff", "maria")
    assert (event.participant_id, event.campaign_id) == (company.participant.pk, company.campaign.pk)
    assert event.data == {
        "entitlement": row.pk,
        "approver": other.pk,
        "requester": company.participant.pk,
        "deputy": deputy.pk,
        "max_amount": "500.00",
        "valid_until": until.isoformat(),
        "reason": "Board of 3 May",
    }
    assert other.external_id not in json.dumps(event.data)


def test_nobody_approves_for_themselves(company):
    with refused(Invalid):
        entitle(company, participant=company.participant)
    for columns in ({"participant": company.participant}, {"deputy": company.participant}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approver.objects.update(**columns)


@pytest.mark.parametrize("who", ["requester", "approver"])
def test_deputy_is_a_third_person(company, who):
    with refused(Invalid):
        change(company, deputy=company.participant if who == "requester" else company.director)


@pytest.mark.parametrize("who", ["participant", "deputy"])
def test_people_are_of_one_campaign(company, who):
    stranger, member = factories.participant(factories.campaign()), company.person(DEPUTY)
    with refused(Invalid) as told:
        entitle(company, **{"participant": member, who: stranger})
    assert who in {field for field, _code in codes(told.value)}


@pytest.mark.postgres
@pytest.mark.parametrize("who", ["participant", "requester", "deputy"])
@pytest.mark.django_db(transaction=True)
def test_database_keeps_people_of_different_campaigns_apart(company, who):
    stranger = factories.participant(factories.campaign())
    with pytest.raises(IntegrityError):
        Approver.objects.update(**{who: stranger})


def test_same_entitlement_is_given_once(company):
    with refused(Invalid):
        entitle(company)
    approvers.revoke(company.entitlement, actor=STAFF, reason="Left")
    assert entitle(company).is_active, "after it was revoked"


@pytest.mark.parametrize("limits", [{"max_amount": Decimal("0")}, {"max_amount": Decimal("-1")}])
def test_limit_is_an_amount(company, limits):
    with refused(Invalid):
        change(company, **limits)


def test_day_that_is_over_is_refused_and_one_that_comes_to_pass_is_kept(company):
    over, deputy, by = now() - timedelta(seconds=1), company.person(DEPUTY), factories.staff()
    with refused(Invalid) as told:
        approvers.change(company.entitlement, by=by, actor=STAFF, reason="Left", changes={"valid_until": over})
    assert codes(told.value) == {("valid_until", "in_the_past")}
    with refused(Invalid):
        entitle(company, by=by, participant=deputy, valid_until=over)
    Approver.objects.update(valid_until=over)
    assert change(company, valid_until=over, max_amount=Decimal("7")).max_amount == 7


@pytest.mark.parametrize("who", ["participant", "deputy", "requester"])
def test_nobody_entitles_themselves_or_chooses_who_approves_for_them(company, who):
    member, other = company.person(DEPUTY), company.person(STRANGER)
    with refused(PolicyRefused):
        entitle(company, **{"participant": other, who: member, "by": member.user})


def test_nobody_becomes_a_deputy_by_changing_the_limits(company):
    member = company.person(DEPUTY)
    with refused(PolicyRefused):
        approvers.change(company.entitlement, by=member.user, actor=STAFF, reason="x", changes={"deputy": member})


def test_nobody_widens_what_another_one_approves_for_them(company):
    with refused(PolicyRefused):
        approvers.change(
            company.entitlement,
            by=company.participant.user,
            actor=STAFF,
            reason="x",
            changes={"max_amount": Decimal(9)},
        )


def test_change_tells_what_was_and_what_is(company):
    change(company, max_amount=Decimal("100.00"))
    event = Event.objects.get(type="approver.changed")
    assert (event.data["before"], event.data["after"]) == ({"max_amount": None}, {"max_amount": "100.00"})
    assert event.data["reason"] == "Holidays"


def test_change_that_changes_nothing_is_told(company):
    with refused(WrongState):
        change(company, max_amount=None)


def test_other_people_are_another_entitlement(company):
    other = company.person(DEPUTY)
    with refused(WrongState):
        change(company, participant=other, is_active=False)


def test_revoked_one_is_neither_changed_nor_revoked_again(company):
    approvers.revoke(company.entitlement, actor=STAFF, reason="Left")
    event = Event.objects.get(type="approver.revoked")
    assert (event.participant_id, event.data["reason"]) == (company.participant.pk, "Left")
    for call in (
        lambda: change(company, max_amount=Decimal("1")),
        lambda: approvers.revoke(company.entitlement, actor=STAFF, reason="Left"),
    ):
        with refused(WrongState):
            call()


def test_participant_is_found_by_the_external_id_of_the_campaign(company):
    factories.participant(factories.campaign(), external_id="elsewhere")
    assert approvers.find_participant(company.campaign, "director", field="approver") == company.director
    for name in ("elsewhere", "nobody", ""):
        with refused(Invalid) as told:
            approvers.find_participant(company.campaign, name, field="approver")
        assert codes(told.value) == {("approver", "unknown")}


# --- erased -----------------------------------------------------------------------------------------------------------


def test_erased_approver_leaves_no_trace_with_the_requester(company):
    company.participant.two_factor_method = "sms"
    company.participant.save()
    redemption = company.ask()
    deliver_due()
    erasures.erase(company.director, actor=STAFF, reason="request 17")
    assert points(redemption) == ("cancelled", "released")
    assert not Approver.objects.get().is_active
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.address, challenge.destination) == ("", "")
    assert set(Delivery.objects.values_list("address", "destination")) == {("", "")}
    told = json.dumps(list(Event.objects.values_list("data", flat=True)), ensure_ascii=False)
    assert company.phone.destination not in told
    row = Participant.objects.get(pk=company.director.pk)
    assert (row.document_number, row.document_hash, row.document_kid) == ("", None, "")


def test_batch_that_waits_for_an_erased_approver_is_cancelled(company):
    batch = company.open_batch(approver=Named(DIRECTOR))
    erasures.erase(company.director, actor=STAFF, reason="request 17")
    assert status(batch) == "cancelled"
    assert lines(batch) == {("cancelled", "released"): 3}
    assert not Approver.objects.get().is_active


def test_erased_deputy_stands_in_for_nobody(company):
    deputy = company.person(DEPUTY)
    change(company, deputy=deputy)
    erasures.erase(deputy, actor=STAFF)
    row = Approver.objects.get()
    assert (row.is_active, row.deputy) == (True, None)
    assert Event.objects.filter(type="approver.changed").count() == 2


def test_erased_requester_takes_the_entitlement_along(company):
    erasures.erase(company.participant, actor=STAFF)
    assert not Approver.objects.get().is_active
    other = company.person(DEPUTY)
    with refused(NotFound):
        entitle(company, participant=other)


def test_what_an_erased_approver_approved_stays_as_it_was_approved(company):
    redemption = company.ask()
    confirm(company, redemption, factories.token_of(redemption.challenge))
    erasures.erase(company.director, actor=STAFF)
    redemption.refresh_from_db()
    assert redemption.status == "completed"
    assert redemption.is_as_approved()


# --- given out --------------------------------------------------------------------------------------------------------


def test_requester_gets_nothing_of_the_approver(company):
    company.ask()
    company.open()
    text = json.dumps(portability.export(company.participant, actor=STAFF).data, cls=DjangoJSONEncoder)
    for theirs in (company.phone.address, company.director.external_id, company.director.document_number):
        assert theirs not in text
    data = portability.export(company.participant, actor=STAFF).data
    assert len(data["approved_for_by_others"]) == 1
    assert {row["address"] for row in data["challenges"]} == {"", company.device.address}


def test_approver_gets_what_was_sent_to_them(company):
    company.ask()
    travel(timedelta(seconds=1))
    data = portability.export(company.director, actor=STAFF).data
    assert [row["address"] for row in data["deliveries"]] == [company.phone.address]
    assert len(data["may_approve"]) == 1


def test_forgetting_counts_what_it_revoked_and_leaves_what_a_deputy_stood_in_for(company):
    third = company.person("RG 3", external_id="third")
    company.entitle(third, deputy=company.director)
    approvers.revoke(company.entitlement, actor=STAFF, reason="left")
    assert approvers.forget(company.director, actor=STAFF) == 0
    assert list(Approver.objects.filter(is_active=True).values_list("participant", "deputy")) == [(third.pk, None)]
    assert approvers.forget(third, actor=STAFF) == 1
