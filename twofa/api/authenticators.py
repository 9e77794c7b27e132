"""Authenticator apps among the devices.

What is shown here is shown once: no answer with a secret or with codes is ever stored for an ``Idempotency-Key``.
"""

from __future__ import annotations

from typing import Any

from django.views.decorators.debug import sensitive_variables

from twofa import totp
from twofa.api import links, presenters, shapes
from twofa.api.fields import Identifier, Input
from twofa.flows import authenticators, next_actions
from twofa.models import Authenticator, Unbound


class AgreementInput(Input):
    """`authorization`: the answered challenge, where a factor stands."""

    authorization = Identifier(required=False, allow_null=True)


AGREEMENT = AgreementInput()


@sensitive_variables()
def present_enrolment(enrolment: authenticators.Enrolment) -> shapes.NewDevice:
    """Return a new app with what it reads, as text and as a picture."""
    return {
        **present(enrolment.authenticator),
        "otpauth_uri": enrolment.uri,
        "qr_svg": totp.picture(enrolment.uri),
    }


@sensitive_variables()
def present_confirmation(confirmation: authenticators.Confirmation) -> shapes.VerifiedDevice:
    """Return an app that was proved, with its owner's first recovery codes."""
    return {**present(confirmation.authenticator), "recovery_codes": confirmation.codes}


def present(row: Authenticator) -> shapes.Device:
    """Return an app in the shape of all devices: nothing is sent to it, so there is nothing that it waits for."""
    return {
        "id": str(row.uuid),
        "channel": Unbound.TOTP.value,
        "destination": "",
        "name": row.name,
        "status": row.status,
        "is_default": False,
        "usable_from": presenters.optional_moment(row.activated_at),
        "held": row.is_held,
        "challenge": None,
        "authorization": None,
        "next_action": presenters.next_action(_next(row), links.of_device(row.uuid)),
    }


def _next(row: Authenticator) -> next_actions.NextAction:
    if row.is_held:
        return next_actions.HELD
    return next_actions.CONFIRM if row.status == Authenticator.Status.PENDING else next_actions.NONE


def living(**whose: Any) -> list[Authenticator]:
    """Return the apps of a participant, newest first: one that is active and one that is pending at the most."""
    return list(Authenticator.objects.filter(**whose).exclude(status=Authenticator.Status.REVOKED))
