from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of
from tests.stories import cancel, confirm, deliver_due, points, refused, reject, resend, travel
from twofa.channels.memory import outbox
from twofa.exceptions import (
    ChallengeClosed,
    ChannelUnavailable,
    DestinationNotAllowed,
    FailedAttemptsBudget,
    NotActive,
    OnboardingIncomplete,
    ResendCooldown,
    ResendsExhausted,
    SendBudget,
    TokenSuperseded,
)
from twofa.models import Campaign, Challenge, Delivery, Device, Event

pytestmark = pytest.mark.django_db


def policy(shop, **columns) -> None:
    Campaign.objects.filter(pk=shop.campaign.pk).update(**columns)


def test_renewal_voids_the_old_token_and_keeps_the_attempts(shop, redemption):
    reject(shop, redemption, 1)
    old = token_of(redemption.challenge)
    travel(timedelta(seconds=30))
    renewed = resend(shop, redemption)
    assert (renewed.challenge.generation, renewed.challenge.attempts, renewed.challenge.resends) == (2, 1, 1)
    with pytest.raises(TokenSuperseded) as refusal:
        confirm(shop, redemption, old)
    assert refusal.value.params["attempts_remaining"] == 3
    assert list(Delivery.objects.order_by("generation").values_list("status", flat=True)) == ["superseded", "queued"]
    assert Event.objects.filter(redemption=redemption, type="challenge.renewed").count() == 1
    assert Event.objects.filter(type="delivery.superseded").count() == 1
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"


def test_attempts_add_up_over_all_generations(shop, redemption):
    for _ in range(3):
        reject(shop, redemption, 1)
        travel(timedelta(seconds=31))
        resend(shop, redemption)
    reject(shop, redemption, 2)
    assert points(redemption) == ("rejected", "released")
    assert Event.objects.filter(type="challenge.attempt_failed", redemption=redemption).count() == 5


def test_resend_waits_for_the_end_of_the_pause(shop, redemption):
    with refused(ResendCooldown) as refusal:
        resend(shop, redemption)
    assert 28 <= refusal.value.retry_after <= 30
    travel(timedelta(seconds=31))
    resend(shop, redemption)
    with refused(ResendCooldown):
        resend(shop, redemption)


def test_refused_resend_leaves_the_token_alive(shop, redemption):
    token = token_of(redemption.challenge)
    with refused(ResendCooldown):
        resend(shop, redemption)
    assert confirm(shop, redemption, token).status == "completed"


def test_resends_are_counted(shop, redemption):
    for _ in range(3):
        travel(timedelta(seconds=31))
        resend(shop, redemption)
    travel(timedelta(seconds=31))
    with refused(ResendsExhausted):
        resend(shop, redemption)


def test_resend_after_a_failed_delivery_is_neither_paused_nor_counted(shop, redemption):
    for _ in range(5):
        Delivery.objects.filter(challenge=redemption.challenge, status="queued").update(status="failed")
        renewed = resend(shop, redemption)
    assert (renewed.challenge.generation, renewed.challenge.resends) == (6, 0)


def test_resend_keeps_the_device_unless_another_channel_is_asked_for(shop, redemption):
    factories.device(shop.participant, "email")
    travel(timedelta(seconds=31))
    assert resend(shop, redemption).challenge.channel == "sms"
    travel(timedelta(seconds=31))
    renewed = resend(shop, redemption, channel="email")
    assert renewed.challenge.channel == "email"
    deliver_due()
    assert [message.recipient for message in outbox] == [renewed.challenge.address]


def test_resend_over_a_channel_without_a_device_is_refused(shop, redemption):
    travel(timedelta(seconds=31))
    with refused(ChannelUnavailable):
        resend(shop, redemption, channel="whatsapp")


def test_resend_of_what_has_ended_is_refused(shop, redemption):
    cancel(shop, redemption)
    with refused(ChallengeClosed):
        resend(shop, redemption)


def test_resend_after_the_deadline_ends_the_redemption(shop, redemption):
    travel(timedelta(minutes=30))
    with pytest.raises(ChallengeClosed):
        resend(shop, redemption)
    assert points(redemption) == ("expired", "released")
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("switched_off", ["participant", "campaign"])
def test_resend_for_somebody_who_may_not_is_refused(shop, redemption, switched_off):
    travel(timedelta(seconds=31))
    row = getattr(shop, switched_off)
    type(row).objects.filter(pk=row.pk).update(is_active=False)
    with refused(NotActive):
        resend(shop, redemption)


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"failed_attempts_per_day": 0}, FailedAttemptsBudget),
        ({"sends_per_participant_per_day": 1}, SendBudget),
        ({"sends_per_destination_per_day": 1}, SendBudget),
        ({"sends_per_campaign_per_day": 1}, SendBudget),
        ({"allowed_countries": ["PT"]}, DestinationNotAllowed),
    ],
    ids=str,
)
def test_resend_outside_of_the_policy_is_refused_and_leaves_the_token_alive(shop, redemption, columns, error):
    token = token_of(redemption.challenge)
    travel(timedelta(seconds=31))
    policy(shop, **columns)
    with refused(error):
        resend(shop, redemption)
    policy(shop, failed_attempts_per_day=15)
    assert confirm(shop, redemption, token).status == "completed"


def test_failed_message_does_not_open_the_budgets(shop, redemption):
    Delivery.objects.update(status="failed")
    policy(shop, sends_per_participant_per_day=1)
    with refused(SendBudget):
        resend(shop, redemption)


def test_resend_after_the_device_was_lost_goes_to_another_one(shop, redemption):
    email = factories.device(shop.participant, "email")
    Device.objects.filter(pk=shop.device.pk).update(status="revoked", confirmed=False, is_default=False)
    travel(timedelta(seconds=31))
    assert resend(shop, redemption).challenge.device_id == email.pk


def test_resend_without_any_usable_device_is_refused(shop, redemption):
    shop.device.delete()
    travel(timedelta(seconds=31))
    with refused(OnboardingIncomplete):
        resend(shop, redemption)


def test_resend_of_a_challenge_of_the_old_key_is_sealed_by_the_new(shop, redemption, settings):
    old = token_of(redemption.challenge)
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32)), **settings.TWOFA_TOKEN_KEYS}
    travel(timedelta(seconds=31))
    resend(shop, redemption)
    assert Challenge.objects.get().kid == "new"
    with pytest.raises(TokenSuperseded):
        confirm(shop, redemption, old)


def test_every_replaced_token_is_told_as_replaced(shop, redemption):
    replaced = []
    for _ in range(3):
        replaced.append(token_of(redemption.challenge))
        travel(timedelta(seconds=31))
        resend(shop, redemption)
    for token in replaced:
        with pytest.raises(TokenSuperseded):
            confirm(shop, redemption, token)
    assert Challenge.objects.get().attempts == 3
