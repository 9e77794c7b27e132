from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from tests import factories
from tests.statements import record_statements
from tests.stories import reject, travel
from twofa.flows import facts, issuing
from twofa.models import Challenge, Device
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def budgets(shop, **more) -> facts.Budgets:
    given = {"participant": shop.participant, "campaign": shop.campaign, "contact": shop.device, **more}
    return facts.budgets(**given)


def test_budgets_of_a_fresh_participant_are_untouched(shop):
    read = budgets(shop)
    assert abs(read.at - now()) < timedelta(seconds=5)
    assert (read.open_challenges, read.failed_attempts, read.sends_of_participant) == (0, 0, 0)
    assert (read.sends_to_destination, read.sends_of_campaign, read.order_exists) == (0, 0, False)


def test_budgets_count_the_last_24_hours(shop):
    first = shop.open()
    reject(shop, first, 2)
    issuing.queue_notice("device.activated", shop.device, at=now(), destination="x")
    other = factories.participant(shop.campaign)
    factories.device(other, "whatsapp", address=shop.device.address)
    shop.open(participant=other.external_id)
    shop.campaign.sends_per_campaign_per_day = 10
    read = budgets(shop)
    assert (read.open_challenges, read.failed_attempts, read.sends_of_participant) == (1, 2, 2)
    assert (read.sends_to_destination, read.sends_of_campaign) == (3, 3)
    travel(timedelta(hours=23, minutes=59, seconds=50))
    assert budgets(shop).sends_to_destination == 3
    assert budgets(shop).open_challenges == 0, "overdue, though nobody has ended it yet"
    travel(timedelta(seconds=10))
    read = budgets(shop)
    assert (read.failed_attempts, read.sends_to_destination, read.sends_of_campaign) == (0, 0, 0)


def test_campaign_without_a_budget_is_not_counted(shop):
    shop.open()
    assert budgets(shop).sends_of_campaign == 0


def test_order_is_looked_for_in_its_storefront_and_campaign(shop):
    redemption = shop.open()
    found = {"storefront_id": shop.storefront.pk, "order_id": redemption.order_id}
    assert budgets(shop, **found).order_exists
    assert not budgets(shop, **{**found, "order_id": redemption.order_id.lower()}).order_exists
    assert not budgets(shop, **{**found, "storefront_id": factories.storefront().pk}).order_exists
    assert not budgets(shop, **found, campaign=factories.campaign()).order_exists


def test_standing_is_that_of_the_moment(shop):
    challenge = Challenge.objects.get(redemption=shop.open())
    standing = facts.standing(challenge)
    assert (standing.campaign_active, standing.participant_active, standing.device_usable) == (True, True, True)
    shop.device.delete()
    shop.participant.is_active = False
    shop.participant.save()
    standing = facts.standing(challenge)
    assert (standing.campaign_active, standing.participant_active, standing.device_usable) == (True, False, False)


def test_standing_of_a_challenge_without_participant(shop):
    challenge = Challenge.objects.get(redemption=shop.open())
    Challenge.objects.filter(pk=challenge.pk).update(participant=None, purpose="contact", redemption=None)
    challenge.participant_id = None
    assert facts.standing(challenge).participant_active


def test_each_reading_is_one_round_trip(shop):
    challenge = Challenge.objects.get(redemption=shop.open())
    for read in (lambda: budgets(shop), lambda: facts.standing(challenge)):
        with record_statements() as statements:
            read()
        assert len(statements.executed) == 1, str(statements)


def test_sms_and_prefix_are_counted_where_there_is_a_budget_of_them(shop):
    shop.open()
    issuing.queue_notice("device.activated", factories.device(shop.participant, "email"), at=now(), destination="x")
    read = budgets(shop)
    assert (read.sms_of_campaign, read.sends_to_prefix, read.paused_until) == (0, 0, None)
    shop.campaign.sms_per_day = shop.campaign.sends_per_prefix_per_day = 10
    read = budgets(shop)
    assert (read.sms_of_campaign, read.sends_to_prefix) == (1, 1)
    email = factories.device(shop.participant, "email")
    read = budgets(shop, contact=email)
    assert (read.sms_of_campaign, read.sends_to_prefix) == (0, 0)
    travel(timedelta(hours=24))
    read = budgets(shop)
    assert (read.sms_of_campaign, read.sends_to_prefix) == (0, 0)


CAPS = ("sends_per_campaign_per_day", "sms_per_day", "sends_per_prefix_per_day")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("caps", "channels", "turns"),
    [
        ((), [], 0),
        ((), ["sms"], 2),
        ((), ["email"], 2),
        ((), ["sms", "whatsapp", "email"], 3),
        (CAPS[:1], [], 1),
        (CAPS[:1], ["sms"], 3),
        (CAPS[1:2], ["email"], 3),
        (CAPS[:2], ["sms", "email"], 3),
        (CAPS[2:], ["email"], 2),
        (CAPS[2:], ["sms"], 3),
        (CAPS, ["sms", "whatsapp", "email"], 6),
    ],
)
def test_turns_are_taken_before_the_budgets_are_read(shop, caps, channels, turns):
    for cap in caps:
        setattr(shop.campaign, cap, 5)
    addresses = {"sms": "+5511987650001", "whatsapp": "+5521987650002", "email": "ana@example.com"}
    contact, *others = [Device(channel=channel, address=addresses[channel]) for channel in channels] or [None]
    with record_statements() as statements:
        budgets(shop, contact=contact, others=others)
    assert "pg_advisory_xact_lock" in statements.counted[0]
    assert "pg_advisory_xact_lock" not in statements.counted[1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (turns,)
