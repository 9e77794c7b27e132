"""Messages: which there are, and which of them go out unless a campaign says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Kind:
    """One message: what staff call it, and whether it goes out where nobody switched it.

    ``is_alarm`` are the notices by which somebody learns that another one has taken their account. Their switches
    choose the way that they go; they are never silent.
    """

    label: StrOrPromise
    is_on: bool = True
    is_alarm: bool = False


KINDS: dict[str, Kind] = {
    "redemption.token": Kind(_("token of a redemption")),
    "schedule.token": Kind(_("token of a scheduled redemption")),
    "batch.token": Kind(_("token of a batch")),
    "device.token": Kind(_("token of a new device")),
    "device_change.token": Kind(_("token of a change of devices")),
    "login.token": Kind(_("token of a login")),
    "contact.token": Kind(_("token of a contact verification")),
    "step_up.token": Kind(_("token of a step-up")),
    "device.activated": Kind(_("notice: a device was verified"), is_alarm=True),
    "device.made_default": Kind(_("notice: the default device changed"), is_alarm=True),
    "device.revoked": Kind(_("notice: a device was revoked"), is_alarm=True),
    "device.held": Kind(_("notice: a device is held after too many wrong tokens"), is_alarm=True),
    "authenticator.activated": Kind(_("notice: an authenticator app was verified"), is_alarm=True),
    "authenticator.held": Kind(_("notice: an authenticator app is held after too many wrong codes"), is_alarm=True),
    "authenticator.released": Kind(_("notice: staff released an authenticator app"), is_alarm=True),
    "authenticator.revoked": Kind(_("notice: an authenticator app was revoked"), is_alarm=True),
    "recovery_codes.issued": Kind(_("notice: recovery codes were issued"), is_alarm=True),
    "recovery_codes.used": Kind(_("notice: a recovery code was used"), is_alarm=True),
    "participant.switched_off": Kind(_("notice: two-factor was switched off"), is_alarm=True),
    "participant.method_changed": Kind(_("notice: staff changed the method"), is_alarm=True),
    "redemption.completed": Kind(_("notice: a redemption was completed"), is_on=False),
    "redemption.rejected": Kind(_("notice: a redemption was rejected")),
    "document.approved": Kind(_("notice: a document was approved")),
    "document.rejected": Kind(_("notice: a document was rejected")),
}
"""Every message by its event."""

MESSAGES: dict[str, StrOrPromise] = {event: kind.label for event, kind in KINDS.items()}
"""What staff call each message."""


def is_token(event: str) -> bool:
    """Tell whether a message carries a token; all others are notices."""
    return event.endswith(".token")


def switch_name(event: str, channel: str) -> str:
    """Return by what a campaign's switches name one message on one channel."""
    return f"{event}/{channel}"


def is_switched_on(switches: Mapping[str, bool], event: str, channel: str) -> bool:
    """Tell whether a message goes out on a channel, by a campaign's switches where it has one for it."""
    default = KINDS[event].is_on if event in KINDS else True
    return bool(switches.get(switch_name(event, channel), default))
