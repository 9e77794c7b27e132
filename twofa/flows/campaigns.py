"""Campaigns: opening them, and changing their policy with a trace."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa import alerts
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import Invalid, PolicyRefused
from twofa.flows.history import Actor, Trail
from twofa.models import POLICY_FIELDS, Campaign
from twofa.models.clock import now
from twofa.models.loosening import loosened
from twofa.models.policy_change import plain


def open_campaign(*, actor: Actor, slug: str, name: str, **policy: Any) -> Campaign:
    """Store a new campaign. Raises: Invalid."""
    campaign = Campaign(slug=slug, name=name, **policy)
    _validate(campaign)
    with transaction.atomic():
        campaign.save(force_insert=True)
        trail = Trail(actor, now())
        trail.add("campaign.opened", campaign, policy={name: plain(value) for name, value in campaign.policy().items()})
        trail.write()
    return campaign


@dataclass(frozen=True)
class Edit:
    """A locked campaign with changes set and not saved: as it is, and as it would be."""

    original: Campaign
    campaign: Campaign
    before: dict[str, Any]
    after: dict[str, Any]
    loosens: list[str]


def update(
    campaign: Campaign, *, actor: Actor, changes: dict[str, Any], expected_version: int | None = None
) -> Campaign:
    """Change a campaign; each change of its policy makes a new version, and an event with who, before and after (I13).

    Only checkouts opened afterwards see it: an open challenge keeps its snapshot. ``expected_version`` is the policy
    that the decision was made on: with another one in its place nothing is changed. Where ``TWOFA_FOUR_EYES`` is on, a
    looser policy is refused here: it is proposed, by ``policy_changes.submit``. Raises: Invalid, PolicyRefused.
    """
    with transaction.atomic():
        edited = edit(campaign, changes, expected_version=expected_version)
        if conf.four_eyes and edited.loosens:
            alerts.sound(Alert.FOUR_EYES_BYPASS, campaign=campaign.pk, columns=",".join(edited.loosens))
            raise PolicyRefused(_("This loosens the policy: it is proposed, and a second person approves it."))
        save(edited, actor)
    return edited.campaign


def edit(campaign: Campaign, changes: dict[str, Any], *, expected_version: int | None = None) -> Edit:
    """Lock a campaign, and set ``changes`` on it without saving. Call it in a transaction.

    Raises: Invalid, PolicyRefused.
    """
    original = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    if expected_version is not None and original.policy_version != expected_version:
        raise PolicyRefused(_("Somebody else changed the policy meanwhile, so nothing was done. Look at it again."))
    edited = copy(original)
    for name, value in changes.items():
        setattr(edited, name, value)
    _validate(edited)
    changed = [name for name in changes if getattr(original, name) != getattr(edited, name)]
    return Edit(
        original,
        edited,
        before={name: plain(getattr(original, name)) for name in changed},
        after={name: plain(getattr(edited, name)) for name in changed},
        loosens=loosened(original.policy(), edited.policy()),
    )


def save(edited: Edit, actor: Actor, **noted: Any) -> None:
    """Store an edit, in the transaction that locked its campaign; nothing where nothing changed."""
    if not edited.after:
        return
    campaign = edited.campaign
    policy = any(name in POLICY_FIELDS for name in edited.after)
    campaign.policy_version += policy
    campaign.save(update_fields=[*edited.after, "policy_version"])
    trail = Trail(actor, now())
    trail.add(
        "campaign.policy_changed" if policy else "campaign.changed",
        campaign,
        policy_version=campaign.policy_version,
        before=edited.before,
        after=edited.after,
        **noted,
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
