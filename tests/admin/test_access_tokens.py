from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from twofa.models import AccessToken, Event

REASON = {"reason": "The app is on a phone that was lost."}


@pytest.mark.django_db(transaction=True)
def test_revoking_leaves_an_event_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    client = staff("view_accesstoken", "change_accesstoken")

    assert client.post(page("accesstoken", "revoke", world.access_token.pk), REASON).status_code == 302

    assert AccessToken.objects.get(pk=world.access_token.pk).revoked_at is not None
    event = Event.objects.get(type="participant.tokens_revoked")
    assert (event.actor, event.data["reason"]) == ("maria", REASON["reason"])


def test_without_the_permission_no_token_is_revoked(world: World, staff: Callable[..., Client]):
    client = staff("view_accesstoken")

    assert client.post(page("accesstoken", "revoke", world.access_token.pk), REASON).status_code == 403
    assert AccessToken.objects.get(pk=world.access_token.pk).revoked_at is None


def test_participants_page_leads_to_their_tokens_and_no_others(
    world: World, boss: Client, staff: Callable[..., Client]
):
    member, other = world.shop.participant, factories.participant(world.shop.campaign)
    link = page("accesstoken", "changelist") + f"?participant__id__exact={member.pk}"
    shown = page("participant", "change", member.pk)

    assert link in boss.get(shown).content.decode()
    assert link not in staff("view_participant").get(shown).content.decode()
    assert list(boss.get(link).context["cl"].queryset) == [world.access_token]
    assert list(boss.get(link.replace(str(member.pk), str(other.pk))).context["cl"].queryset) == []


def test_page_tells_what_a_token_is_good_for(world: World, boss: Client):
    address = page("accesstoken", "change", world.access_token.pk)
    assert "live" in boss.get(address).content.decode()
    AccessToken.objects.update(revoked_at=world.access_token.created_at)
    shown = boss.get(address).content.decode()
    assert page("accesstoken", "revoke", world.access_token.pk) not in shown
    assert "revoked" in shown
