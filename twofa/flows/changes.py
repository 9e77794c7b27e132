"""What happens to a device once it may: activation, default, revocation, and everybody being told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from twofa.flows import agreements, challenges, onboarding, recovery_codes, verdicts
from twofa.flows.alarms import tell
from twofa.flows.history import Actor, Trail
from twofa.models import DIGESTS_OF_ORDERS, Challenge, Device, Failure, Method, Participant
from twofa.models.clock import now

Action = Challenge.Action


def apply(device: Device, action: Challenge.Action, trail: Trail, *, reason: str = "") -> list[Challenge]:
    """Do ``action`` to a device of a locked participant; return challenges whose orders are to be cancelled."""
    if action == Action.VERIFY:
        _activate(device, trail)
    elif action == Action.MAKE_DEFAULT:
        _make_default(device, trail)
    elif action == Action.SWITCH_OFF:
        _switch_off(device, trail)
    elif action == Action.REVOKE:
        return _revoke(device, trail, reason)
    # ADD changes nothing yet: the new device proves itself by a token of its own.
    return []


def finish(ended: Iterable[Challenge], *, actor: Actor) -> None:
    """Cancel orders whose token went to a device that is no more; their points are given back."""
    for challenge in ended:
        challenges.cancel_order(challenge, actor=actor, reason=Failure.DEVICE_REVOKED)


def end_challenge(challenge: Challenge, *, actor: Actor, reason: str = "") -> None:
    """End an open challenge that nobody will answer any more. Called inside a transaction.

    ``reason`` is told with its cancellation; where the deadline came first, that is the reason.
    """
    locked = Challenge.objects.select_for_update(no_key=True).get(pk=challenge.pk)
    if locked.is_final:
        return
    at = now()
    trail = Trail(actor, at)
    status = Challenge.Status.EXPIRED if locked.is_past_deadline(at) else Challenge.Status.CANCELLED
    verdicts.end(locked, status, at=at, trail=trail, reason=reason if status == Challenge.Status.CANCELLED else "")
    trail.write()


def _activate(device: Device, trail: Trail) -> None:
    participant = device.participant
    others = Device.objects.filter(participant=participant).exclude(pk=device.pk)
    recovery_codes.forget_unagreed(participant)
    device.change(
        status=Device.Status.ACTIVE,
        confirmed=True,
        activated_at=trail.at,
        usable_from=agreements.trusted_from(participant, trail.at),
        is_default=not others.filter(is_default=True).exists(),
    )
    trail.add("device.activated", device, destination=device.destination)
    # They were asked for while there was no device to agree to them. Now there is one, and it must be asked first.
    _end_verifications(participant, trail, keeping_authorized=True)
    tell("device.activated", participant, trail, destination=device.destination, leaving_out=device)
    onboarding.note(participant, trail)


def _make_default(device: Device, trail: Trail) -> None:
    Device.objects.filter(participant=device.participant, is_default=True).update(is_default=False)
    device.change(is_default=True)
    trail.add("device.made_default", device, destination=device.destination)
    tell("device.made_default", device.participant, trail, destination=device.destination)


def _switch_off(device: Device, trail: Trail) -> None:
    participant = device.participant
    participant.two_factor_method = Method.NONE
    participant.save(update_fields=["two_factor_method", "updated_at"])
    trail.add("participant.switched_off", participant)
    onboarding.note(participant, trail)
    tell("participant.switched_off", participant, trail, destination=device.destination)


def _revoke(device: Device, trail: Trail, reason: str) -> list[Challenge]:
    was_default, was_active = device.is_default, device.status == Device.Status.ACTIVE
    if was_active:
        # Before it is revoked, so that it is told as well: whoever still has it learns why no token comes any more.
        tell("device.revoked", device.participant, trail, destination=device.destination)
    device.change(status=Device.Status.REVOKED, confirmed=False, is_default=False, revoked_at=trail.at)
    trail.add("device.revoked", device, destination=device.destination, reason=reason)
    if was_active:
        # It may have agreed to devices that are not verified yet: stolen phones do.
        _end_verifications(device.participant, trail, keeping_authorized=False)
    heir = Device.objects.active().filter(participant=device.participant).order_by("activated_at").first()
    if was_default and heir is not None:
        heir.change(is_default=True)
        trail.add("device.made_default", heir, destination=heir.destination)
    if was_active:
        onboarding.note(device.participant, trail)
    return end_challenges(device, trail, with_subject=True)


def is_authorized(device: Device, at: datetime) -> bool:
    """Tell whether a device that is still active agreed lately to adding ``device``."""
    lately = at - device.participant.campaign.redemption_ttl
    agreed = Challenge.objects.filter(subject=device, action=Action.ADD, status=Challenge.Status.APPROVED)
    return agreed.filter(ended_at__gt=lately, device__status=Device.Status.ACTIVE).exists()


def _end_verifications(participant: Participant, trail: Trail, *, keeping_authorized: bool) -> None:
    """End what would activate the participant's pending devices; on resend they are authorized anew."""
    rows = Challenge.objects.select_for_update(no_key=True, of=("self",)).select_related("subject")
    pending = rows.filter(participant=participant, action=Action.VERIFY, status=Challenge.Status.PENDING)
    for challenge in pending.order_by("pk"):
        subject = challenge.subject
        if subject is not None:
            subject.participant = participant
            if keeping_authorized and is_authorized(subject, trail.at):
                continue
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail)


def end_challenges(device: Device, trail: Trail, *, with_subject: bool, reason: str = "") -> list[Challenge]:
    """End what is open on a device, and ``with_subject`` what is about it, of a locked participant.

    Returns those of orders, whose rows are locked before challenges: they must be cancelled after the commit.
    """
    rows = Challenge.objects.select_for_update(no_key=True, of=("self",)).filter(status=Challenge.Status.PENDING)
    on_it = rows.filter(device=device).exclude(purpose__in=DIGESTS_OF_ORDERS)
    for challenge in (rows.filter(subject=device) | on_it if with_subject else on_it).order_by("pk"):
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail, reason=reason)
    open_ = Challenge.objects.filter(device=device, status=Challenge.Status.PENDING, purpose__in=DIGESTS_OF_ORDERS)
    return list(open_.order_by("pk").only("redemption_id", "batch_id"))
