"""A new token that staff send: to the participant's own device, within the storefront's own pauses and budgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.admin.test_redemptions import REASON, shown
from tests.stories import cancel, travel
from twofa.models import Campaign, Challenge, Delivery, Event, Redemption

# Flows own their transactions, so these rows are really committed.
pytestmark = pytest.mark.django_db(transaction=True)


def test_new_token_is_sent_with_the_reason_and_the_old_one_dies(world: World, staff: Callable[..., Client]):
    client = staff("view_redemption", "resend_token")
    travel(timedelta(seconds=31))
    assert page("redemption", "resend", world.redemption.pk) in shown(client, world.redemption)

    response = client.post(page("redemption", "resend", world.redemption.pk), REASON)

    assert response.status_code == 302
    challenge = Challenge.objects.get(pk=world.challenge.pk)
    assert (challenge.generation, challenge.resends, challenge.attempts) == (2, 1, 0)
    assert Delivery.objects.filter(challenge=challenge).count() == 2
    renewed = Event.objects.get(type="challenge.renewed")
    assert (renewed.actor, renewed.redemption_id, renewed.challenge_id) == (
        "maria",
        world.redemption.pk,
        world.challenge.pk,
    )
    assert renewed.data["reason"] == "The participant called."


def test_token_is_never_shown_to_who_sends_it(world: World, boss: Client):
    travel(timedelta(seconds=31))

    response = boss.post(page("redemption", "resend", world.redemption.pk), REASON, follow=True)

    assert factories.token_of(world.challenge) not in response.content.decode()
    assert "A new token is on its way." in response.content.decode()


def test_page_before_it_says_where_it_would_go(world: World, boss: Client):
    asked = boss.get(page("redemption", "resend", world.redemption.pk))

    facts = dict(asked.context["facts"])
    assert world.challenge.destination in facts["The last one went to"]
    assert facts["Resends left (one after a failed message is not counted)"] == 3
    assert world.shop.device.address not in asked.content.decode()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda world: None, "The last message was sent a moment ago"),
        (lambda world: Challenge.objects.update(resends=3), "No more messages can be sent"),
        (lambda world: Campaign.objects.update(sends_per_participant_per_day=1), "Too many messages were sent"),
        (lambda world: Campaign.objects.update(failed_attempts_per_day=0), "Too many wrong tokens"),
        (lambda world: Campaign.objects.update(is_active=False), "not active"),
        (lambda world: Redemption.objects.update(points="none"), "its state does not allow this any more"),
        (lambda world: cancel(world.shop, world.redemption), "This challenge has ended"),
    ],
)
def test_staff_have_the_same_pauses_and_budgets_as_the_storefront(
    spoil: Callable[[World], object], reason: str, world: World, boss: Client
):
    spoil(world)
    if reason != "The last message was sent a moment ago":
        travel(timedelta(seconds=31))
    before = list(Challenge.objects.values()), list(Delivery.objects.values()), Event.objects.count()

    response = boss.post(page("redemption", "resend", world.redemption.pk), REASON, follow=True)

    assert reason in response.content.decode()
    assert (list(Challenge.objects.values()), list(Delivery.objects.values()), Event.objects.count()) == before


def test_second_click_sends_no_second_one(world: World, boss: Client):
    travel(timedelta(seconds=31))
    for _click in range(2):
        boss.post(page("redemption", "resend", world.redemption.pk), REASON)

    assert Challenge.objects.get(pk=world.challenge.pk).generation == 2


@pytest.mark.parametrize(
    "permissions", [("view_redemption",), ("resend_token",), ("view_redemption", "cancel_redemption")]
)
def test_without_the_permission_no_token_is_sent(
    permissions: tuple[str, ...], world: World, staff: Callable[..., Client]
):
    client = staff(*permissions)
    travel(timedelta(seconds=31))

    assert client.post(page("redemption", "resend", world.redemption.pk), REASON).status_code == 403
    assert Challenge.objects.get(pk=world.challenge.pk).generation == 1


def test_order_that_an_app_answers_has_no_message_to_send_again(world: World, boss: Client):
    Challenge.objects.filter(pk=world.challenge.pk).update(channel="totp", address="", destination="", seed=b"")
    Delivery.objects.all().delete()

    asked = boss.get(page("redemption", "resend", world.redemption.pk)).content.decode()
    refused = boss.post(page("redemption", "resend", world.redemption.pk), REASON, follow=True).content.decode()

    assert "Answered by" in asked
    assert "The last one went to" not in asked
    assert "No message brings this code." in refused
    assert not Delivery.objects.exists()
