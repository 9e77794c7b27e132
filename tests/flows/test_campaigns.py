from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, confirm, points, refused, reject, unchanged
from twofa.exceptions import Invalid
from twofa.flows import campaigns
from twofa.models import POLICY_FIELDS, Campaign, Challenge, Event

pytestmark = pytest.mark.django_db


def test_campaign_is_opened_with_its_policy_on_record():
    campaign = campaigns.open_campaign(actor=STAFF, slug="verao", name="Verão", threshold=Decimal("10.50"))
    event = Event.objects.get(type="campaign.opened")
    assert (event.actor, event.campaign_id) == ("maria", campaign.pk)
    assert set(event.data["policy"]) == set(POLICY_FIELDS)
    assert event.data["policy"]["threshold"] == "10.50"
    assert event.data["policy"]["token_ttl"] == 300.0


@pytest.mark.parametrize(
    "columns",
    [
        {"max_attempts": 6},
        {"max_attempts": None},
        {"token_ttl": timedelta(hours=1)},
        {"token_length": None},
        {"token_alphabet": "x"},
        {"allowed_channels": [{}]},
        {"slug": "not a slug"},
        {"resend_cooldown": timedelta(seconds=-1)},
        {"redemption_ttl": timedelta(0)},
        {"threshold": Decimal(0)},
        {"default_method": "totp"},
        {"max_open_challenges": 0},
        {"redemption_ttl": timedelta(minutes=1)},
    ],
    ids=str,
)
def test_nonsense_is_refused_and_leaves_no_trace(columns):
    campaign = factories.campaign()
    with refused(Invalid) as refusal:
        campaigns.update(campaign, actor=STAFF, changes=columns)
    assert refusal.value.params["errors"]
    with refused(Invalid):
        campaigns.open_campaign(actor=STAFF, **{"slug": "verao", "name": "Verão", **columns})


def test_each_change_of_policy_is_a_version_and_an_event_with_a_name():
    campaign = factories.campaign()
    campaigns.update(campaign, actor=STAFF, changes={"two_factor_mode": "off", "token_ttl": timedelta(minutes=2)})
    row = Campaign.objects.get(pk=campaign.pk)
    assert (row.two_factor_mode, row.policy_version) == ("off", 2)
    event = Event.objects.get(type="campaign.policy_changed")
    assert (event.actor_kind, event.actor) == ("staff", "maria")
    assert event.data == {
        "policy_version": 2,
        "before": {"two_factor_mode": "required", "token_ttl": 300.0},
        "after": {"two_factor_mode": "off", "token_ttl": 120.0},
    }


def test_change_of_another_column_is_no_version():
    campaign = factories.campaign()
    campaigns.update(campaign, actor=STAFF, changes={"name": "Other"})
    assert Campaign.objects.get(pk=campaign.pk).policy_version == 1
    assert Event.objects.get(type="campaign.changed").data["after"] == {"name": "Other"}


def test_change_to_the_same_is_none():
    campaign = factories.campaign()
    with unchanged():
        campaigns.update(campaign, actor=STAFF, changes={"two_factor_mode": "required"})


@pytest.mark.parametrize(
    "changes",
    [
        {"two_factor_mode": "off"},
        {"threshold": Decimal(10**6)},
        {"max_attempts": 1},
        {"max_resends": 0},
        {"token_length": 12},
        {"token_alphabet": "numeric"},
        {"token_ttl": timedelta(minutes=1)},
        {"redemption_ttl": timedelta(minutes=1), "token_ttl": timedelta(minutes=1)},
        {"allowed_channels": ["email"]},
        {"default_method": "email"},
        {"unit": "miles"},
    ],
    ids=str,
)
def test_open_challenge_keeps_the_policy_of_its_checkout(shop, changes):
    """Switched off while it waits: it is neither completed nor weakened; switched on: not hardened either."""
    redemption = shop.open()
    before = Challenge.objects.values().get(redemption=redemption)
    campaigns.update(shop.campaign, actor=STAFF, changes=changes)
    assert Challenge.objects.values().get(redemption=redemption) == before
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert RecordingBackend.count("complete") == 0
    reject(shop, redemption, 4)
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"


def test_policy_on_off_on_while_it_waits_changes_nothing(shop):
    redemption = shop.open()
    for mode in ("off", "optional", "required", "off"):
        campaigns.update(shop.campaign, actor=STAFF, changes={"two_factor_mode": mode})
        assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert points(shop.open()) == ("completed", "completed")
    assert Event.objects.filter(type="campaign.policy_changed").count() == 4
