from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of
from tests.flows.channels import BUSY, REFUSED, SETTING, ScriptedChannel
from tests.stories import confirm, deliver_due, states, travel
from twofa.channels.memory import outbox
from twofa.flows import deliveries, issuing
from twofa.models import Challenge
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def scripted(settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow()


# --- sent -------------------------------------------------------------------------------------------------------------


# --- failover ---------------------------------------------------------------------------------------------------------


def test_failed_message_goes_to_the_next_channel_as_a_new_generation(shop, redemption):
    email = factories.device(shop.participant, "email")
    old = token_of(redemption.challenge)
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "message_refused"), (2, "email", "sent", "")]
    (message,) = outbox
    assert message.recipient == email.address
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.resends, challenge.device_id) == (0, email.pk)
    assert message.token != old
    assert confirm(shop, redemption, message.token).status == "completed"


def test_failover_takes_each_channel_once_in_the_order_of_the_policy(shop):
    for channel in ("email", "whatsapp"):
        factories.device(shop.participant, channel)
    redemption = shop.open()
    ScriptedChannel.follow(*[REFUSED] * 9)
    for _ in range(6):
        deliver_due()
    assert [(channel, state) for _generation, channel, state, _reason in states(redemption)] == [
        ("sms", "failed"),
        ("whatsapp", "failed"),
        ("email", "failed"),
    ]


@pytest.mark.parametrize("how", ["channel", "device"])
def test_channel_of_the_callers_choice_is_not_left(shop, how):
    factories.device(shop.participant, "email")
    redemption = shop.open(**({"channel": "sms"} if how == "channel" else {"device": shop.device.uuid}))
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "message_refused")]


@pytest.mark.parametrize(
    "device",
    [
        {"status": "pending", "confirmed": False, "activated_at": None, "usable_from": None},
        {"status": "revoked", "confirmed": False, "is_default": False},
        {"usable_from": "tomorrow"},
    ],
    ids=["pending", "revoked", "cooling off"],
)
def test_failover_never_goes_to_a_contact_that_may_not_approve(shop, redemption, device):
    columns = {name: now() + timedelta(days=1) if value == "tomorrow" else value for name, value in device.items()}
    factories.device(shop.participant, "email", **columns)
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    assert len(states(redemption)) == 1


def test_failover_keeps_to_the_channels_of_the_checkout(shop):
    factories.device(shop.participant, "email")
    shop.campaign.allowed_channels = ["sms"]
    shop.campaign.save()
    redemption = shop.open()
    shop.campaign.allowed_channels = ["sms", "email"]
    shop.campaign.save()
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    assert len(states(redemption)) == 1


def test_failover_stays_inside_the_budget(shop, redemption):
    factories.device(shop.participant, "email")
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(sends_per_participant_per_day=1)
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    assert len(states(redemption)) == 1


# --- notices ----------------------------------------------------------------------------------------------------------


def test_notice_is_sent_without_any_token(shop):
    row = issuing.queue_notice("device.activated", shop.device, at=now(), destination="+55 •• •••••-••34")
    ScriptedChannel.follow(BUSY)
    deliveries.deliver(row.pk)
    travel(timedelta(seconds=10))
    deliveries.deliver(row.pk)
    (message,) = outbox
    assert (message.token, message.challenge_id, message.event) == ("", None, "device.activated")
    assert message.idempotency_key == f"notice:{row.pk}"


def test_notice_that_fails_is_given_up_after_its_tries(shop):
    row = issuing.queue_notice("device.activated", shop.device, at=now(), destination="x")
    ScriptedChannel.follow(*itertools.repeat(BUSY, 9))
    for _ in range(9):
        deliveries.deliver(row.pk)
        travel(timedelta(seconds=60))
    row.refresh_from_db()
    assert (row.status, row.tries) == ("failed", 4)
