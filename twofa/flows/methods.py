"""A participant's method, changed by staff: with a reason, an event with a name, and a notice to every contact.

Whoever talks support into it stands before the participant's points with one factor less, or with a factor of their
own choice. So a method needs a device of its kind that was proved and may be used; nobody changes their own; and every
verified contact is told, so that the participant learns of it from a device that the caller does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import OnboardingIncomplete, PolicyRefused, WrongState
from twofa.flows import alarms, authenticators, destinations, onboarding
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import NextAction
from twofa.models import Device, Method, Participant


def set_method(participant: Participant, *, method: str, by: Any, actor: Actor, reason: str) -> Participant:
    """Give a participant another method, or none; ``by`` is the member of staff who does it.

    Raises: NotFound where they were erased; PolicyRefused where they are the participant; WrongState where it is the
    method already; OnboardingIncomplete where no device of its kind may be used.
    """
    with transaction.atomic():
        rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
        locked = rows.get(pk=participant.pk)
        locked.ensure_kept()
        _ensure_not_own(locked, by)
        if locked.two_factor_method == method:
            raise WrongState
        devices, at = destinations.devices_of(locked)
        trail = Trail(actor, at)
        before = locked.two_factor_method
        if method == Method.NONE:
            event, destination, data = "participant.switched_off", "", {}
        else:
            destination = _of_kind(locked, devices, method)
            event, data = "participant.method_changed", {"after": method}
        locked.two_factor_method = method
        locked.save(update_fields=["two_factor_method", "updated_at"])
        trail.add(event, locked, before=before, reason=reason, **data)
        alarms.tell(event, locked, trail, destination=destination)
        onboarding.note(locked, trail)
        trail.write()
    return locked


def switch_off(participant: Participant, *, by: Any, actor: Actor, reason: str) -> Participant:
    """Take a participant's method away. Raises: as :func:`set_method`."""
    return set_method(participant, method=Method.NONE, by=by, actor=actor, reason=reason)


def _ensure_not_own(participant: Participant, by: Any) -> None:
    """Raise where staff would do it to themselves, superusers too: a stolen session of theirs would do the same."""
    if participant.user_id == by.pk:
        raise PolicyRefused(_("You are this participant yourself: somebody else must do it."))


def is_to_be_had(participant: Participant, devices: Sequence[Device], method: str) -> bool:
    """Tell whether a participant has what a method asks for: an active contact of its channel, or an active app."""
    if method == Method.TOTP:
        return authenticators.active(participant) is not None
    return any(device.channel == method for device in devices)


def _of_kind(participant: Participant, devices: Sequence[Device], method: str) -> str:
    """Return where tokens will go, also to a device that cools off; an app is named. Raises: OnboardingIncomplete."""
    if method == Method.TOTP:
        app = authenticators.active(participant)
        found = None if app is None else str(app)
    else:
        found = next((device.destination for device in devices if device.channel == method), None)
    if found is not None:
        return found
    raise lacking()


def lacking() -> OnboardingIncomplete:
    """Return the refusal of a method for which the participant has no device."""
    return OnboardingIncomplete(
        _("The participant has no verified device for this method."),
        missing=["device"],
        next_action=NextAction("onboarding"),
    )
