"""Denials: somebody who received a message says "it was not me", by the link in it.

The link is the credential, for whoever did not ask for a token has no session of ours. So it does one thing, which is
worth nothing to a thief: it stops. Whoever reads the participant's mail can stop a purchase with it, and keep a device
quiet until staff have looked; no token, no point and no device can be had by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from twofa import correlation
from twofa.exceptions import NotFound
from twofa.flows import (
    batch_ends,
    batch_rows,
    challenges,
    holds,
    recovery_codes,
    redemptions,
    reservations,
    schedules,
    verdicts,
)
from twofa.flows.history import Actor, Trail
from twofa.flows.holds import NOT_ME
from twofa.flows.transactions import retried_once
from twofa.models import (
    DENIAL_LIFE,
    ActorKind,
    Case,
    Challenge,
    Delivery,
    Device,
    Participant,
    Redemption,
    RedemptionBatch,
)
from twofa.models.clock import now

Status, Points = Redemption.Status, Redemption.Points


@dataclass(frozen=True)
class Denial:
    """What a link is about: its challenge, the device that it was sent to, and whether staff know of it already."""

    challenge: Challenge
    sent_to: Device
    is_reported: bool

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing left to stop."""
        redemption = self.challenge.redemption
        return self.challenge.is_final and (redemption is None or not schedules.is_withdrawable(redemption))

    @property
    def is_too_late(self) -> bool:
        """Tell whether the right token came first, and what it approved was not cancelled before it was executed."""
        redemption = self.challenge.redemption
        cancelled = redemption is not None and redemption.status == Status.CANCELLED
        return self.challenge.status == Challenge.Status.APPROVED and self.is_over and not cancelled


@dataclass(frozen=True)
class _Outcome:
    """What the transaction of a denial decided, and what is left to be done after it."""

    case: Case
    redemption: Redemption | None = None
    batch: RedemptionBatch | None = None
    others: tuple[Challenge, ...] = ()


def look(pk: UUID, seal: str) -> Denial:
    """Return what a link is about, and change nothing: programs that scan mail follow links, and press nothing.

    Raises: NotFound where the link is not one of ours, or not valid any more: one answer for both.
    """
    challenge = _about(pk)
    sent_to = _sent_to(challenge, seal)
    _ensure_valid(challenge, sent_to, now())
    is_reported = Case.objects.filter(challenge=challenge, status=Case.Status.OPEN).exists()
    return Denial(challenge, sent_to, is_reported)


def deny(pk: UUID, seal: str) -> Case:
    """Stop what a link is about, hold the device that has its token, and open a case for staff; or return the open one.

    What was approved is not undone: nobody but the host knows whether it was spent, and shipped. Then the case says so.
    What was approved for a later time is cancelled: until then nothing is.

    Raises: NotFound, as :func:`look`.
    """
    with correlation.bound(correlation.current() or correlation.accept(None)):
        sent_to = look(pk, seal).sent_to
        outcome = _deny(pk, sent_to)
        actor = _actor(outcome.case.participant, sent_to)
        redemption = outcome.redemption
        if redemption is not None and redemption.owes_release:
            reservations.release(redemption.pk)
        if outcome.batch is not None and outcome.batch.is_final:
            batch_ends.release(outcome.batch)
        for other in outcome.others:
            challenges.cancel_order(other, actor=actor, reason=NOT_ME)
    return outcome.case


@retried_once
def _deny(pk: UUID, sent_to: Device) -> _Outcome:
    with transaction.atomic(durable=True):
        challenge = _locked(pk, sent_to)
        at = now()
        _ensure_valid(challenge, sent_to, at)
        known = Case.objects.select_related("participant").filter(challenge=challenge, status=Case.Status.OPEN).first()
        if known is not None:
            return _Outcome(known)
        trail = Trail(_actor(_participant(challenge), sent_to), at)
        too_late = challenge.status == Challenge.Status.APPROVED and not _withdraw(challenge.redemption, trail)
        if not challenge.is_final:
            _stop(challenge, trail)
        recovery_codes.forget_denied(challenge)
        device = challenge.device
        others = [] if device is None else holds.hold(device, trail)
        case = _open(challenge, sent_to, trail, too_late=too_late)
        trail.write()
    return _Outcome(case, challenge.redemption, challenge.batch, tuple(others))


def _withdraw(redemption: Redemption | None, trail: Trail) -> bool:
    """Cancel what is scheduled, where nobody has called the points system for it; tell whether nothing will be spent.

    In the transaction that opens the case: its time may come while a process dies.
    """
    if redemption is None:
        return False
    if schedules.is_withdrawable(redemption):
        schedules.withdraw(redemption, trail, NOT_ME)
    return redemption.status == Status.CANCELLED


def _stop(challenge: Challenge, trail: Trail) -> None:
    """End a challenge, and what waits for it as the challenge ended; where the deadline came first, that is why."""
    is_late = challenge.is_past_deadline(trail.at)
    status = Challenge.Status.EXPIRED if is_late else Challenge.Status.REJECTED
    reason = "" if is_late else NOT_ME
    verdicts.end(challenge, status, at=trail.at, trail=trail, reason=reason)
    if challenge.redemption is not None:
        redemptions.end(challenge.redemption, challenge, trail, reason)
    elif challenge.batch is not None:
        batch_ends.end(challenge.batch, trail, reason)


def _open(challenge: Challenge, sent_to: Device, trail: Trail, *, too_late: bool) -> Case:
    case = Case(
        campaign_id=challenge.campaign_id,
        participant=_participant(challenge),
        challenge=challenge,
        redemption_id=challenge.redemption_id,
        device_id=challenge.device_id,
        reported_from=sent_to,
        too_late=too_late,
        opened_at=trail.at,
        correlation_id=correlation.current(),
    )
    case.save(force_insert=True)
    about = [case] if challenge.device is None else [case, challenge.device]
    trail.add("case.opened", *about, case=str(case.pk), too_late=too_late)
    return case


def _about(pk: UUID) -> Challenge:
    rows = Challenge.objects.select_related("campaign", "participant", "redemption", "batch", "device", "subject")
    challenge: Challenge | None = rows.filter(pk=pk, participant__erased_at=None).first()
    if challenge is None or challenge.participant is None:
        raise NotFound
    return challenge


def _sent_to(challenge: Challenge, seal: str) -> Device:
    """Return the device that a link was sent to. Raises: NotFound."""
    told = Delivery.objects.filter(challenge=challenge, device__isnull=False).values("device")
    known = Q(participant_id=challenge.participant_id) | Q(pk__in=told) | Q(pk=challenge.device_id)
    devices = {device.pk: device for device in Device.objects.filter(known, participant__erased_at=None).order_by("pk")}
    found = challenge.denied_by(seal, list(devices))
    if found is None:
        raise NotFound
    return devices[found]


def _ensure_valid(challenge: Challenge, sent_to: Device, at: datetime) -> None:
    """Raise where a link is too old, or was answered and its contact is not the participant's any more.

    Whoever still reads a mailbox that was taken out would hold the phone again each time that staff release it.
    """
    if challenge.ended_at is not None and at >= challenge.ended_at + DENIAL_LIFE:
        raise NotFound
    if sent_to.status == Device.Status.REVOKED and challenge.cases.filter(status=Case.Status.CLOSED).exists():
        raise NotFound


def _locked(pk: UUID, sent_to: Device) -> Challenge:
    """Lock all who take part, what waits for the challenge, and the challenge: in the order of all flows."""
    known = _about(pk)
    involved = {device.participant_id for device in (sent_to, known.device) if device is not None}
    people = Participant.objects.filter(pk__in=involved | {_participant(known).pk}).order_by("pk")
    for person in people.select_for_update(no_key=True):
        person.ensure_kept()
    if known.redemption_id is not None:
        challenge, _redemption = redemptions.locked(known.redemption_id, None)
    elif known.batch_id is not None:
        challenge = batch_rows.locked(known.batch_id).challenge
    else:
        rows = Challenge.objects.select_for_update(no_key=True, of=("self",))
        challenge = rows.select_related("campaign", "participant").get(pk=pk)
    return challenge


def _participant(challenge: Challenge) -> Participant:
    if challenge.participant is None:  # of purpose "contact", which has no link
        raise NotFound
    return challenge.participant


def _actor(participant: Participant, sent_to: Device) -> Actor:
    """Return whoever has the link, as far as we know: the participant, or without a name whoever approves for them.

    The case tells whose device it was. The trail of the requester keeps no name that an erasure of the approver would
    have to look for, and it must not say that the requester reported what they asked for.
    """
    return Actor(ActorKind.PARTICIPANT, participant.external_id if sent_to.participant_id == participant.pk else "")
