from __future__ import annotations

import re

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from twofa.flows import devices
from twofa.models import Challenge, Delivery, Family, Participant, in_family

DESCRIPTION = "Change of the delivery address"


@pytest.fixture
def each(world: World) -> World:
    """A challenge of every purpose."""
    factories.login_challenge(world.shop)
    factories.step_up(world.shop, description=DESCRIPTION)
    factories.contact_challenge(world.shop, address="new@example.com")
    spare = factories.device(world.shop.participant, "whatsapp")
    devices.make_default(spare, storefront=world.shop.storefront, actor=world.shop.actor)
    return world


def listed(client: Client, query: str) -> set[str]:
    """The challenges on the list that a query leaves."""
    changelist = client.get(page("challenge", "changelist") + query).context["cl"]
    return {str(row.pk) for row in changelist.queryset}


@pytest.mark.parametrize("family", Family.values)
def test_list_is_filtered_by_the_family_of_purposes(each: World, boss: Client, family: str):
    expected = {str(pk) for pk in Challenge.objects.filter(in_family(family)).values_list("pk", flat=True)}

    assert expected
    assert listed(boss, f"?family={family}") == expected


def test_families_are_all_challenges_and_an_unknown_one_is_no_filter(each: World, boss: Client):
    everything = {str(pk) for pk in Challenge.objects.values_list("pk", flat=True)}

    assert set.union(*(listed(boss, f"?family={family}") for family in Family.values)) == everything
    assert listed(boss, "?family=nothing") == everything


@pytest.mark.parametrize(
    ("purpose", "found"), [("login", "login"), ("contact", "contact"), ("step_up", "step_up:transfer")]
)
def test_list_is_filtered_by_the_purpose(each: World, boss: Client, purpose: str, found: str):
    shown = boss.get(page("challenge", "changelist") + f"?purpose={purpose}").context["cl"].queryset

    assert {row.purpose for row in shown} == {found}


def test_page_of_a_step_up_says_what_it_is_for(each: World, boss: Client):
    challenge = Challenge.objects.get(description=DESCRIPTION)

    shown = boss.get(page("challenge", "change", challenge.pk)).content.decode()

    assert DESCRIPTION in shown
    assert "step-up: transfer" in shown


def test_verification_of_nobody_has_its_pages(each: World, boss: Client):
    challenge = Challenge.objects.get(purpose="contact")
    delivery = Delivery.objects.get(challenge=challenge)
    Delivery.objects.filter(pk=delivery.pk).update(status="failed", reason="message_refused")

    for address in (
        page("challenge", "change", challenge.pk),
        page("challenge", "changelist"),
        page("delivery", "change", delivery.pk),
        page("delivery", "changelist"),
        page("redemption", "stuck"),
        page("campaign", "change", challenge.campaign_id),
    ):
        response = boss.get(address)
        assert response.status_code == 200, address
        assert "new@example.com" not in response.content.decode()


def test_device_says_how_many_wrong_tokens_came_in_a_row(world: World, boss: Client):
    device = world.shop.device
    type(device).objects.filter(pk=device.pk).update(failures=73)

    assert "73" in boss.get(page("device", "change", device.pk)).content.decode()


def test_way_without_a_message_has_its_name_in_the_timeline(world: World, boss: Client):
    Participant.objects.filter(pk=world.shop.participant.pk).update(two_factor_method="totp")
    challenge = factories.login_challenge(world.shop)
    assert challenge.channel == "totp"

    shown = boss.get(page("challenge", "change", challenge.pk)).content.decode()

    assert re.search(r"<td[^>]*>\s*authenticator app\s*</td>", shown)
    assert not re.search(r">\s*totp\s*<", shown)
