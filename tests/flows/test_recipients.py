"""Who receives the token where another person approves: found, reached, and refused in one answer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.companies import DEPUTY, DIRECTOR, STRANGER, Company, sent_to
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import STAFF, confirm, deliver_due, points, refused, resend, states, travel
from twofa import delivery
from twofa.channels import DeliveryError
from twofa.channels.memory import outbox
from twofa.exceptions import (
    ApproverNotEntitled,
    ChannelUnavailable,
    Invalid,
    NotActive,
    OnboardingIncomplete,
    OrderConflict,
    SendBudget,
)
from twofa.flows import approvers, checkouts
from twofa.flows.recipients import Named
from twofa.models import Approver, Campaign, Challenge, Delivery, Device, Event, Participant, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return Company()


def policy(company: Company, **columns) -> None:
    Campaign.objects.filter(pk=company.campaign.pk).update(**columns)


# --- named by the storefront ------------------------------------------------------------------------------------------


def test_token_goes_to_the_approver_alone(company):
    redemption = company.ask()
    deliver_due()
    assert [message.recipient for message in outbox] == [company.phone.address]
    assert sent_to(redemption) == company.phone
    assert (redemption.approver, redemption.two_factor_reason) == (company.director, "approver_required")
    challenge = Challenge.objects.get()
    assert challenge.participant == company.participant
    assert Delivery.objects.get().participant == company.director


def test_message_names_who_asks_in_the_approvers_language(company):
    company.ask()
    deliver_due()
    (message,) = outbox
    assert message.locale == "es"
    assert "Ana Souza" in message.text
    assert "150" in message.text
    assert "Headphones" in message.text


def test_approvers_token_completes_the_requesters_redemption(company):
    redemption = company.ask()
    confirm(company, redemption, token_of(redemption.challenge))
    assert points(redemption) == ("completed", "completed")
    assert RecordingBackend.calls == [("reserve", redemption.pk), ("complete", redemption.pk)]


@pytest.mark.parametrize("spelling", ["529.982.247-25", "52998224725", " 529 982 247 25 "])
def test_document_number_is_found_in_any_spelling(company, spelling):
    assert company.ask(spelling).approver == company.director


def test_approver_is_asked_by_the_channel_that_is_named(company):
    assert sent_to(company.ask(channel="email")) == company.mail


def test_approver_is_asked_where_two_factor_is_off_and_below_any_threshold(company):
    policy(company, two_factor_mode="off", threshold=Decimal("1000000"))
    redemption = company.ask()
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert redemption.two_factor_inputs["approver"] == "named"


def test_deputy_may_be_named(company):
    deputy = company.person(DEPUTY)
    phone = factories.device(deputy)
    approvers.change(
        company.entitlement, by=factories.staff(), actor=STAFF, reason="Holidays", changes={"deputy": deputy}
    )
    redemption = company.ask(DEPUTY)
    assert (redemption.approver, sent_to(redemption)) == (deputy, phone)
    confirm(company, redemption, token_of(redemption.challenge))
    assert points(redemption) == ("completed", "completed")


def forms_of_no(company: Company) -> dict[str, str]:
    """Document numbers that approve nothing, each for another cause."""
    limits = {
        "expired": {"valid_until": now() + timedelta(hours=1)},
        "over the limit": {"max_amount": Decimal("149.99")},
        "revoked": {},
        "inactive": {},
    }
    for cause, given in limits.items():
        person = company.person(f"RG {cause}")
        factories.device(person)
        company.entitle(person, **given)
    rows = {row.participant.document_number: row for row in Approver.objects.select_related("participant")}
    Approver.objects.filter(pk=rows["RG expired"].pk).update(valid_until=now())
    approvers.revoke(rows["RG revoked"], actor=STAFF, reason="Left")
    Participant.objects.filter(document_number="RG inactive").update(is_active=False)
    factories.device(company.person("RG entitled for nobody"))
    factories.device(Company().person("RG elsewhere"))
    causes = [*limits, "entitled for nobody", "elsewhere", "unknown"]
    return {cause: f"RG {cause}" for cause in causes}


def test_every_cause_has_the_same_answer_and_costs_the_same(company):
    costs = set()
    for cause, number in forms_of_no(company).items():
        with record_statements() as statements, refused(ApproverNotEntitled) as told:
            company.ask(number)
        assert (told.value.params, str(told.value.detail)) == ({}, str(ApproverNotEntitled.default_detail)), cause
        costs.add(len(statements))
    assert len(costs) == 1


def test_requester_does_not_approve_for_themselves(company):
    company.participant.document_number = "45317828791"
    company.participant.save()
    with refused(ApproverNotEntitled):
        company.ask("45317828791")


def test_approver_of_another_requester_does_not_approve(company):
    other = factories.participant(company.campaign)
    factories.device(other)
    with refused(ApproverNotEntitled):
        company.ask(participant=other.external_id)


def test_approver_without_a_device_is_told_as_missing(company):
    Device.objects.filter(participant=company.director).delete()
    with refused(OnboardingIncomplete) as told:
        company.ask()
    assert told.value.params["missing"] == ["approver_device"]
    assert told.value.params["next_action"].type == "none"


def test_approvers_new_device_cools_off_for_them_too(company):
    Device.objects.filter(participant=company.director).update(usable_from=now() + timedelta(hours=1))
    with refused(OnboardingIncomplete) as told:
        company.ask()
    assert told.value.params["missing"] == ["approver_device"]
    assert told.value.params["next_action"].type == "wait"


def test_channel_that_the_approver_has_not_is_unavailable(company):
    with refused(ChannelUnavailable):
        company.ask(channel="whatsapp")


@pytest.mark.parametrize("wish", ["channel", "device"])
def test_way_to_the_requester_does_not_go_with_an_approver(company, wish):
    given = {"channel": "sms", "device": company.device.uuid}
    with refused(Invalid) as told:
        company.open(approver=Named(DIRECTOR), **{wish: given[wish]})
    assert [(line["field"], line["code"]) for line in told.value.params["errors"]] == [(wish, "not_with_approver")]


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_contact_that_both_hold_is_never_used(company, spelling):
    factories.device(company.participant, "whatsapp", address=company.phone.address)
    assert sent_to(company.ask()) == company.mail
    factories.device(company.participant, "email", address=spelling(company.mail.address))
    with refused(OnboardingIncomplete):
        company.ask()


# --- demanded by the campaign -----------------------------------------------------------------------------------------


def test_approver_is_demanded_from_the_threshold_on(company):
    policy(company, approver_threshold=Decimal("150.00"))
    below = company.open(amount=Decimal("149.99"))
    assert (below.approver, sent_to(below)) == (None, company.device)
    Redemption.objects.all().update(created_at=now() - timedelta(days=2))
    reached = company.open()
    assert (reached.approver, sent_to(reached)) == (company.director, company.phone)
    assert reached.two_factor_inputs["approver"] == "demanded"


def test_splitting_does_not_escape_the_approver(company):
    policy(company, approver_threshold=Decimal("200.00"))
    assert company.open().approver is None
    assert company.open(amount=Decimal("50.00")).approver == company.director


def test_first_who_can_be_reached_is_asked(company):
    policy(company, approver_threshold=Decimal("1"))
    deputy, second = company.person(DEPUTY), company.person(STRANGER)
    approvers.change(company.entitlement, by=factories.staff(), actor=STAFF, reason="x", changes={"deputy": deputy})
    factories.device(second)
    company.entitle(second)
    assert company.open().approver == company.director
    Device.objects.filter(participant=company.director).delete()
    assert company.open().approver == second
    factories.device(deputy)
    assert company.open().approver == deputy


def test_nobody_who_can_be_reached_is_nobody_entitled(company):
    policy(company, approver_threshold=Decimal("1"))
    Device.objects.filter(participant=company.director).delete()
    with refused(ApproverNotEntitled):
        company.open()


def test_who_is_entitled_and_held_is_waited_for(company):
    policy(company, approver_threshold=Decimal("1"))
    Device.objects.filter(participant=company.director).update(held_at=now(), confirmed=False)
    with refused(OnboardingIncomplete) as told:
        company.open()
    assert told.value.params["missing"] == ["approver_device"]
    assert told.value.params["next_action"].type == "wait"


def test_over_every_limit_nobody_is_entitled(company):
    policy(company, approver_threshold=Decimal("1"))
    approvers.change(
        company.entitlement, by=factories.staff(), actor=STAFF, reason="x", changes={"max_amount": Decimal("149")}
    )
    with refused(ApproverNotEntitled):
        company.open()


def test_channel_of_the_requester_is_refused_where_the_campaign_demands_an_approver(company):
    policy(company, approver_threshold=Decimal("1"))
    with refused(Invalid):
        company.open(channel="sms")


# --- the same order again ---------------------------------------------------------------------------------------------


def again(company: Company, **changes):
    order = company.order(order_id="B-1", **changes)
    return checkouts.open_redemption(
        order, storefront=company.storefront, campaign=company.campaign.slug, actor=company.actor
    )


def test_same_order_is_the_same_by_the_approvers_document(company):
    first, _new = again(company, approver=Named(DIRECTOR))
    same, is_new = again(company, approver=Named("529.982.247-25", "email"))
    assert (same.pk, is_new) == (first.pk, False)
    for approver in (None, Named(DEPUTY)):
        with refused(OrderConflict):
            again(company, approver=approver)


def test_same_order_is_the_same_after_the_entitlement_is_gone(company):
    first, _new = again(company, approver=Named(DIRECTOR))
    approvers.revoke(company.entitlement, actor=STAFF, reason="x")
    assert again(company, approver=Named(DIRECTOR)) == (first, False)


def test_demanded_approver_was_not_named_in_the_order(company):
    policy(company, approver_threshold=Decimal("1"))
    first, _new = again(company)
    assert again(company) == (first, False)
    with refused(OrderConflict):
        again(company, approver=Named(DIRECTOR))


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_messages_are_counted_for_whoever_receives_them(company):
    policy(company, sends_per_participant_per_day=1)
    company.ask()
    with refused(SendBudget):
        company.ask()
    company.open()


def test_wrong_tokens_are_counted_for_whoever_types_them(company):
    redemption = company.ask()
    with pytest.raises(Exception, match="token_invalid"):
        confirm(company, redemption, factories.wrong_token(redemption.challenge))
    event = Event.objects.get(type="challenge.attempt_failed")
    assert event.participant_id == company.participant.pk


def test_checkout_without_an_approver_costs_nothing_more(company):
    with record_statements() as bare:
        company.open()
    with record_statements() as approved:
        company.ask()
    assert len(approved) - len(bare) == 2, str(approved)


# --- later ------------------------------------------------------------------------------------------------------------


def ends_of_entitlement(company: Company):
    return {
        "revoked": lambda: approvers.revoke(company.entitlement, actor=STAFF, reason="Left"),
        "expired": lambda: Approver.objects.update(valid_until=now()),
        "limited": lambda: Approver.objects.update(max_amount=Decimal("1")),
        "inactive": lambda: Participant.objects.filter(pk=company.director.pk).update(is_active=False),
        "shared": lambda: factories.device(company.participant, "whatsapp", address=company.phone.address),
    }


@pytest.mark.parametrize("cause", ["revoked", "expired", "limited", "inactive"])
def test_right_token_of_who_may_not_approve_any_more_is_not_looked_at(company, cause):
    redemption = company.ask()
    token = token_of(redemption.challenge)
    ends_of_entitlement(company)[cause]()
    for given in (token, factories.wrong_token(redemption.challenge)):
        with refused(ApproverNotEntitled):
            confirm(company, redemption, given)
    with refused(ApproverNotEntitled):
        resend(company, redemption)
    assert points(redemption) == ("pending_2fa_approval", "reserved")


def test_contact_that_the_requester_has_proved_since_does_not_answer(company):
    redemption = company.ask()
    token = token_of(redemption.challenge)
    ends_of_entitlement(company)["shared"]()
    with refused(OnboardingIncomplete) as told:
        confirm(company, redemption, token)
    assert told.value.params["missing"] == ["approver_device"]


def test_inactive_requester_is_told_as_before(company):
    redemption = company.ask()
    Participant.objects.filter(pk=company.participant.pk).update(is_active=False)
    with refused(NotActive):
        confirm(company, redemption, token_of(redemption.challenge))


def test_resend_goes_to_the_approver(company):
    redemption = company.ask()
    travel(timedelta(seconds=31))
    resend(company, redemption)
    assert sent_to(redemption) == company.phone
    travel(timedelta(seconds=31))
    resend(company, redemption, channel="email")
    assert sent_to(redemption) == company.mail
    travel(timedelta(seconds=31))
    factories.device(company.participant, "whatsapp")
    with refused(ChannelUnavailable):
        resend(company, redemption, channel="whatsapp")


def test_message_that_fails_goes_on_to_the_approvers_next_contact(company, monkeypatch):
    redemption = company.ask()
    send = delivery.send

    def failing(row):
        if row.channel == "sms":
            raise DeliveryError("unreachable", retryable=False)
        return send(row)

    monkeypatch.setattr(delivery, "send", failing)
    deliver_due()
    deliver_due()
    assert [row[:3] for row in states(redemption)] == [(1, "sms", "failed"), (2, "email", "sent")]
    assert sent_to(redemption) == company.mail
    assert set(Delivery.objects.values_list("participant", flat=True)) == {company.director.pk}


def test_tampered_approver_makes_the_token_worthless(company):
    other = company.person(DEPUTY)
    factories.device(other)
    company.entitle(other)
    redemption = company.ask()
    token = token_of(redemption.challenge)
    Redemption.objects.filter(pk=redemption.pk).update(approver=other)
    with pytest.raises(Exception, match="transaction_changed"):
        confirm(company, redemption, token)
    assert points(redemption) == ("cancelled", "released")
