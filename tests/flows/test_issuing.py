from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.stories import resend, travel
from twofa import alerts, correlation, jobs
from twofa.exceptions import FailedAttemptsBudget, SendBudget, TooManyOpenChallenges
from twofa.flows import issuing
from twofa.flows.facts import Budgets
from twofa.models import Campaign, Challenge, Delivery
from twofa.models.clock import now

T = datetime(2026, 11, 22, tzinfo=UTC)
NOTHING = Budgets(
    at=T,
    order_exists=False,
    open_challenges=0,
    failed_attempts=0,
    sends_of_participant=0,
    sends_to_approver=0,
    recipient_active=True,
    sends_to_destination=0,
    sends_of_campaign=0,
    sms_of_campaign=0,
    sends_to_prefix=0,
    paused_until=None,
)


@pytest.mark.parametrize(
    ("column", "policy"),
    [
        ("sends_of_participant", "sends_per_participant_per_day"),
        ("sends_to_destination", "sends_per_destination_per_day"),
        ("sends_of_campaign", "sends_per_campaign_per_day"),
        ("sms_of_campaign", "sms_per_day"),
        ("sends_to_prefix", "sends_per_prefix_per_day"),
    ],
)
def test_each_send_budget_is_spent_exactly(column, policy):
    campaign = Campaign(**{policy: 3})
    issuing.ensure_sends(replace(NOTHING, **{column: 2}), campaign)
    with pytest.raises(SendBudget):
        issuing.ensure_sends(replace(NOTHING, **{column: 3}), campaign)


def test_campaign_without_a_budget_has_none():
    many = {"sends_of_campaign": 10**6, "sms_of_campaign": 10**6, "sends_to_prefix": 10**6}
    issuing.ensure_sends(replace(NOTHING, **many), Campaign())
    assert not issuing.is_closed(replace(NOTHING, **many), Campaign())


def test_refusal_for_a_pause_says_when_it_ends_and_any_other_a_day():
    pausing = replace(NOTHING, paused_until=T + timedelta(seconds=90.5))
    with pytest.raises(SendBudget) as refusal:
        issuing.ensure_sends(pausing, Campaign())
    assert refusal.value.retry_after == 91
    with pytest.raises(SendBudget) as refusal:
        issuing.ensure_sends(replace(pausing, sends_of_participant=50), Campaign())
    assert refusal.value.retry_after == 86400


@pytest.mark.parametrize(
    ("used", "is_closed"),
    [
        ({"sms_of_campaign": 3}, True),
        ({"sends_to_prefix": 3}, True),
        ({"paused_until": T + timedelta(hours=1)}, True),
        ({"sms_of_campaign": 2, "sends_to_prefix": 2}, False),
        ({"sends_of_campaign": 3, "sends_of_participant": 50, "sends_to_destination": 50}, False),
    ],
)
def test_way_is_closed_by_what_another_channel_does_not_have(used, is_closed):
    campaign = Campaign(sms_per_day=3, sends_per_prefix_per_day=3, sends_per_campaign_per_day=3)
    assert issuing.is_closed(replace(NOTHING, **used), campaign) == is_closed


def test_what_all_spend_together_alerts_without_a_participant(caplog):
    alerts.forget()
    campaign = Campaign(pk=7, sms_per_day=3)
    issuing.is_closed(replace(NOTHING, sms_of_campaign=3), campaign)
    issuing.within_send_budgets(replace(NOTHING, sends_of_participant=50), campaign, 9)
    assert [record.alert_ids for record in caplog.records if record.name == alerts.LOGGER] == [
        {"budget": "sms_per_day", "campaign": "7"},
        {"budget": "sends_per_participant_per_day", "campaign": "7", "participant": "9"},
    ]


def test_open_challenges_and_attempts_are_limited_exactly():
    campaign = Campaign(max_open_challenges=3, failed_attempts_per_day=15)
    issuing.ensure_opens(replace(NOTHING, open_challenges=2), campaign)
    issuing.ensure_attempts_left(14, campaign)
    with pytest.raises(TooManyOpenChallenges) as refusal:
        issuing.ensure_opens(replace(NOTHING, open_challenges=3), campaign)
    assert refusal.value.retry_after == 1800
    with pytest.raises(FailedAttemptsBudget):
        issuing.ensure_attempts_left(15, campaign)


@pytest.mark.parametrize(
    ("purpose", "action", "event"),
    [
        ("redemption", "", "redemption.token"),
        ("login", "", "login.token"),
        ("contact", "", "contact.token"),
        ("step_up:transfer", "", "step_up.token"),
        ("device", "verify", "device.token"),
        ("device", "revoke", "device_change.token"),
        ("device", "switch_off", "device_change.token"),
    ],
)
def test_message_of_a_challenge(purpose, action, event):
    assert issuing.message_event(Challenge(purpose=purpose, action=action)) == event


@pytest.mark.django_db
def test_each_generation_has_a_seed_of_its_own(shop):
    redemption = shop.open()
    seeds = [Challenge.objects.get().seed]
    for _ in range(3):
        travel(timedelta(seconds=31))
        resend(shop, redemption)
        seeds.append(Challenge.objects.get().seed)
    assert len({bytes(seed) for seed in seeds}) == 4
    assert {len(seed) for seed in seeds} == {32}
    assert len(Challenge.objects.get().superseded) == 3 * 32
    assert Challenge.objects.get().expires_at is None


@pytest.mark.django_db
def test_job_is_published_after_the_commit_with_an_id_alone(shop, django_capture_on_commit_callbacks, monkeypatch):
    published = []
    monkeypatch.setattr(jobs, "publish", lambda *args: published.append(args))
    with correlation.bound("abc"), django_capture_on_commit_callbacks(execute=True):
        shop.open()
        assert published == []
    row = Delivery.objects.get()
    assert published == [("twofa.tasks.deliver", row.pk)]
    assert row.correlation_id == "abc"


@pytest.mark.django_db
def test_publishing_that_fails_leaves_the_row(shop, django_capture_on_commit_callbacks, monkeypatch):
    def broken(*_args):
        raise RuntimeError("no broker")

    monkeypatch.setattr(jobs, "publish", broken)
    with django_capture_on_commit_callbacks(execute=True):
        shop.open()
    assert Delivery.objects.get().status == "queued"


@pytest.mark.django_db
def test_notice_has_no_challenge(shop):
    row = issuing.queue_notice("device.revoked", shop.device, at=now(), destination="x")
    assert (row.challenge_id, row.generation, row.context) == (None, 0, {"destination": "x"})
    assert row.campaign_id == shop.campaign.pk
