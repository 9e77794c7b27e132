"""Holding a device: no token is sent to it, and none is taken from it, until staff have looked.

What was reported may be true: then whoever has the device, or reads its messages, must not approve anything more. Or it
may be a slip, or somebody else who reads the participant's mail: then nothing is lost but time, for a hold takes no
device away, lets nobody add one, and is lifted by a person who has asked the participant.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import PolicyRefused, WrongState
from twofa.flows import access_tokens, changes
from twofa.flows.history import Actor, Trail
from twofa.models import Challenge, Device, Failure, Participant
from twofa.models.clock import now

NOT_ME = Failure.NOT_ME


def hold(device: Device, trail: Trail) -> list[Challenge]:
    """Hold a device of a locked participant, and end what is open on it.

    Returns challenges whose orders must be cancelled after the commit: the rows of these are locked before challenges.
    """
    if device.status == Device.Status.REVOKED:
        return []
    if not device.is_held:
        device.hold(trail.at)
        trail.add("device.held", device, destination=device.destination, reason=NOT_ME)
        # Whoever asked for what the participant did not may be logged in as them.
        access_tokens.revoke_all(device.participant, trail, reason=NOT_ME)
    return changes.end_challenges(device, trail, with_subject=False, reason=NOT_ME)


def release(device: Device, *, by: Any, actor: Actor, reason: str) -> None:
    """Let tokens go to a device again; ``by`` is the member of staff who says why.

    Raises: WrongState where it is not held; PolicyRefused where it is their own, for a thief with their session and
    their phone would lift what the report was made for.
    """
    if device.participant.user_id == by.pk:
        raise PolicyRefused(_("This device is your own: somebody else releases it."))
    with transaction.atomic():
        participant = Participant.objects.select_for_update(no_key=True).get(pk=device.participant_id)
        participant.ensure_kept()
        locked: Device = Device.objects.get(pk=device.pk)
        if not locked.is_held:
            raise WrongState
        trail = Trail(actor, now())
        locked.release()
        trail.add("device.released", locked, destination=locked.destination, reason=reason)
        trail.write()
