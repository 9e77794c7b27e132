from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.stories import unchanged
from twofa.models import Delivery, Event, Participant

REASON = {"reason": "Asked for by voice; identity checked."}


def method_of(world: World) -> str:
    return Participant.objects.get(pk=world.shop.participant.pk).two_factor_method


@pytest.mark.django_db(transaction=True)
def test_method_is_changed_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    client = staff("view_participant", "change_method")
    address = page("participant", "change-method", world.shop.participant.pk)

    assert "method" in client.get(address).context["form"].fields
    assert client.post(address, {"method": "sms", **REASON}).status_code == 302

    assert method_of(world) == "sms"
    event = Event.objects.get(type="participant.method_changed")
    assert (event.actor, event.data["reason"]) == ("maria", REASON["reason"])
    assert Delivery.objects.filter(event="participant.method_changed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_factor_is_switched_off_with_a_reason_and_a_name(world: World, staff: Callable[..., Client]):
    Participant.objects.update(two_factor_method="sms")
    client = staff("view_participant", "switch_off_two_factor")

    client.post(page("participant", "switch-off", world.shop.participant.pk), REASON)

    assert method_of(world) == "none"
    assert Event.objects.get(type="participant.switched_off").actor == "maria"
    assert Delivery.objects.filter(event="participant.switched_off").count() == 1


@pytest.mark.parametrize(
    "given", [{"method": "sms"}, {**REASON}, {"method": "none", **REASON}, {"method": "fax", **REASON}]
)
def test_method_without_a_reason_or_outside_of_the_choices_is_asked_for_again(world: World, boss: Client, given):
    with unchanged():
        response = boss.post(page("participant", "change-method", world.shop.participant.pk), given)
    assert response.status_code == 200
    assert response.context["form"].errors


def test_method_without_a_device_of_its_kind_is_refused_in_words(world: World, boss: Client):
    change = page("participant", "change", world.shop.participant.pk)
    with unchanged():
        response = boss.post(
            page("participant", "change-method", world.shop.participant.pk), {"method": "email", **REASON}, follow=True
        )
    assert response.redirect_chain == [(change, 302)]
    assert "no verified device for this method" in response.content.decode()


@pytest.mark.parametrize(
    ("held", "action"),
    [
        (("view_participant", "change_participant", "switch_off_two_factor"), "change-method"),
        (("view_participant", "change_participant", "change_method"), "switch-off"),
        (("change_method",), "change-method"),
    ],
)
def test_each_needs_its_own_permission(world: World, staff: Callable[..., Client], held, action: str):
    Participant.objects.update(two_factor_method="email")
    client = staff(*held)
    with unchanged():
        address = page("participant", action, world.shop.participant.pk)
        assert client.post(address, {"method": "sms", **REASON}).status_code == 403


@pytest.mark.parametrize("action", ["change-method", "switch-off"])
def test_own_page_neither_offers_nor_does_it(world: World, action: str):
    """Somebody of the staff who collects points like everybody else."""
    Participant.objects.update(two_factor_method="email")
    own = world.shop.participant
    User.objects.filter(pk=own.user_id).update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(pk=own.user_id))
    mate = factories.participant(world.shop.campaign, two_factor_method="email")
    shown = client.get(page("participant", "change", own.pk)).content.decode()
    assert page("participant", action, own.pk) not in shown
    assert page("participant", action, mate.pk) in client.get(page("participant", "change", mate.pk)).content.decode()

    with unchanged():
        response = client.post(page("participant", action, own.pk), {"method": "sms", **REASON}, follow=True)

    assert "somebody else must do it" in response.content.decode()


def test_who_has_no_method_is_not_offered_to_have_it_taken_away(world: World, boss: Client):
    address = page("participant", "switch-off", world.shop.participant.pk)
    change = page("participant", "change", world.shop.participant.pk)
    assert address not in boss.get(change).content.decode()
    Participant.objects.update(two_factor_method="sms")
    assert address in boss.get(change).content.decode()
