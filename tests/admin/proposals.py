"""Proposals to loosen a policy, made the short way."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from twofa.models import Campaign, PolicyChange
from twofa.models.clock import now


def propose(campaign: Campaign, **columns: Any) -> PolicyChange:
    """A proposal to ask nobody any more, by somebody who is not signed in anywhere."""
    proposer, _new = User.objects.get_or_create(username="paula", is_staff=True)
    proposed = {
        "policy_version": campaign.policy_version,
        "before": {"two_factor_mode": campaign.two_factor_mode},
        "after": {"two_factor_mode": "off"},
        "loosens": ["two_factor_mode"],
        "reason": "Support asked for it.",
        "requested_by": proposer,
        "requested_at": now(),
        **columns,
    }
    return PolicyChange.objects.create(campaign=campaign, **proposed)
