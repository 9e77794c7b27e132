"""Logins of a host's own with a device of ours: what django-otp asks of it."""

from __future__ import annotations

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import NotFound
from twofa.flows import facts, verdicts
from twofa.flows.devices import locked_device
from twofa.flows.history import Actor, Trail
from twofa.models import ActorKind, Challenge, Device, Purpose


@sensitive_variables()
def answer_login(device: Device, token: object) -> bool:
    """Judge a token against this device's open login challenge, if it has one (django-otp's ``verify_token``).

    django-otp calls from inside a transaction of its own, and for every device of the user: it must never see an
    error from here, which would undo what it counted for the others. So this one is not durable, and raises nothing.
    """
    if not Challenge.objects.filter(device=device, purpose=Purpose.LOGIN, status=Challenge.Status.PENDING).exists():
        return False
    with transaction.atomic():
        try:
            locked = locked_device(device.pk)
        except NotFound:  # erased a moment ago
            return False
        rows = Challenge.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign", "device")
        challenge = rows.filter(device=locked, purpose=Purpose.LOGIN, status=Challenge.Status.PENDING).first()
        if challenge is None:
            return False
        standing = facts.standing(challenge)
        trail = Trail(Actor(ActorKind.PARTICIPANT, locked.participant.external_id), standing.at)
        error = verdicts.attempt(challenge, token, digest=challenge.digest(), standing=standing, trail=trail)
        trail.write()
    return error is None
