"""Rows that the example's tests start from."""

from __future__ import annotations

import itertools

from django.contrib.auth import get_user_model

from twofa.models import Campaign, Participant

_numbers = itertools.count(1)


def new_participant() -> Participant:
    """Make a participant of a campaign of its own."""
    number = next(_numbers)
    campaign = Campaign.objects.create(slug=f"campaign-{number}", name=f"Campaign {number}")
    user = get_user_model().objects.create_user(f"member-{number}")
    return Participant.objects.create(campaign=campaign, user=user, external_id=f"u-{number}", name="Ana")
