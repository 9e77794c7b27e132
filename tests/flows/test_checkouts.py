from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm, deliver_due, points, refused, reject, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    ChannelUnavailable,
    DestinationNotAllowed,
    FailedAttemptsBudget,
    NotActive,
    NotFound,
    OnboardingIncomplete,
    OrderConflict,
    SendBudget,
    TooManyOpenChallenges,
)
from twofa.flows import checkouts
from twofa.flows.history import Actor
from twofa.models import Campaign, Challenge, Delivery, Event

pytestmark = pytest.mark.django_db


def open_again(shop, order, **changes):
    return checkouts.open_redemption(
        replace(order, **changes), storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
    )


def policy(shop, **columns) -> None:
    Campaign.objects.filter(pk=shop.campaign.pk).update(**columns)


def test_redemption_waits_with_points_aside_and_a_message_on_its_way(shop):
    redemption = shop.open()
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert RecordingBackend.calls == [("reserve", redemption.pk)]
    challenge = Challenge.objects.get(redemption=redemption)
    assert challenge.deadline - challenge.created_at == timedelta(minutes=30)
    assert challenge.destination == "+55 •• •••••-••" + shop.device.address[-2:]
    assert challenge.expires_at is None
    row = Delivery.objects.get(challenge=challenge)
    assert (row.status, row.address, row.campaign_id) == ("queued", shop.device.address, shop.campaign.pk)
    events = set(Event.objects.filter(redemption=redemption).values_list("type", "actor_kind", "actor"))
    assert events == {(name, "storefront", shop.storefront.name) for name in ("redemption.pending", "challenge.issued")}


def test_message_says_what_is_bought_and_carries_the_token(shop):
    redemption = shop.open()
    deliver_due()
    (message,) = outbox
    assert message.token == token_of(redemption.challenge)
    for part in (message.token, "150", "points", "Headphones", shop.campaign.name):
        assert part in message.text


def test_campaign_without_a_second_factor_completes_at_once():
    shop = factories.Shop(two_factor_mode="off")
    redemption = shop.open()
    assert points(redemption) == ("completed", "completed")
    assert (redemption.two_factor_required, redemption.two_factor_reason) == (False, "campaign_off")
    assert [name for name, _pk in RecordingBackend.calls] == ["reserve", "complete"]
    assert not Challenge.objects.exists()
    assert not Delivery.objects.exists()


def test_asynchronous_campaign_leaves_the_completion_to_a_worker():
    shop = factories.Shop(two_factor_mode="off", completion_mode="async")
    assert points(shop.open()) == ("approved", "reserved")
    assert RecordingBackend.count("complete") == 0


# --- the same order again ---------------------------------------------------------------------------------------------


def test_same_order_again_is_the_same_redemption_and_sends_nothing(shop):
    order = shop.order()
    first, created = open_again(shop, order)
    assert created
    with unchanged():
        again, created = open_again(shop, order)
        assert (again.pk, created, again.status) == (first.pk, False, "pending_2fa_approval")
        assert again.challenge.pk == first.challenge.pk


def test_same_order_is_found_in_whatever_state_and_however_little_is_left(shop):
    order = shop.order()
    first, _created = open_again(shop, order)
    policy(shop, max_open_challenges=0, sends_per_destination_per_day=0, is_active=False, failed_attempts_per_day=0)
    reject_token = factories.token_of(first.challenge)
    policy(shop, is_active=True, failed_attempts_per_day=15)
    confirm(shop, first, reject_token)
    assert open_again(shop, order)[0].status == "completed"


def test_overdue_order_is_found_expired(shop):
    order = shop.order()
    first, _created = open_again(shop, order)
    travel(timedelta(minutes=31))
    assert open_again(shop, order)[0].status == "expired"
    assert points(first) == ("expired", "released")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Decimal("150.01")},
        {"description": "Headphones!"},
        {"items": [{"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}]},
    ],
    ids=str,
)
def test_order_id_with_another_content_is_refused(shop, change):
    order = shop.order()
    first, _created = open_again(shop, order)
    with refused(OrderConflict) as refusal:
        open_again(shop, order, **change)
    assert refusal.value.params["redemption"].pk == first.pk


def test_order_id_of_another_participant_is_refused(shop):
    order = shop.order()
    open_again(shop, order)
    other = factories.participant(shop.campaign)
    factories.device(other)
    with refused(OrderConflict):
        open_again(shop, order, participant=other.external_id)


def test_channel_and_device_are_not_part_of_the_content(shop):
    order = shop.order()
    first, _created = open_again(shop, order)
    assert open_again(shop, order, channel="email", device=uuid4())[0].pk == first.pk


def test_order_ids_of_two_storefronts_do_not_meet(shop):
    order = shop.order()
    first, _created = open_again(shop, order)
    shop.storefront = factories.storefront(shop.campaign)
    second, created = open_again(shop, order)
    assert created
    assert second.pk != first.pk


# --- who may ----------------------------------------------------------------------------------------------------------


def test_unknown_participant_is_told_from_a_campaign_that_is_not_served(shop):
    with refused(NotFound) as refusal:
        shop.open(participant="nobody")
    assert refusal.value.params == {"resource": "participant"}
    stranger = factories.storefront()
    for slug in (shop.campaign.slug, "nowhere"):
        with refused(NotFound) as refusal:
            checkouts.open_redemption(
                shop.order(), storefront=stranger, campaign=slug, actor=Actor.storefront(stranger)
            )
        assert refusal.value.params == {}


@pytest.mark.parametrize("switched_off", ["campaign", "participant", "user"])
def test_whoever_is_switched_off_redeems_nothing(shop, switched_off):
    row = shop.participant.user if switched_off == "user" else getattr(shop, switched_off)
    type(row).objects.filter(pk=row.pk).update(is_active=False)
    for mode in ("required", "off"):
        policy(shop, two_factor_mode=mode)
        with refused(NotActive):
            shop.open()


def test_participant_without_a_device_cannot_be_asked(shop):
    other = factories.participant(shop.campaign)
    with refused(OnboardingIncomplete) as refusal:
        shop.open(participant=other.external_id)
    assert refusal.value.params["missing"] == ["device"]
    assert refusal.value.params["next_action"].type == "onboarding"
    policy(shop, two_factor_mode="off")
    assert shop.open(participant=other.external_id).status == "completed"


def test_campaign_that_demands_documents_fails_closed(shop):
    policy(shop, identity_required=True, required_documents=["cnh:front"])
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert refusal.value.params["missing"] == ["document:cnh:front"]


# --- where the token goes ---------------------------------------------------------------------------------------------


def test_caller_may_choose_among_what_the_campaign_allows(shop):
    email = factories.device(shop.participant, "email")
    chosen = [
        shop.open(channel="email"),
        shop.open(device=email.uuid),
    ]
    assert [redemption.challenge.device_id for redemption in chosen] == [email.pk, email.pk]
    assert all(redemption.challenge.channel_chosen for redemption in chosen)
    with refused(ChannelUnavailable):
        shop.open(channel="whatsapp")
    with refused(NotFound) as refusal:
        shop.open(device=uuid4())
    assert refusal.value.params == {"resource": "device"}


def test_device_of_another_participant_is_not_there(shop):
    other = factories.device(factories.participant(shop.campaign))
    with refused(NotFound):
        shop.open(device=other.uuid)


def test_channel_that_the_campaign_forbids_is_not_used(shop):
    policy(shop, allowed_channels=["email"])
    with refused(ChannelUnavailable):
        shop.open(channel="sms")
    with refused(OnboardingIncomplete, ChannelUnavailable):
        shop.open()


def test_country_that_the_campaign_forbids_is_not_called(shop):
    policy(shop, allowed_countries=["PT"])
    with refused(DestinationNotAllowed):
        shop.open()
    factories.device(shop.participant, "email")
    assert shop.open().challenge.channel == "email"


def test_channel_that_the_host_has_not_is_not_used(shop, settings):
    settings.TWOFA_CHANNELS = {"email": {"BACKEND": "twofa.channels.memory.MemoryChannel"}}
    with refused(OnboardingIncomplete, ChannelUnavailable):
        shop.open()


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_open_challenges_of_a_participant_are_limited(shop):
    opened = [shop.open() for _ in range(3)]
    with refused(TooManyOpenChallenges):
        shop.open()
    confirm(shop, opened[0], token_of(opened[0].challenge))
    shop.open()
    travel(timedelta(minutes=30))
    shop.open()


def test_wrong_tokens_of_the_day_are_limited(shop):
    """New checkouts do not evade the count: whoever holds the session opens the next one."""
    for _ in range(3):
        reject(shop, shop.open(), 5)
    with refused(FailedAttemptsBudget):
        shop.open()
    travel(timedelta(hours=23, minutes=59))
    with refused(FailedAttemptsBudget):
        shop.open()
    travel(timedelta(minutes=2))
    shop.open()


def test_wrong_tokens_of_the_day_stop_open_challenges_before_the_comparison(shop):
    policy(shop, failed_attempts_per_day=3)
    one, other = shop.open(), shop.open()
    reject(shop, one, 3)
    for redemption in (one, other):
        with refused(FailedAttemptsBudget):
            confirm(shop, redemption, token_of(redemption.challenge))


def test_sends_of_a_participant_are_limited_exactly(shop):
    policy(shop, sends_per_participant_per_day=4, max_open_challenges=99)
    factories.device(shop.participant, "email")
    for channel in ("sms", "email", "sms", "email"):
        shop.open(channel=channel)
    for channel in ("sms", "email"):
        with refused(SendBudget) as refusal:
            shop.open(channel=channel)
    assert refusal.value.retry_after == 24 * 3600
    travel(timedelta(hours=24))
    shop.open()


def test_sends_to_a_destination_are_limited_across_participants_campaigns_and_channels(shop):
    policy(shop, sends_per_destination_per_day=3)
    address = shop.device.address
    neighbour = factories.participant(shop.campaign)
    factories.device(neighbour, "whatsapp", address=address)
    elsewhere = factories.Shop(sends_per_destination_per_day=3)
    elsewhere.device.delete()
    factories.device(elsewhere.participant, address=address)
    shop.open()
    shop.open(participant=neighbour.external_id)
    elsewhere.open()
    for act in (shop.open, lambda: shop.open(participant=neighbour.external_id), elsewhere.open):
        with refused(SendBudget):
            act()
    factories.device(shop.participant, "email")
    shop.open(channel="email")


def test_capitals_make_no_other_destination(shop):
    policy(shop, sends_per_destination_per_day=2)
    spellings = ("ana@example.com", "Ana@example.com", "ANA@example.com")
    first, second, third = [factories.participant(shop.campaign) for _spelling in spellings]
    for person, address in zip((first, second, third), spellings, strict=True):
        factories.device(person, "email", address)
    shop.open(participant=first.external_id)
    shop.open(participant=second.external_id)
    with refused(SendBudget):
        shop.open(participant=third.external_id)


def test_sends_of_a_campaign_are_limited_where_it_says_so(shop):
    policy(shop, sends_per_campaign_per_day=2)
    other = factories.participant(shop.campaign)
    factories.device(other)
    shop.open()
    shop.open(participant=other.external_id)
    with refused(SendBudget):
        shop.open()
    factories.Shop().open()


def test_exempt_redemption_needs_no_budget(shop):
    policy(shop, two_factor_mode="off", sends_per_participant_per_day=0, max_open_challenges=0)
    assert shop.open().status == "completed"


def test_splitting_does_not_escape_the_threshold(shop):
    policy(shop, threshold=Decimal(300))
    assert shop.open().two_factor_reason == "below_threshold"
    second = shop.open()
    assert (second.status, second.two_factor_reason) == ("pending_2fa_approval", "above_threshold")
    assert second.two_factor_inputs["total_of_24_hours"] == "300.00"
    travel(timedelta(hours=24))
    assert shop.open().status == "completed"
