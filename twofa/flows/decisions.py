"""Is a second factor required? Pure: the policy, the participant and the points in, the decision and its reason out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from twofa.models import Campaign, Method, Participant, Reason, TwoFactorMode


@dataclass(frozen=True)
class Requirement:
    """Whether a factor is required, why, and from what that was decided: stored with what it is required for."""

    required: bool
    reason: Reason
    inputs: dict[str, Any]


NAMED, DEMANDED = "named", "demanded"
"""How an approver comes in: by the storefront's request, or by the campaign's threshold."""


def demands_approver(campaign: Campaign, *, amount: Decimal, spent: Decimal) -> bool:
    """Tell whether another person must approve ``amount``; as with a token, splitting it does not escape that."""
    return campaign.approver_threshold is not None and spent + amount >= campaign.approver_threshold


def decide(
    campaign: Campaign, participant: Participant, *, amount: Decimal, spent: Decimal, approver: str = ""
) -> Requirement:
    """Decide for one redemption of ``amount``; ``spent`` is what the participant redeemed in the last 24 hours.

    The threshold is held against their sum, so that splitting a purchase does not escape it. ``approver`` is how
    another person comes in, who is asked whatever the policy says of the requester.
    """
    total = spent + amount
    required, reason = (True, Reason.APPROVER_REQUIRED) if approver else _rule(campaign, participant, total)
    inputs = {
        "mode": campaign.two_factor_mode,
        "threshold": None if campaign.threshold is None else str(campaign.threshold),
        "total_of_24_hours": str(total),
        "two_factor_method": participant.two_factor_method,
    }
    if approver or campaign.approver_threshold is not None:
        threshold = campaign.approver_threshold
        inputs |= {"approver": approver, "approver_threshold": None if threshold is None else str(threshold)}
    return Requirement(required, reason, inputs)


def _rule(campaign: Campaign, participant: Participant, total: Decimal) -> tuple[bool, Reason]:
    if campaign.two_factor_mode == TwoFactorMode.OFF:
        return False, Reason.CAMPAIGN_OFF
    above = campaign.threshold is not None and total >= campaign.threshold
    if campaign.two_factor_mode == TwoFactorMode.REQUIRED:
        if campaign.threshold is None:
            return True, Reason.CAMPAIGN_REQUIRED
        return above, Reason.ABOVE_THRESHOLD if above else Reason.BELOW_THRESHOLD
    if participant.two_factor_method != Method.NONE:
        return True, Reason.PARTICIPANT_OPTED_IN
    if above:
        return True, Reason.ABOVE_THRESHOLD
    return False, Reason.PARTICIPANT_OPTED_OUT if campaign.threshold is None else Reason.BELOW_THRESHOLD
