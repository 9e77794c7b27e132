from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from tests import factories
from tests.admin.conftest import PASSWORD, page
from tests.admin.test_campaigns import EDITOR, changed, values
from tests.admin.world import propose
from tests.stories import unchanged
from twofa import alerts
from twofa.models import Campaign, Event, PolicyChange

APPROVER = ("view_campaign", "approve_policy")


@pytest.fixture(autouse=True)
def four_eyes(settings: Any) -> None:
    settings.TWOFA_FOUR_EYES = True
    alerts.forget()


@pytest.fixture
def campaign(db: None) -> Campaign:
    return factories.campaign()


@pytest.fixture
def maria(staff: Callable[..., Client]) -> Client:
    return staff(*EDITOR)


@pytest.fixture
def joao(staff: Callable[..., Client]) -> Client:
    return staff(*APPROVER, name="joao")


def told(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def mode(campaign: Campaign, value: str, **more: Any) -> dict[str, Any]:
    return {"two_factor_mode": value, "policy_version": campaign.policy_version, **more}


def test_saved_form_that_loosens_is_a_proposal(campaign: Campaign, maria: Client):
    sent = values(campaign, redemption_ttl_minutes=45, max_attempts=3, change_reason="Buses are late")

    response = maria.post(page("campaign", "change", campaign.pk), sent, follow=True)

    change = PolicyChange.objects.get()
    assert response.redirect_chain[-1][0] == page("policychange", "change", change.pk)
    assert "Nothing has changed yet" in told(response)
    assert "was changed successfully" not in told(response)
    assert (change.requested_by.get_username(), change.reason, change.loosens) == (
        "maria",
        "Buses are late",
        ["redemption_ttl"],
    )
    row = Campaign.objects.get()
    assert (row.max_attempts, row.policy_version) == (5, 1)
    assert changed(campaign) == []
    assert not LogEntry.objects.exists()


def test_saved_form_that_loosens_without_a_reason_says_why_it_needs_one(campaign: Campaign, maria: Client):
    with unchanged():
        response = maria.post(page("campaign", "change", campaign.pk), values(campaign, redemption_ttl_minutes=45))

    assert response.status_code == 200
    assert "Say why: a second person must agree to this (time to confirm)." in response.content.decode()


def test_saved_form_that_tightens_takes_effect(campaign: Campaign, maria: Client):
    response = maria.post(page("campaign", "change", campaign.pk), values(campaign, max_attempts=3), follow=True)

    assert "was changed successfully" in told(response)
    assert Campaign.objects.get().max_attempts == 3
    assert not PolicyChange.objects.exists()


def test_form_says_what_happens_only_where_four_eyes_are_asked_for(
    campaign: Campaign, maria: Client, staff: Callable[..., Client], settings: Any
):
    address = page("campaign", "change", campaign.pk)
    assert "becomes a proposal" in maria.get(address).content.decode()
    renamer = staff("view_campaign", "change_campaign", name="renamer")
    assert "change_reason" not in renamer.get(address).content.decode()
    assert "change_reason" not in maria.get(page("campaign", "two-factor", campaign.pk)).content.decode()
    settings.TWOFA_FOUR_EYES = False
    shown = maria.get(address).content.decode()
    assert "proposal" not in shown
    assert "change_reason" not in shown
    assert 'name="reason"' not in maria.get(page("campaign", "two-factor", campaign.pk)).content.decode()


def test_waiting_proposal_is_told_at_the_top_of_its_campaign(campaign: Campaign, maria: Client):
    address = page("campaign", "change", campaign.pk)
    assert "lead" in maria.get(address).context
    assert maria.get(address).context["lead"] == []
    change = propose(campaign)

    lead = maria.get(address).context["lead"]

    assert "waits for a second person" in str(lead[0][0].text)
    assert lead[0][1].url == page("policychange", "change", change.pk)


def test_toggle_that_loosens_is_a_proposal(campaign: Campaign, maria: Client):
    address = page("campaign", "two-factor", campaign.pk)
    refused = maria.post(address, mode(campaign, "off"), follow=True)
    assert "Say why" in told(refused)
    assert not PolicyChange.objects.exists()

    response = maria.post(address, mode(campaign, "off", reason="The provider is down"), follow=True)

    assert "Nothing has changed yet" in told(response)
    assert Campaign.objects.get().two_factor_mode == "required"
    assert PolicyChange.objects.get().after == {"two_factor_mode": "off"}


def test_second_person_reads_what_changes_and_approves(campaign: Campaign, joao: Client):
    factories.participant(campaign)
    change = propose(campaign)
    address = page("policychange", "approve", change.pk)

    asked = joao.get(address).content.decode()
    assert "required → off (looser)" in asked
    assert "paula" in asked
    assert "Support asked for it." in asked
    assert "Active participants" in asked
    assert 'type="password"' in asked
    response = joao.post(address, {"password": PASSWORD}, follow=True)

    assert "The policy has changed" in told(response)
    assert Campaign.objects.get().two_factor_mode == "off"
    (event,) = changed(campaign)
    assert (event.actor, event.data["proposed_by"]) == ("joao", "paula")
    assert "proposed by: paula" in joao.get(page("campaign", "change", campaign.pk)).content.decode()


def test_wrong_password_is_told_and_kept_nowhere(campaign: Campaign, joao: Client, caplog: pytest.LogCaptureFixture):
    change = propose(campaign)
    with caplog.at_level(logging.DEBUG):
        response = joao.post(page("policychange", "approve", change.pk), {"password": "hunter2!"}, follow=True)

    assert "The password is wrong" in told(response)
    assert response.redirect_chain[-1][0] == page("policychange", "approve", change.pk)
    assert Campaign.objects.get().two_factor_mode == "required"
    assert "hunter2!" not in response.content.decode()
    assert "hunter2!" not in caplog.text.replace("SELECT", "")
    assert "hunter2!" not in str([event.data for event in Event.objects.all()])


def test_own_proposal_has_no_button_and_its_page_refuses(campaign: Campaign, staff: Callable[..., Client]):
    both = staff(*EDITOR, "approve_policy", name="both")
    change = propose(campaign, requested_by=User.objects.get(username="both"))

    shown = both.get(page("policychange", "change", change.pk)).content.decode()
    assert page("policychange", "approve", change.pk) not in shown
    assert page("policychange", "reject", change.pk) not in shown
    assert page("policychange", "withdraw", change.pk) in shown
    assert "You proposed this yourself" in told(both.get(page("policychange", "approve", change.pk)))
    refused = both.post(page("policychange", "approve", change.pk), {"password": PASSWORD}, follow=True)

    assert "your attempt was noted" in told(refused)
    assert Campaign.objects.get().two_factor_mode == "required"
    assert Event.objects.filter(type="campaign.self_approval_refused", actor="both").count() == 1


def test_superuser_does_not_approve_alone(campaign: Campaign, boss: Client):
    boss.post(page("campaign", "two-factor", campaign.pk), mode(campaign, "off", reason="x"))
    change = PolicyChange.objects.get()

    boss.post(page("policychange", "approve", change.pk), {"password": PASSWORD})

    assert Campaign.objects.get().two_factor_mode == "required"


@pytest.mark.parametrize("action", ["approve", "reject", "withdraw"])
def test_pages_of_decisions_are_closed_without_their_permission(
    campaign: Campaign, staff: Callable[..., Client], action: str
):
    change = propose(campaign)
    looker = staff("view_campaign", "view_policychange", name="looker")
    sent = {"password": PASSWORD, "reason": "x"}

    with unchanged():
        assert looker.get(page("policychange", action, change.pk)).status_code == 403
        assert looker.post(page("policychange", action, change.pk), sent).status_code == 403
    assert looker.get(page("policychange", "change", change.pk)).status_code == 200
    nobody = staff("view_participant", name="nobody")
    assert nobody.get(page("policychange", "change", change.pk)).status_code in (302, 403)


def test_rejection_and_withdrawal_are_told(campaign: Campaign, joao: Client, maria: Client):
    response = joao.post(
        page("policychange", "reject", propose(campaign).pk), {"reason": "Not before the audit"}, follow=True
    )
    assert "The proposal was rejected" in told(response)
    change = propose(campaign, requested_by=User.objects.get(username="maria"))
    response = maria.post(page("policychange", "withdraw", change.pk), follow=True)
    assert "The proposal was withdrawn" in told(response)
    assert list(PolicyChange.objects.order_by("pk").values_list("status", flat=True)) == ["rejected", "withdrawn"]
    shown = maria.get(page("campaign", "change", campaign.pk)).content.decode()
    assert "rejected" in shown
    assert "withdrawn" in shown


def test_second_click_is_told_that_it_was_decided(campaign: Campaign, joao: Client):
    address = page("policychange", "approve", propose(campaign).pk)
    joao.post(address, {"password": PASSWORD})
    assert "decided already" in told(joao.post(address, {"password": PASSWORD}, follow=True))
    assert len(changed(campaign)) == 1


def test_list_of_campaigns_leads_to_what_waits(campaign: Campaign, joao: Client, maria: Client, settings: Any):
    propose(campaign)
    shown = joao.get(page("campaign", "changelist")).content.decode()
    assert "Waiting proposals: 1" in shown
    assert "?status__exact=pending" in shown
    assert joao.get(page("policychange", "changelist") + "?status__exact=pending").status_code == 200
    assert "Waiting proposals" not in maria.get(page("campaign", "changelist")).content.decode()
    settings.TWOFA_FOUR_EYES = False
    assert "Waiting proposals" not in joao.get(page("campaign", "changelist")).content.decode()


def test_index_names_proposals_only_where_four_eyes_are_asked_for(joao: Client, settings: Any):
    assert "Policy proposals" in joao.get("/admin/").content.decode()
    settings.TWOFA_FOUR_EYES = False
    assert "Policy proposals" not in joao.get("/admin/").content.decode()


def test_list_and_page_take_a_fixed_number_of_statements(joao: Client, sql: Any):
    def counts() -> tuple[int, int]:
        with sql() as listed:
            assert joao.get(page("policychange", "changelist")).status_code == 200
        with sql() as shown:
            joao.get(page("policychange", "change", PolicyChange.objects.latest("pk").pk))
        return len(listed), len(shown)

    propose(factories.campaign())
    few = counts()
    for _ in range(8):
        propose(factories.campaign())
    assert counts() == few
    assert max(few) <= 12


def test_hostile_reason_and_names_are_escaped(campaign: Campaign, joao: Client):
    hostile = "<script>alert('x')</script>"
    Campaign.objects.filter(pk=campaign.pk).update(name=hostile, unit="<b>p</b>")
    campaign.refresh_from_db()
    change = propose(campaign, reason=hostile, after={"unit": hostile}, before={"unit": "<b>p</b>"})
    for address in (
        page("policychange", "changelist"),
        page("policychange", "change", change.pk),
        page("policychange", "approve", change.pk),
        page("campaign", "change", campaign.pk),
    ):
        shown = joao.get(address).content.decode()
        assert "<script>alert" not in shown, address
        assert "<b>p</b>" not in shown, address


def test_approver_without_a_password_is_sent_to_sign_in_again(campaign: Campaign, staff: Callable[..., Client]):
    client = staff(*APPROVER, name="sso")
    user = User.objects.get(username="sso")
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    User.objects.filter(pk=user.pk).update(last_login=None)
    change = propose(campaign)
    assert "sign in again" in told(client.post(page("policychange", "approve", change.pk), follow=True))
    client.force_login(user)
    assert "The policy has changed" in told(client.post(page("policychange", "approve", change.pk), follow=True))
