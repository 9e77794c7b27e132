"""Which device receives the token: chosen by the server's policy; the caller may choose among what it allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField
from django.utils.translation import gettext_lazy as _

from twofa import contacts, delivery
from twofa.exceptions import ChannelUnavailable, DestinationNotAllowed, NotFound, OnboardingIncomplete
from twofa.flows.next_actions import NextAction
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


def ensure_allowed(campaign: Campaign, channel: str, address: str) -> None:
    """Raise where the campaign sends nothing there. Raises: DestinationNotAllowed, ChannelUnavailable."""
    if not _can_carry(campaign, channel, campaign.allowed_channels):
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
    channel: str | None = None,
    device: UUID | None = None,
) -> Device:
    """Return the device that the token goes to.

    An explicit choice that cannot be served is an error; without one, the best device that can be used is taken.

    Raises: OnboardingIncomplete, NotFound, ChannelUnavailable, DestinationNotAllowed.
    """
    wanted = [d for d in devices if (device is None or d.uuid == device) and (channel is None or d.channel == channel)]
    if device is not None and not wanted:
        raise NotFound(resource="device")
    usable = [d for d in wanted if d.is_usable(at) and _can_carry(campaign, d.channel, allowed_channels)]
    served = [d for d in usable if _is_country_allowed(campaign, d.address)]
    if served:
        return _preferred(served, participant, allowed_channels)
    if usable:
        raise DestinationNotAllowed
    if (device or channel) and any(d.is_usable(at) for d in devices):
        raise ChannelUnavailable
    raise _onboarding(devices, at)


def authorizing(
    devices: Sequence[Device], subject: Device, *, campaign: Campaign, at: datetime, allowed_channels: Sequence[str]
) -> Device:
    """Return the device that must agree to a change of devices: the default one, whatever method was chosen.

    The method is chosen without a token, so it must not decide who is asked: whoever reads the participant's mail would
    choose it, and let their own device in. Where the default one cannot be reached another answers, never for itself.

    Raises: OnboardingIncomplete.
    """
    usable = [
        candidate
        for candidate in devices
        if candidate.is_usable(at)
        and _can_carry(campaign, candidate.channel, allowed_channels)
        and _is_country_allowed(campaign, candidate.address)
    ]
    for candidate in usable:
        if candidate.is_default or candidate.pk != subject.pk:
            return candidate
    raise _onboarding(devices, at)


def next_contacts(
    devices: Sequence[Device],
    *,
    campaign: Campaign,
    at: datetime,
    allowed_channels: Sequence[str],
    tried: Collection[str],
) -> list[Device]:
    """Return the verified contacts that are left: one on each channel not tried yet, in the order of failover."""
    found: dict[str, Device] = {}
    for candidate in devices:
        if candidate.is_usable(at) and _is_country_allowed(campaign, candidate.address):
            found.setdefault(candidate.channel, candidate)
    able = (channel for channel in allowed_channels if _can_carry(campaign, channel, allowed_channels))
    return [found[channel] for channel in able if channel in found and channel not in tried]


def _preferred(served: Sequence[Device], participant: Participant, allowed_channels: Sequence[str]) -> Device:
    def rank(candidate: Device) -> tuple[bool, bool, int]:
        chosen = candidate.channel == participant.two_factor_method
        return not chosen, not candidate.is_default, list(allowed_channels).index(candidate.channel)

    return min(served, key=rank)


def _can_carry(campaign: Campaign, channel: str, allowed_channels: Sequence[str]) -> bool:
    return channel in allowed_channels and (campaign.test or delivery.is_available(channel))


def _is_country_allowed(campaign: Campaign, address: str) -> bool:
    if not campaign.allowed_countries:
        return True
    country = contacts.country(address)
    return country is None or country in campaign.allowed_countries


def usable_at(devices: Iterable[Device], at: datetime) -> datetime | None:
    """Return when the first of the devices that cool off may be used, or None where none does."""
    cooling = [d.usable_from for d in devices if d.usable_from is not None and d.usable_from > at]
    return min(cooling, default=None)


def _onboarding(devices: Sequence[Device], at: datetime) -> OnboardingIncomplete:
    cooling = usable_at(devices, at)
    if cooling is not None:
        return OnboardingIncomplete(
            _("The participant's new device may not approve redemptions yet."),
            missing=["device"],
            next_action=NextAction("wait", available_at=cooling),
        )
    return OnboardingIncomplete(missing=["device"], next_action=NextAction("onboarding"))
