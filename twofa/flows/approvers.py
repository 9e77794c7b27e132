"""Entitlements: staff say who may approve for whom, up to which amount, and until when.

Whoever can entitle anybody can approve anything, by a phone of their own choice. So each change is an event with a name
and a reason, the row is never deleted, and nobody entitles themselves.

The requester is locked: a checkout and a confirm of theirs are before a revocation or after it, never half of each.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid, PolicyRefused, WrongState
from twofa.flows import challenges
from twofa.flows.history import Actor, Trail
from twofa.models import Approver, Campaign, Challenge, Failure, Participant
from twofa.models.clock import now

LIMITS = ("deputy", "max_amount", "valid_until")
"""What may be changed. Another approver, or another requester, is another entitlement."""


def entitle(
    *,
    requester: Participant,
    participant: Participant,
    by: Any,
    actor: Actor,
    reason: str,
    deputy: Participant | None = None,
    max_amount: Decimal | None = None,
    valid_until: datetime | None = None,
) -> Approver:
    """Let ``participant`` approve what ``requester`` redeems; ``by`` is the member of staff who says so.

    Raises: Invalid where the people do not fit together; PolicyRefused where ``by`` is one of them.
    """
    row = Approver(
        campaign_id=requester.campaign_id,
        requester=requester,
        participant=participant,
        deputy=deputy,
        max_amount=max_amount,
        valid_until=valid_until,
    )
    _ensure_not_own(row, by)
    with transaction.atomic():
        _locked(requester)
        _validate(row)
        _ensure_ahead(row)
        row.save(force_insert=True)
        trail = Trail(actor, now())
        trail.add("approver.entitled", requester, row, reason=reason, **_people(row), **_limits(row))
        trail.write()
    return row


def change(
    row: Approver, *, by: Any, actor: Actor, reason: str, changes: dict[str, Any], seen: str | None = None
) -> Approver:
    """Change the limits of an entitlement, and note what was and what is.

    ``seen`` is the :func:`mark` of the limits that whoever asks knew of: a form that sends all of them would raise
    again what a colleague has lowered meanwhile. Raises: Invalid; PolicyRefused, as where they changed; WrongState
    where it is revoked, or where it is like this already.
    """
    with transaction.atomic():
        _locked(row.requester)
        locked = Approver.objects.select_for_update(no_key=True).get(pk=row.pk)
        if not locked.is_active:
            raise WrongState
        if seen and seen != mark(locked):
            raise PolicyRefused(
                _("Somebody else changed these limits meanwhile, so yours were not saved. Look at them again.")
            )
        before = _limits(locked)
        for name in LIMITS:
            if name in changes:
                setattr(locked, name, changes[name])
        _ensure_not_own(locked, by)
        _validate(locked)
        after = _limits(locked)
        changed = [name for name in LIMITS if before[name] != after[name]]
        if not changed:
            raise WrongState
        if "valid_until" in changed:
            _ensure_ahead(locked)
        locked.save(update_fields=changed)
        was, now_is = ({name: state[name] for name in changed} for state in (before, after))
        trail = Trail(actor, now())
        noted = {**_people(locked), "reason": reason, "before": was, "after": now_is}
        trail.add("approver.changed", row.requester, locked, **noted)
        trail.write()
    return locked


def mark(row: Approver) -> str:
    """Return the mark of an entitlement's limits: of two that differ the marks do."""
    return json.dumps(_limits(row), sort_keys=True)


def revoke(row: Approver, *, actor: Actor, reason: str) -> Approver:
    """Take an entitlement back: from now on no token of its approver is looked at. Raises: WrongState."""
    with transaction.atomic():
        _locked(row.requester)
        locked = Approver.objects.select_for_update(no_key=True).get(pk=row.pk)
        if not locked.is_active:
            raise WrongState
        trail = Trail(actor, now())
        end(locked, trail, reason=reason)
        trail.write()
    return locked


def end(row: Approver, trail: Trail, *, reason: str) -> None:
    """Take a locked entitlement back."""
    row.is_active = False
    row.save(update_fields=["is_active"])
    trail.add("approver.revoked", row.requester, row, reason=reason, **_people(row))


def find_participant(campaign: Campaign, external_id: str, *, field: str) -> Participant:
    """Return a participant by what staff know them by. Raises: Invalid."""
    found = Participant.objects.filter(campaign=campaign, external_id=external_id, erased_at=None).first()
    if found is None:
        raise Invalid.field(field, "unknown", _("No participant of this campaign has this external id."))
    found.campaign = campaign
    return found


def answered_by(participant: Participant) -> Q:
    """Return the condition of challenges that others asked for and that this person answers."""
    return Q(redemption__approver=participant) | Q(batch__approver=participant)


def forget(participant: Participant, *, actor: Actor) -> int:
    """End what waits for somebody who is being erased, and take back their entitlements; return how many."""
    open_ = Challenge.objects.filter(answered_by(participant), status=Challenge.Status.PENDING)
    for challenge in open_.order_by("pk").only("redemption_id", "batch_id"):
        challenges.cancel_order(challenge, actor=actor, reason=Failure.APPROVER_ERASED)
    theirs = Q(participant=participant) | Q(requester=participant) | Q(deputy=participant)
    return sum(_forget(row, participant, actor) for row in Approver.objects.filter(theirs).order_by("pk"))


def _forget(row: Approver, participant: Participant, actor: Actor) -> bool:
    with transaction.atomic():
        Participant.objects.select_for_update(no_key=True, of=("self",)).get(pk=row.requester_id)
        locked = Approver.objects.select_for_update(no_key=True).get(pk=row.pk)
        trail = Trail(actor, now())
        if locked.deputy_id == participant.pk:
            locked.deputy = None
            locked.save(update_fields=["deputy"])
            limits = {"before": {"deputy": participant.pk}, "after": {"deputy": None}}
            trail.add("approver.changed", locked.requester, locked, reason="erased", **_people(locked), **limits)
        was_active, is_theirs = locked.is_active, participant.pk in (locked.participant_id, locked.requester_id)
        if was_active and is_theirs:
            end(locked, trail, reason="erased")
        trail.write()
    return was_active and is_theirs


def _locked(requester: Participant) -> None:
    Participant.objects.select_for_update(no_key=True, of=("self",)).get(pk=requester.pk).ensure_kept()


def _ensure_not_own(row: Approver, by: Any) -> None:
    """Raise where staff are one of the people: whoever stole their session would do the same.

    As an approver they approve what they like. As the requester they choose who does: an account of their own, under
    another name.
    """
    people = [row.participant, row.deputy, row.requester]
    if any(person is not None and person.user_id == by.pk for person in people):
        raise PolicyRefused(_("You are this participant yourself: somebody else must do it."))


def _validate(row: Approver) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        errors = [
            {"field": "" if name == "__all__" else name, "code": found.code or "invalid", "detail": text}
            for name, founds in error.error_dict.items()
            for found in founds
            for text in found.messages
        ]
        raise Invalid(errors=errors) from None


def _ensure_ahead(row: Approver) -> None:
    """Raise where an entitlement would be over at once, and stand in the way of one that is not. Raises: Invalid."""
    if row.valid_until is not None and row.valid_until <= now():
        text = _("This is over already. Give a time in the future, or none. To end it now, revoke the approver.")
        raise Invalid.field("valid_until", "in_the_past", text)


def _people(row: Approver) -> dict[str, Any]:
    """Return who is who by the numbers of their rows: the trail keeps no second copy of what they are known by."""
    return {"entitlement": row.pk, "approver": row.participant_id, "requester": row.requester_id}


def _limits(row: Approver) -> dict[str, Any]:
    return {
        "deputy": row.deputy_id,
        "max_amount": None if row.max_amount is None else str(row.max_amount),
        "valid_until": None if row.valid_until is None else row.valid_until.isoformat(),
    }
