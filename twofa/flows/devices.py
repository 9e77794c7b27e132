"""Devices: register, verify, authorize a change, make default, revoke.

Whoever holds a participant's session must not be able to point the tokens at another phone: where an active device
exists, every change is confirmed on *that* one first (OWASP Transaction Authorization, 1.2 and 1.3), and every
verified contact is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import contacts
from twofa.conf import conf
from twofa.exceptions import Invalid, NotActive, OnboardingIncomplete, TwoFactorError, WrongState
from twofa.flows import (
    access_tokens,
    agreements,
    changes,
    destinations,
    facts,
    issuing,
    onboarding,
    renewals,
    shared_contacts,
    verdicts,
)
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import HELD
from twofa.flows.transactions import retried_once
from twofa.models import Challenge, Device, Family, Participant, Purpose, Storefront
from twofa.models.clock import now

Action = Challenge.Action


@dataclass(frozen=True)
class Registration:
    """A device, and what it waits for: its own token, or one from the current device."""

    device: Device
    challenge: Challenge | None = None
    authorization: Challenge | None = None
    created: bool = False


def register(
    participant: Participant,
    *,
    storefront: Storefront,
    channel: str,
    address: str,
    actor: Actor,
    name: str = "",
    authorization: UUID | None = None,
) -> Registration:
    """Store a pending device and send its first token; the same address again returns what is there, and sends nothing.

    ``authorization`` is an answered challenge ``step_up:device_add``, where nothing but an authenticator app stands.

    Raises: Invalid, NotFound, NotActive, ChannelUnavailable, DestinationNotAllowed, ResendCooldown, SendBudget,
    FailedAttemptsBudget.
    """
    normalised = contacts.normalise(channel, address)
    with transaction.atomic():
        locked = _locked_participant(participant.pk)
        destinations.ensure_allowed(locked.campaign, channel, normalised, event="device.token")
        living = list(Device.objects.living().filter(participant=locked))
        known = next((d for d in living if d.channel == channel and d.address == normalised), None)
        if known is not None:
            return _waiting(known, storefront)
        if len(living) >= conf.devices_per_participant:
            raise Invalid.field("address", "too_many_devices", _("Remove a device before adding another."))
        agreements.ensure_contact(locked, authorization, storefront=storefront, at=now())
        device = Device(
            participant=locked,
            user_id=locked.user_id,
            name=name,
            channel=channel,
            address=normalised,
            destination=contacts.mask(channel, normalised),
        )
        device.save(force_insert=True)
        trail = Trail(actor, now())
        trail.add("device.registered", device, channel=channel, destination=device.destination)
        trail.write()
        challenge, asked = _first_step(device, locked, storefront, actor)
    return Registration(device, challenge, asked, created=True)


def _first_step(
    device: Device, participant: Participant, storefront: Storefront, actor: Actor
) -> tuple[Challenge | None, Challenge | None]:
    """Send the device its token, or ask the current one first whether it may be added. Raises: Invalid, WrongState."""
    if agreements.is_outrun(device):
        raise WrongState
    shared_contacts.ensure_room(device)
    active, _read_at = destinations.devices_of(participant)
    if active and not changes.is_authorized(device, now()):
        return None, ask_authorization(participant, active, device, Action.ADD, storefront=storefront, actor=actor)
    return _ask(participant, device, device, Action.VERIFY, storefront=storefront, actor=actor), None


def ask_authorization(
    participant: Participant,
    active: Sequence[Device],
    subject: Device,
    action: Challenge.Action,
    *,
    storefront: Storefront,
    actor: Actor,
) -> Challenge:
    """Send a token to the current device, which lets ``action`` happen to ``subject``. Called inside a transaction.

    One that this storefront has open for the same action is returned as it is, without a new message; any other is
    ended, because a challenge is answered through the storefront that opened it.
    """
    open_ = _open_challenge(subject)
    if open_ is not None and open_.action == action and _may_go_on(open_, storefront):
        return open_
    if open_ is not None:
        changes.end_challenge(open_, actor=actor)
    campaign = participant.campaign
    contact = destinations.authorizing(
        active, subject, campaign=campaign, at=now(), allowed_channels=campaign.allowed_channels
    )
    return _ask(participant, contact, subject, action, storefront=storefront, actor=actor)


@sensitive_variables()
def _ask(
    participant: Participant,
    contact: Device,
    subject: Device,
    action: Challenge.Action,
    *,
    storefront: Storefront,
    actor: Actor,
) -> Challenge:
    campaign = participant.campaign
    if not (campaign.is_active and participant.is_active):
        raise NotActive
    if contact.is_held:
        raise OnboardingIncomplete(missing=["device"], next_action=HELD)
    budgets = facts.budgets(participant=participant, campaign=campaign, contact=contact, family=Family.DEVICES)
    issuing.ensure_attempts_left(budgets.failed_attempts, campaign, participant.pk)
    _ensure_paused(participant, contact, budgets.at)
    issuing.ensure_sends(budgets, campaign, participant.pk)
    if action == Action.VERIFY:
        issuing.ensure_share(contact.address, campaign, at=budgets.at)
    request = issuing.Request(
        storefront=storefront,
        campaign=campaign,
        participant=participant,
        purpose=Purpose.DEVICE,
        digest=subject.digest(action),
        subject=subject,
        action=action,
    )
    trail = Trail(actor, budgets.at)
    challenge = issuing.issue(request, contact, at=budgets.at, trail=trail)
    issuing.queue(challenge, at=budgets.at)
    trail.write()
    return challenge


def _ensure_paused(participant: Participant, contact: Device, at: datetime) -> None:
    """Raise where the participant's last device token went to ``contact`` a moment ago. Raises: ResendCooldown.

    Ways around it would be: revoke and register again, ask for one change and then another, through one storefront and
    then its neighbour. By the address and not by the row, because a device registered again is another row.
    """
    sent = Challenge.objects.filter(participant=participant, purpose=Purpose.DEVICE, address__iexact=contact.address)
    renewals.ensure_none_lately(sent, at)


def verify(device: Device, *, storefront: Storefront, token: object, actor: Actor) -> Device:
    """Activate a device by the token that it received. Idempotent for the right token.

    Raises: WrongState, ChallengeClosed, TokenMalformed, TokenInvalid, TokenSuperseded, TokenExpired, AttemptsExhausted,
    FailedAttemptsBudget, NotActive; Invalid where too many others use its contact.
    """
    return _answer(device, (Action.VERIFY,), storefront, token, actor).device


def authorize(device: Device, *, storefront: Storefront, token: object, actor: Actor) -> Registration:
    """Let the asked-for change of a device happen, by the token that the current device received.

    Raises: as :func:`verify`; ResendCooldown, SendBudget where the new device's own token may not be sent now: what
    was let happen stays, and the same token again sends it later.
    """
    actions = (Action.ADD, Action.MAKE_DEFAULT, Action.REVOKE, Action.SWITCH_OFF)
    registration = _answer(device, actions, storefront, token, actor)
    if registration.device.status == Device.Status.PENDING:
        return _send_first(registration.device, storefront, actor)
    return registration


@sensitive_variables()
def _answer(
    device: Device, actions: tuple[Action, ...], storefront: Storefront, token: object, actor: Actor
) -> Registration:
    registration, error, ended = _judge(device.pk, actions, storefront, token, actor)
    changes.finish(ended, actor=actor)
    if error is not None:
        raise error
    return registration


@retried_once
def _judge(
    pk: int, actions: tuple[Action, ...], storefront: Storefront, token: object, actor: Actor
) -> tuple[Registration, TwoFactorError | None, list[Challenge]]:
    """Judge one token in one transaction, and do what it approves; nothing is raised once something was written."""
    with transaction.atomic(durable=True):
        device = locked_device(pk)
        challenge = _latest(device, actions, storefront)
        if challenge is None:
            raise WrongState
        ended: list[Challenge] = []
        if challenge.is_final:
            error = verdicts.replay(challenge, token)
            if error is None and shared_contacts.was_refused(device, challenge):
                error = shared_contacts.refusal()
            return Registration(device), error, ended
        if challenge.action == Action.VERIFY and agreements.is_outrun(device):
            raise WrongState
        standing = facts.standing(challenge)
        trail = Trail(actor, standing.at)
        digest = device.digest(challenge.action)
        error = verdicts.attempt(challenge, token, digest=digest, standing=standing, trail=trail)
        if error is None and challenge.action == Action.VERIFY:
            error = shared_contacts.refused_when_proved(device, trail)
        if error is None:
            ended = changes.apply(device, Action(challenge.action), trail)
        trail.write()
    return Registration(device), error, ended


def _latest(device: Device, actions: tuple[Action, ...], storefront: Storefront) -> Challenge | None:
    rows = Challenge.objects.select_for_update(no_key=True, of=("self",)).with_delivery()
    rows = rows.filter(subject=device, action__in=actions, storefront=storefront, purpose=Purpose.DEVICE)
    challenge: Challenge | None = rows.select_related("campaign", "device").order_by("-created_at", "-id").first()
    return challenge


def resend(device: Device, *, storefront: Storefront, actor: Actor) -> Registration:
    """Send a pending device, or the one that authorizes it, a new token; after an ended challenge, a new challenge.

    Raises: Invalid, WrongState, NotActive, ResendCooldown, ResendsExhausted, SendBudget, FailedAttemptsBudget,
    ChannelUnavailable.
    """
    with transaction.atomic():
        locked = locked_device(device.pk)
        challenge = _latest(locked, tuple(Action), storefront)
        pending = challenge is not None and not challenge.is_final and not challenge.is_past_deadline(now())
        if challenge is not None and pending:
            renewals.renew(challenge, actor=actor)
            return _about(locked, challenge)
    return _send_first(device, storefront, actor)


def _send_first(device: Device, storefront: Storefront, actor: Actor) -> Registration:
    """Open the next challenge that a pending device waits for. Raises: WrongState where it waits for none."""
    with transaction.atomic():
        locked = locked_device(device.pk)
        if locked.status != Device.Status.PENDING:
            raise WrongState
        open_ = _open_challenge(locked)
        if open_ is not None and _may_go_on(open_, storefront):
            return _about(locked, open_)
        if open_ is not None:
            changes.end_challenge(open_, actor=actor)
        challenge, authorization = _first_step(locked, locked.participant, storefront, actor)
    return Registration(locked, challenge, authorization)


def make_default(device: Device, *, storefront: Storefront, actor: Actor) -> Registration:
    """Make an active device the default, after a token from the present one. Raises: WrongState, and as register."""
    with transaction.atomic():
        locked = locked_device(device.pk)
        if locked.status != Device.Status.ACTIVE:
            raise WrongState
        if locked.is_default:
            return Registration(locked)
        active, _read_at = destinations.devices_of(locked.participant)
        authorization = ask_authorization(
            locked.participant, active, locked, Action.MAKE_DEFAULT, storefront=storefront, actor=actor
        )
    return Registration(locked, authorization=authorization)


def revoke(device: Device, *, storefront: Storefront, actor: Actor) -> Registration:
    """Revoke a device: a pending one at once, an active one after a token from the current device.

    Raises: NotActive, OnboardingIncomplete, ResendCooldown, SendBudget, FailedAttemptsBudget.
    """
    ended: list[Challenge] = []
    with transaction.atomic():
        locked = locked_device(device.pk)
        if locked.status == Device.Status.ACTIVE:
            active, _read_at = destinations.devices_of(locked.participant)
            authorization = ask_authorization(
                locked.participant, active, locked, Action.REVOKE, storefront=storefront, actor=actor
            )
            return Registration(locked, authorization=authorization)
        if locked.status == Device.Status.PENDING:
            ended = _revoke_now(locked, actor)
    changes.finish(ended, actor=actor)
    return Registration(locked)


def reset(device: Device, *, actor: Actor, reason: str) -> None:
    """Revoke a device without its owner's token, by staff: with a reason, an event, and a notice to every contact.

    Where it was the last active one, the participant has to prove their identity once more.

    Raises: WrongState where it is revoked already.
    """
    ended: list[Challenge] = []
    with transaction.atomic():
        locked = locked_device(device.pk)
        if locked.status == Device.Status.REVOKED:
            raise WrongState
        was_active = locked.status == Device.Status.ACTIVE
        ended = _revoke_now(locked, actor, reason=reason, may_be_last=was_active)
    changes.finish(ended, actor=actor)


def _revoke_now(device: Device, actor: Actor, reason: str = "", *, may_be_last: bool = False) -> list[Challenge]:
    trail = Trail(actor, now())
    ended = changes.apply(device, Action.REVOKE, trail, reason=reason)
    if reason:
        # Staff give one, where a phone was lost or stolen: an app of the participant's may be on it.
        access_tokens.revoke_all(device.participant, trail, reason="device_reset")
    if may_be_last and not Device.objects.active().filter(participant=device.participant).exists():
        onboarding.ask_again(device.participant, trail)
    trail.write()
    return ended


def get(uuid: UUID, *, storefront: Storefront) -> Registration:
    """Return a living device of the storefront's campaigns, with what it waits for. Raises: Device.DoesNotExist."""
    device = Device.objects.select_related("participant__campaign").get(
        uuid=uuid, participant__campaign__storefronts=storefront
    )
    return _waiting(device, storefront)


def _waiting(device: Device, storefront: Storefront) -> Registration:
    """Return a device with the challenge about it that this storefront has open."""
    challenge = _open_challenge(device)
    return _about(device, challenge if challenge is not None and challenge.storefront_id == storefront.pk else None)


def _open_challenge(device: Device) -> Challenge | None:
    return Challenge.objects.with_delivery().filter(subject=device, status=Challenge.Status.PENDING).first()


def _may_go_on(challenge: Challenge, storefront: Storefront) -> bool:
    return challenge.storefront_id == storefront.pk and not challenge.is_past_deadline(now())


def _about(device: Device, challenge: Challenge | None) -> Registration:
    if challenge is None or challenge.action == Action.VERIFY:
        return Registration(device, challenge)
    return Registration(device, authorization=challenge)


def locked_device(pk: int) -> Device:
    """Lock the participant, then return its device: in the order of all flows."""
    participant_id = Device.objects.values_list("participant_id", flat=True).get(pk=pk)
    participant = _locked_participant(participant_id)
    device: Device = Device.objects.get(pk=pk)
    device.participant = participant
    return device


def _locked_participant(pk: int) -> Participant:
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
    locked = rows.get(pk=pk)
    locked.ensure_kept()
    return locked
