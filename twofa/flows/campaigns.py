"""Campaigns: opening them, and changing their policy with a trace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid, PolicyRefused
from twofa.flows.history import Actor, Trail
from twofa.models import POLICY_FIELDS, Campaign
from twofa.models.clock import now


def open_campaign(*, actor: Actor, slug: str, name: str, **policy: Any) -> Campaign:
    """Store a new campaign. Raises: Invalid."""
    campaign = Campaign(slug=slug, name=name, **policy)
    _validate(campaign)
    with transaction.atomic():
        campaign.save(force_insert=True)
        trail = Trail(actor, now())
        trail.add(
            "campaign.opened", campaign, policy={name: _plain(value) for name, value in campaign.policy().items()}
        )
        trail.write()
    return campaign


def update(
    campaign: Campaign, *, actor: Actor, changes: dict[str, Any], expected_version: int | None = None
) -> Campaign:
    """Change a campaign; each change of its policy makes a new version, and an event with who, before and after (I13).

    Only checkouts opened afterwards see it: an open challenge keeps its snapshot. ``expected_version`` is the policy
    that the decision was made on: with another one in its place nothing is changed. Raises: Invalid, PolicyRefused.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        if expected_version is not None and locked.policy_version != expected_version:
            raise PolicyRefused(_("Somebody else changed the policy meanwhile, so nothing was done. Look at it again."))
        before = {name: getattr(locked, name) for name in changes}
        for name, value in changes.items():
            setattr(locked, name, value)
        _validate(locked)
        changed = [name for name, value in changes.items() if before[name] != value]
        if changed:
            _save(locked, changed, before, actor)
    return locked


def _save(campaign: Campaign, changed: list[str], before: dict[str, Any], actor: Actor) -> None:
    policy = [name for name in changed if name in POLICY_FIELDS]
    campaign.policy_version += bool(policy)
    campaign.save(update_fields=[*changed, "policy_version"])
    trail = Trail(actor, now())
    trail.add(
        "campaign.policy_changed" if policy else "campaign.changed",
        campaign,
        policy_version=campaign.policy_version,
        before={name: _plain(before[name]) for name in changed},
        after={name: _plain(getattr(campaign, name)) for name in changed},
    )
    trail.write()


def _validate(campaign: Campaign) -> None:
    try:
        campaign.full_clean()
    except ValidationError as error:
        errors = [
            {"field": field, "code": "invalid", "detail": " ".join(messages)}
            for field, messages in error.message_dict.items()
        ]
        raise Invalid(errors=errors) from error


def _plain(value: Any) -> Any:
    """Return a policy value as JSON keeps it: durations in seconds, decimals as texts."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if value is None or isinstance(value, bool | int | str | list) else str(value)
