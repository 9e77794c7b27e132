from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.stories import unchanged
from twofa.models import Approver, Event, Participant
from twofa.models.clock import now

REASON = {"reason": "Board of 3 May"}
KEEPER = ("view_participant", "view_approver", "add_approver", "change_approver")


def entitle(client: Client, world: World, **typed: str):
    return client.post(page("participant", "entitle", world.shop.participant.pk), {**REASON, **typed}, follow=True)


@pytest.fixture
def director(world: World) -> Participant:
    return factories.participant(world.shop.campaign, external_id="director")


@pytest.mark.django_db
def test_empty_list_says_where_somebody_is_entitled(staff: Callable[..., Client]):
    told = "entitled on the page of the participant who asks."
    way = f'{told} <a href="{page("participant", "changelist")}">Participants</a>'

    assert way in staff("view_approver", "view_participant").get(page("approver", "changelist")).content.decode()
    alone = staff("view_approver", name="joana").get(page("approver", "changelist")).content.decode()
    assert told in alone
    assert f"{told} <a" not in alone


def test_approver_is_entitled_on_the_page_of_whoever_asks(world: World, director, staff: Callable[..., Client]):
    factories.participant(world.shop.campaign, external_id="deputy")

    entitle(
        staff(*KEEPER),
        world,
        approver="director",
        deputy="deputy",
        max_amount="500.00",
        valid_until="2099-12-31T18:00",
    )

    row = Approver.objects.get(participant=director)
    assert (row.participant, row.requester) == (director, world.shop.participant)
    assert (str(row.deputy), str(row.max_amount), f"{row.valid_until:%Y-%m-%d %H:%M}") == (
        "deputy",
        "500.00",
        "2099-12-31 18:00",
    )
    event = Event.objects.get(type="approver.entitled")
    assert (event.actor, event.data["reason"]) == ("maria", "Board of 3 May")


def test_empty_limits_are_none(world: World, director, boss: Client):
    entitle(boss, world, approver="director", deputy="", max_amount="", valid_until="")

    row = Approver.objects.get(participant=director)
    assert (row.deputy, row.max_amount, row.valid_until) == (None, None, None)


@pytest.mark.parametrize(
    "typed",
    [
        {"approver": "nobody"},
        {"approver": "director", "deputy": "nobody"},
        {"approver": "director", "deputy": "director"},
        {"approver": "director", "max_amount": "0"},
        {"approver": "director", "valid_until": "tomorrow"},
        {"approver": ""},
        {"approver": "director", "reason": ""},
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_and_nothing_is_done(world: World, director, boss: Client, typed):
    with unchanged():
        response = entitle(boss, world, **typed)

    assert b"errorlist" in response.content or b'class="error"' in response.content


def test_nobody_asks_for_themselves(world: World, boss: Client):
    with unchanged():
        entitle(boss, world, approver=world.shop.participant.external_id)


@pytest.mark.parametrize("missing", ["view_participant", "add_approver"])
def test_entitling_takes_its_permissions(world: World, director, staff: Callable[..., Client], missing: str):
    client = staff(*(name for name in KEEPER if name != missing))
    with unchanged():
        response = entitle(client, world, approver="director")

    assert response.status_code == 403


def test_limits_start_from_what_they_are(world: World, boss: Client):
    row = world.approver
    Approver.objects.filter(pk=row.pk).update(valid_until=now() + timedelta(days=3))

    shown = boss.get(page("approver", "limits", row.pk)).content.decode()

    assert f'value="{row.deputy}"' in shown
    assert 'value="1000.00"' in shown
    assert f'value="{now() + timedelta(days=3):%Y-%m-%dT}' in shown


def test_limits_are_changed_with_a_reason(world: World, boss: Client):
    boss.post(page("approver", "limits", world.approver.pk), {"max_amount": "7.00", **REASON})

    row = Approver.objects.get()
    assert (row.deputy, str(row.max_amount)) == (None, "7.00")
    assert Event.objects.get(type="approver.changed").data["after"]["max_amount"] == "7.00"


def test_form_that_was_open_before_a_colleagues_change_does_not_take_it_back(world: World, boss: Client):
    address = page("approver", "limits", world.approver.pk)
    seen = boss.get(address).context["form"].initial["seen"]
    boss.post(address, {"max_amount": "7.00", "seen": seen, **REASON})

    with unchanged():
        response = boss.post(address, {"max_amount": "1000.00", "seen": seen, **REASON}, follow=True)

    assert "Somebody else changed these limits meanwhile" in response.content.decode()
    assert str(Approver.objects.get().max_amount) == "7.00"


def test_approver_is_revoked_with_a_reason(world: World, boss: Client):
    boss.post(page("approver", "revoke", world.approver.pk), REASON)

    assert not Approver.objects.get().is_active
    shown = boss.get(page("approver", "change", world.approver.pk)).content.decode()
    assert "revoked" in shown
    assert page("approver", "revoke", world.approver.pk) not in shown


def test_participants_page_tells_who_approves_for_them(world: World, staff: Callable[..., Client]):
    row = world.approver
    address = page("participant", "change", world.shop.participant.pk)
    looking = staff("view_participant", "view_approver").get(address).content.decode()
    without = staff("view_participant", name="joana").get(address).content.decode()

    assert page("approver", "change", row.pk) in looking
    assert row.participant.external_id not in without
    assert page("participant", "entitle", world.shop.participant.pk) not in looking


@pytest.mark.parametrize("who", ["participant", "requester", "deputy"])
def test_list_is_searched_by_the_external_id_of_anybody_in_it(world: World, boss: Client, who: str):
    row = world.approver
    found = boss.get(page("approver", "changelist"), {"q": getattr(row, who).external_id}).content.decode()

    assert page("approver", "change", row.pk) in found
    assert (
        page("approver", "change", row.pk)
        not in boss.get(page("approver", "changelist"), {"q": "nobody"}).content.decode()
    )


def test_redemption_names_its_approver(world: World, boss: Client):
    row = world.approver
    type(world.redemption).objects.filter(pk=world.redemption.pk).update(approver=row.participant)

    shown = boss.get(page("redemption", "change", world.redemption.pk)).content.decode()

    assert page("participant", "change", row.participant.pk) in shown
