"""Which device receives the token: chosen by the server's policy; the caller may choose among what it allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField
from django.utils.translation import gettext_lazy as _

from twofa import contacts, delivery
from twofa.exceptions import ChannelUnavailable, DestinationNotAllowed, NotFound, OnboardingIncomplete
from twofa.flows.next_actions import HELD, NextAction
from twofa.models import Campaign, Device, Participant, statements
from twofa.models.clock import now

_DEVICES = statements.Select(
    """FROM {device} WHERE device.participant_id = %(participant)s AND device.status = 'active'
    ORDER BY device.is_default DESC, device.id""",
    device=Device,
    extra={"at": ("{clock}", DateTimeField())},
)


def devices_of(participant: Participant) -> tuple[list[Device], datetime]:
    """Return the participant's active devices, the default one first, and the time at which they were read."""
    rows = _DEVICES.rows(participant=participant.pk)
    return [row["device"] for row in rows], rows[0]["at"] if rows else now()


def ensure_allowed(campaign: Campaign, channel: str, address: str, *, event: str) -> None:
    """Raise where the campaign does not send this message there. Raises: DestinationNotAllowed, ChannelUnavailable."""
    _ensure_switched_on(campaign, channel, campaign.allowed_channels, event)
    if not _can_carry(campaign, channel, campaign.allowed_channels, event):
        raise ChannelUnavailable(_("This channel is not set up here, or the campaign does not allow it."))
    if not _is_country_allowed(campaign, address):
        raise DestinationNotAllowed


def choose(
    devices: Sequence[Device],
    *,
    participant: Participant,
    campaign: Campaign,
    at: datetime,
    allowed_channels: Sequence[str],
    event: str,
    channel: str | None = None,
    device: UUID | None = None,
) -> Device:
    """Return the device that the token goes to; ``event`` is the message that brings it.

    An explicit choice that cannot be served is an error; without one, the best device that can be used is taken.
    A channel on which staff switched the message off is none: the next one takes its place.

    Raises: OnboardingIncomplete, NotFound, ChannelUnavailable, DestinationNotAllowed.
    """
    wanted = [d for d in devices if (device is None or d.uuid == device) and (channel is None or d.channel == channel)]
    if device is not None and not wanted:
        raise NotFound(resource="device")
    usable = [d for d in wanted if d.is_usable(at) and _can_carry(campaign, d.channel, allowed_channels, event)]
    served = [d for d in usable if _is_country_allowed(campaign, d.address)]
    if served:
        return _preferred(served, participant, allowed_channels)
    if usable:
        raise DestinationNotAllowed
    if (device or channel) and any(d.is_usable(at) for d in devices):
        for chosen in wanted:
            _ensure_switched_on(campaign, chosen.channel, allowed_channels, event)
        raise ChannelUnavailable
    _ensure_not_switched_off(devices, campaign, at, allowed_channels, event)
    raise _onboarding(devices, at)


def _ensure_switched_on(campaign: Campaign, channel: str, allowed_channels: Sequence[str], event: str) -> None:
    if channel in allowed_channels and not campaign.sends(event, channel):
        raise ChannelUnavailable(_("The campaign's staff switched this message off on this channel."))


def _ensure_not_switched_off(
    devices: Sequence[Device], campaign: Campaign, at: datetime, allowed_channels: Sequence[str], event: str
) -> None:
    """Raise where a switch of staff is all that keeps the message from a device: its owner can do nothing about it."""
    for device in devices:
        if device.is_usable(at) and device.channel in allowed_channels and not campaign.sends(event, device.channel):
            raise ChannelUnavailable(_("This message is switched off on every channel that the participant has."))


def authorizing(
    devices: Sequence[Device], subject: Device, *, campaign: Campaign, at: datetime, allowed_channels: Sequence[str]
) -> Device:
    """Return the device that must agree to a change of devices: the default one, whatever method was chosen.

    The method is chosen without a token, so it must not decide who is asked: whoever reads the participant's mail would
    choose it, and let their own device in. Where the default one cannot be reached another answers, never for itself.
    Where one is held nobody answers: whoever reads one contact could have the other one held, and then agree alone.

    Raises: OnboardingIncomplete, ChannelUnavailable.
    """
    if any(candidate.is_held for candidate in devices):
        raise _onboarding(devices, at)
    event = "device_change.token"
    usable = [
        candidate
        for candidate in devices
        if candidate.is_usable(at)
        and _can_carry(campaign, candidate.channel, allowed_channels, event)
        and _is_country_allowed(campaign, candidate.address)
    ]
    for candidate in usable:
        if candidate.is_default or candidate.pk != subject.pk:
            return candidate
    _ensure_not_switched_off(devices, campaign, at, allowed_channels, event)
    raise _onboarding(devices, at)


def for_notice(devices: Sequence[Device], *, campaign: Campaign, event: str) -> Device | None:
    """Return the first of ``devices``, the default one by their order, that a notice may go to, or None.

    One that cools off is told as well: it approves nothing yet, and may read.
    """
    for candidate in devices:
        if _can_carry(campaign, candidate.channel, campaign.allowed_channels, event) and _is_country_allowed(
            campaign, candidate.address
        ):
            return candidate
    return None


def next_contacts(
    devices: Sequence[Device],
    *,
    campaign: Campaign,
    at: datetime,
    allowed_channels: Sequence[str],
    event: str,
    tried: Collection[str],
) -> list[Device]:
    """Return the verified contacts that are left: one on each channel not tried yet, in the order of failover."""
    found: dict[str, Device] = {}
    for candidate in devices:
        if candidate.is_usable(at) and _is_country_allowed(campaign, candidate.address):
            found.setdefault(candidate.channel, candidate)
    able = (channel for channel in allowed_channels if _can_carry(campaign, channel, allowed_channels, event))
    return [found[channel] for channel in able if channel in found and channel not in tried]


def _preferred(served: Sequence[Device], participant: Participant, allowed_channels: Sequence[str]) -> Device:
    def rank(candidate: Device) -> tuple[bool, bool, int]:
        chosen = candidate.channel == participant.two_factor_method
        return not chosen, not candidate.is_default, list(allowed_channels).index(candidate.channel)

    return min(served, key=rank)


def _can_carry(campaign: Campaign, channel: str, allowed_channels: Sequence[str], event: str) -> bool:
    able = channel in allowed_channels and campaign.sends(event, channel)
    return able and (campaign.test or delivery.is_available(channel))


def _is_country_allowed(campaign: Campaign, address: str) -> bool:
    if not campaign.allowed_countries:
        return True
    country = contacts.country(address)
    return country is None or country in campaign.allowed_countries


def usable_at(devices: Iterable[Device], at: datetime) -> datetime | None:
    """Return when the first of the devices that cool off may be used, or None where none does."""
    cooling = [d.usable_from for d in devices if d.usable_from is not None and d.usable_from > at and not d.is_held]
    return min(cooling, default=None)


def _onboarding(devices: Sequence[Device], at: datetime) -> OnboardingIncomplete:
    cooling = usable_at(devices, at)
    if cooling is not None:
        return OnboardingIncomplete(
            _("The participant's new device may not approve redemptions yet."),
            missing=["device"],
            next_action=NextAction("wait", available_at=cooling),
        )
    if any(device.is_held for device in devices):
        return OnboardingIncomplete(
            _("Tokens to the participant's device are on hold until the campaign's staff release it."),
            missing=["device"],
            next_action=HELD,
        )
    return OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))
