from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from twofa.flows.decisions import decide, demands_approver
from twofa.models import Campaign, Participant

CASES = [
    # mode, threshold, method, total -> required, reason
    ("off", None, "none", 100, False, "campaign_off"),
    ("off", 1, "sms", 100, False, "campaign_off"),
    ("required", None, "none", 1, True, "campaign_required"),
    ("required", None, "sms", 1, True, "campaign_required"),
    ("required", 100, "none", 99, False, "below_threshold"),
    ("required", 100, "sms", 99, False, "below_threshold"),
    ("required", 100, "none", 100, True, "above_threshold"),
    ("required", 100, "none", 101, True, "above_threshold"),
    ("optional", None, "none", 10**9, False, "participant_opted_out"),
    ("optional", None, "sms", 1, True, "participant_opted_in"),
    ("optional", 100, "none", 99, False, "below_threshold"),
    ("optional", 100, "none", 100, True, "above_threshold"),
    ("optional", 100, "email", 1, True, "participant_opted_in"),
    ("optional", 100, "totp", 100, True, "participant_opted_in"),
]


def outcome(mode, threshold, method, spent, amount):
    campaign = Campaign(two_factor_mode=mode, threshold=None if threshold is None else Decimal(threshold))
    return decide(campaign, Participant(two_factor_method=method), amount=Decimal(amount), spent=Decimal(spent))


@pytest.mark.parametrize(("mode", "threshold", "method", "total", "required", "reason"), CASES)
def test_factor_is_required_by_the_rule_of_the_design(mode, threshold, method, total, required, reason):
    decision = outcome(mode, threshold, method, 0, total)
    assert (decision.required, decision.reason) == (required, reason)


def test_threshold_is_held_against_the_sum_of_the_day():
    for spent, amount in ((0, 100), (99, 1), (1, 99), ("99.99", "0.01")):
        assert outcome("required", 100, "none", spent, amount).required
    assert not outcome("required", 100, "none", "99.98", "0.01").required


def test_inputs_of_the_decision_are_kept():
    assert outcome("optional", "100.00", "none", "60.50", "39.50").inputs == {
        "mode": "optional",
        "threshold": "100.00",
        "total_of_24_hours": "100.00",
        "two_factor_method": "none",
    }
    assert outcome("off", None, "sms", 0, 1).inputs["threshold"] is None


def test_more_points_never_need_less():
    """Whoever must be asked for some points must be asked for more."""
    for mode, threshold, method in itertools.product(["off", "optional", "required"], [None, 100], ["none", "sms"]):
        asked = [outcome(mode, threshold, method, 0, amount).required for amount in (1, 99, 100, 101, 10**9)]
        assert asked == sorted(asked)


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
@pytest.mark.parametrize("by", ["named", "demanded"])
def test_approver_is_asked_whatever_the_policy_says_of_the_requester(mode, by):
    campaign = Campaign(two_factor_mode=mode, threshold=Decimal(10**6))
    decision = decide(campaign, Participant(), amount=Decimal(1), spent=Decimal(0), approver=by)
    assert (decision.required, decision.reason, decision.inputs["approver"]) == (True, "approver_required", by)


@pytest.mark.parametrize(
    ("threshold", "amount", "spent", "demanded"),
    [(None, 10**9, 0, False), (100, 99, 0, False), (100, 100, 0, True), (100, 1, 99, True), (100, 1, 98, False)],
)
def test_approver_is_demanded_by_the_sum_of_the_day(threshold, amount, spent, demanded):
    campaign = Campaign(approver_threshold=threshold)
    assert demands_approver(campaign, amount=Decimal(amount), spent=Decimal(spent)) == demanded
