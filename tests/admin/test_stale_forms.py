"""A campaign's form sends every column: one that was open for a while must not take back what others did meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.admin.test_campaigns import EDITOR, values
from tests.stories import unchanged
from twofa.models import Campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    return factories.campaign()


@pytest.mark.parametrize("four_eyes", [False, True])
def test_form_that_was_open_before_a_colleagues_change_does_not_take_it_back(
    four_eyes: bool, staff: Callable[..., Client], settings: Any
):
    """It sends every column as it was then, and would switch off what a colleague has just switched on."""
    campaign = factories.campaign(two_factor_mode="off")
    maria, jose = staff(*EDITOR), staff(*EDITOR, name="jose")
    address = page("campaign", "change", campaign.pk)
    seen_by_maria = values(campaign, name="Renamed")
    jose.post(address, values(campaign, two_factor_mode="required"))
    settings.TWOFA_FOUR_EYES = four_eyes

    with unchanged():
        response = maria.post(address, seen_by_maria, follow=True)

    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("required", 2)
    assert response.redirect_chain == [(address, 302)]
    assert "Somebody else changed the policy meanwhile" in response.content.decode()


@pytest.mark.parametrize("version", [None, "", "x", "0", "2"])
def test_form_that_does_not_say_on_which_policy_it_was_made_is_refused(
    version: str | None, campaign: Campaign, staff: Callable[..., Client]
):
    sent = values(campaign, max_attempts=3)
    del sent["shown_version"]
    sent |= {} if version is None else {"shown_version": version}
    client = staff(*EDITOR)

    with unchanged():
        client.post(page("campaign", "change", campaign.pk), sent)


def test_form_carries_the_policy_that_it_was_made_on(campaign: Campaign, staff: Callable[..., Client]):
    text = staff(*EDITOR).get(page("campaign", "change", campaign.pk)).content.decode()

    assert 'type="hidden" name="shown_version" value="1"' in text
