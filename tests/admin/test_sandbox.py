from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, make_world, page
from twofa.flows import redemptions
from twofa.models import Campaign, Challenge, Delivery, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)
SANDBOX = "/admin/twofa/delivery/sandbox/"


@pytest.fixture
def test_world() -> World:
    return make_world(test=True)


def read(client: Client) -> str:
    response = client.get(SANDBOX)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.content.decode()


def test_message_of_a_test_campaign_can_be_read(test_world: World, staff: Callable[..., Client]):
    shown = read(staff("view_delivery"))

    assert test_world.secrets["token"].decode() in shown
    assert test_world.challenge.destination in shown
    assert test_world.shop.device.address not in shown


def test_message_of_a_real_campaign_cannot_be_read(boss: Client):
    world = make_world()

    assert world.secrets["token"].decode() not in read(boss)


def test_campaign_marked_as_a_test_afterwards_shows_nothing_of_before(boss: Client):
    world = make_world()
    Campaign.objects.filter(pk=world.shop.campaign.pk).update(test=True)

    assert world.secrets["token"].decode() not in read(boss)


def test_ended_challenge_cannot_be_read(test_world: World, boss: Client):
    shop = test_world.shop
    redemptions.cancel(test_world.redemption.pk, storefront=shop.storefront, actor=shop.actor)

    assert test_world.secrets["token"].decode() not in read(boss)


def test_challenge_past_its_deadline_cannot_be_read(test_world: World, boss: Client):
    Challenge.objects.filter(pk=test_world.challenge.pk).update(deadline=now())

    assert test_world.secrets["token"].decode() not in read(boss)


def test_message_that_was_not_handed_over_cannot_be_read(boss: Client):
    shop = factories.Shop(test=True)
    redemption = shop.open()
    token = factories.token_of(redemption.challenge)
    Delivery.objects.filter(challenge=redemption.challenge).update(status="queued")

    assert token not in read(boss)


def test_message_whose_key_left_the_ring_is_left_out(test_world: World, boss: Client, settings):
    settings.TWOFA_TOKEN_KEYS = {"other": bytes(range(3, 99, 3))}

    shown = read(boss)

    assert test_world.secrets["token"].decode() not in shown
    assert "the key of the token is not installed any more" in shown


def test_without_the_permission_nothing_can_be_read(test_world: World, staff: Callable[..., Client]):
    client = staff("view_campaign", "view_challenge", "view_redemption", "view_event")

    assert client.get(SANDBOX).status_code == 403


def test_reading_stores_nothing(test_world: World, boss: Client):
    before = Redemption.objects.filter(pk=test_world.redemption.pk).values().get()
    challenge = Challenge.objects.filter(pk=test_world.challenge.pk).values().get()

    read(boss)

    assert Redemption.objects.filter(pk=test_world.redemption.pk).values().get() == before
    assert Challenge.objects.filter(pk=test_world.challenge.pk).values().get() == challenge


def test_address_of_the_page_is_what_the_list_links_to(boss: Client):
    assert page("delivery", "sandbox") == SANDBOX
    assert SANDBOX in boss.get(page("delivery", "changelist")).content.decode()
