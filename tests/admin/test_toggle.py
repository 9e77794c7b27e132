"""Switching two-factor on and off: from the list, knowing whom it touches, and never past a colleague's change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.statements import record_statements
from tests.stories import STAFF
from twofa.flows import campaigns
from twofa.models import Campaign, Challenge, Event

pytestmark = pytest.mark.django_db(transaction=True)
EDITOR = ("view_campaign", "change_campaign", "change_policy")


@pytest.fixture
def campaign(db: None) -> Campaign:
    return factories.campaign()


def changed(campaign: Campaign) -> list[Event]:
    return list(Event.objects.filter(campaign=campaign, type="campaign.policy_changed"))


def form_of(client: Client, campaign: Campaign) -> dict[str, Any]:
    """What the page of the toggle would send back if only a choice were made on it."""
    form = client.get(page("campaign", "two-factor", campaign.pk)).context["form"]
    return {name: value for name, value in form.initial.items() if name in form.fields}


def policy_events(campaign: Campaign) -> int:
    return Event.objects.filter(campaign=campaign, type="campaign.policy_changed").count()


@pytest.mark.parametrize("permissions", [EDITOR, ("view_campaign",), ("view_campaign", "change_campaign")])
def test_list_leads_to_the_toggle_those_who_may_switch_it(permissions: tuple[str, ...], staff: Callable[..., Client]):
    campaign = factories.campaign()
    client = staff(*permissions)

    text = client.get(page("campaign", "changelist")).content.decode()

    address = page("campaign", "two-factor", campaign.pk)
    assert (address in text) == (permissions == EDITOR)
    assert ">required</span>" in text
    assert client.get(address).status_code == (200 if permissions == EDITOR else 403)


def test_switch_to_what_it_is_changes_nothing_and_says_so(staff: Callable[..., Client]):
    campaign = factories.campaign()
    maria = staff(*EDITOR)
    sent = {**form_of(maria, campaign), "two_factor_mode": campaign.two_factor_mode}

    answer = maria.post(page("campaign", "two-factor", campaign.pk), sent, follow=True).content.decode()

    assert "Nothing was changed" in answer
    assert "Two-factor was changed" not in answer
    assert policy_events(campaign) == 0
    assert Campaign.objects.get(pk=campaign.pk).policy_version == campaign.policy_version


def test_switch_is_refused_where_a_colleague_changed_the_policy_meanwhile(staff: Callable[..., Client]):
    campaign = factories.campaign()
    maria, jose = staff(*EDITOR, name="maria"), staff(*EDITOR, name="jose")
    seen_by_maria, seen_by_jose = form_of(maria, campaign), form_of(jose, campaign)
    address = page("campaign", "two-factor", campaign.pk)

    first = maria.post(address, {**seen_by_maria, "two_factor_mode": "optional"})
    second = jose.post(address, {**seen_by_jose, "two_factor_mode": "off"}, follow=True)

    assert first.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("optional", 2)
    assert policy_events(campaign) == 1
    # José stands before the question again, with the answer to what happened.
    assert second.redirect_chain == [(address, 302)]
    assert "Somebody else changed the policy meanwhile" in second.content.decode()
    facts = {str(name): str(value) for name, value in second.context["facts"]}
    assert facts["Two-factor now (policy version 2)"].startswith("optional")
    assert second.context["form"].initial["policy_version"] == 2

    assert jose.post(address, {**form_of(jose, campaign), "two_factor_mode": "off"}).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("off", 3)


def test_any_change_of_the_policy_counts_and_a_change_of_the_name_does_not(staff: Callable[..., Client]):
    campaign = factories.campaign()
    client = staff(*EDITOR)
    address = page("campaign", "two-factor", campaign.pk)
    seen = form_of(client, campaign)

    campaigns.update(campaign, actor=STAFF, changes={"name": "Renamed"})
    assert client.post(address, {**seen, "two_factor_mode": "optional"}).status_code == 302
    assert Campaign.objects.get(pk=campaign.pk).two_factor_mode == "optional"

    seen = form_of(client, campaign)
    campaigns.update(campaign, actor=STAFF, changes={"max_attempts": 2})
    client.post(address, {**seen, "two_factor_mode": "off"})
    assert Campaign.objects.get(pk=campaign.pk).two_factor_mode == "optional"


@pytest.mark.parametrize("version", ["", "x", "-1", "2", "99999999999999999999", None])
def test_switch_without_the_version_that_was_shown_changes_nothing(version: str | None, staff: Callable[..., Client]):
    campaign = factories.campaign()
    sent = {"two_factor_mode": "off"} | ({} if version is None else {"policy_version": version})

    response = staff(*EDITOR).post(page("campaign", "two-factor", campaign.pk), sent)

    assert response.status_code in (200, 302)
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("required", 1)
    assert policy_events(campaign) == 0


def test_second_click_makes_no_second_version(staff: Callable[..., Client]):
    campaign = factories.campaign()
    client = staff(*EDITOR)
    sent = {**form_of(client, campaign), "two_factor_mode": "off"}

    for _click in range(2):
        client.post(page("campaign", "two-factor", campaign.pk), sent)

    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("off", 2)
    assert policy_events(campaign) == 1


def test_two_who_switch_at_the_same_moment_make_one_change(
    staff: Callable[..., Client], threads: Callable[..., list[Any]]
):
    campaign = factories.campaign()
    clients = [staff(*EDITOR, name=name) for name in ("maria", "jose")]
    sent = [
        {**form_of(client, campaign), "two_factor_mode": mode}
        for client, mode in zip(clients, ("off", "optional"), strict=True)
    ]
    address = page("campaign", "two-factor", campaign.pk)

    threads([lambda c=client, s=values: c.post(address, s) for client, values in zip(clients, sent, strict=True)])

    campaign.refresh_from_db()
    assert campaign.policy_version == 2
    assert policy_events(campaign) == 1


def test_open_challenge_keeps_the_rule_it_began_with(world: World, boss: Client):
    before = Challenge.objects.values().get(pk=world.challenge.pk)

    boss.post(
        page("campaign", "two-factor", world.shop.campaign.pk),
        {**form_of(boss, world.shop.campaign), "two_factor_mode": "off"},
    )

    assert Campaign.objects.get(pk=world.shop.campaign.pk).two_factor_mode == "off"
    assert Challenge.objects.values().get(pk=world.challenge.pk) == before


def test_question_costs_the_same_however_many_participants(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            form_of(boss, world.shop.campaign)
        return len(statements)

    short = cost()
    for _time in range(5):
        factories.device(factories.participant(world.shop.campaign))
    assert cost() == short
    assert short <= 7


def test_choices_of_the_toggle_are_a_named_group(campaign: Campaign, boss: Client):
    shown = boss.get(page("campaign", "two-factor", campaign.pk)).content.decode()

    assert 'role="group" aria-label="Two-factor"' in shown


def test_toggle_asks_with_whom_it_touches(world: World, boss: Client):
    campaign = world.shop.campaign
    factories.participant(campaign)
    cooling = factories.participant(campaign)
    factories.device(cooling, usable_from=world.challenge.created_at + timedelta(days=1))
    factories.participant(campaign, is_active=False)
    factories.Shop().open()

    facts = boss.get(page("campaign", "two-factor", campaign.pk)).context["facts"]

    assert [value for _name, value in facts][1:] == [5, 4, 1]


def test_toggle_changes_the_policy_and_leaves_open_challenges_alone(world: World, staff: Callable[..., Client]):
    campaign = world.shop.campaign
    challenge = Challenge.objects.filter(pk=world.challenge.pk).values().get()

    sent = {"two_factor_mode": "off", "policy_version": 1}
    response = staff(*EDITOR).post(page("campaign", "two-factor", campaign.pk), sent)

    assert response.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("off", 2)
    (event,) = changed(campaign)
    assert (event.actor, event.data["before"], event.data["after"]) == (
        "maria",
        {"two_factor_mode": "required"},
        {"two_factor_mode": "off"},
    )
    assert Challenge.objects.filter(pk=challenge["id"]).values().get() == challenge


def test_toggle_with_nonsense_changes_nothing(campaign: Campaign, boss: Client):
    response = boss.post(page("campaign", "two-factor", campaign.pk), {"two_factor_mode": "sometimes"})

    assert response.status_code == 200
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("required", 1)


def test_toggle_of_no_campaign_is_not_found(boss: Client):
    assert boss.get(page("campaign", "two-factor", 10**9)).status_code == 404
