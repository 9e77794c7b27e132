"""Deliveries: take one message of the outbox, send it, and record honestly what became of it."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from twofa import correlation, delivery, jobs
from twofa.channels import Receipt
from twofa.conf import conf
from twofa.exceptions import DeliveryError, TransitionRefused, forget_variables
from twofa.flows import destinations, fallbacks, issuing, outbox, prefixes, receipts, recipients
from twofa.flows.history import WORKER, Trail
from twofa.flows.transactions import after_commit
from twofa.models import LEAST_USEFUL_LIFE, Challenge, Delivery, Participant, Purpose, family_of
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

FIRST_DELAY = timedelta(seconds=4)
Status = Delivery.Status


# The worker's frames hold what no report may (I8): the token, the texts that carry it, the seed of its successor.
@sensitive_variables()
def deliver(pk: int) -> None:
    """Send one message, if it is due and nobody else has it.

    Safe to call any number of times, by any number of workers, as late as it may be: the claim is one conditional
    UPDATE, and everything is checked again after it. No transaction is open while the provider is called.
    """
    at = now()
    row = Delivery.objects.claim(pk, at=at, lease=conf.delivery_lease)
    if row is None:
        return
    with correlation.bound(row.correlation_id or correlation.current()):
        try:
            _deliver(row, at)
        except TransitionRefused:
            # Our lease ran out and another worker took over (it sends the same text, and records it), or the message
            # was superseded under our hands.
            logger.warning("delivery %s was taken over or superseded", row.pk)
        except BaseException as error:
            # On its way to Celery, or to whatever the host has there to report errors.
            forget_variables(error)
            raise


def _deliver(row: Delivery, at: datetime) -> None:
    if row.challenge is not None and not _is_fit(row, row.challenge, at):
        _settle_unfit(row, row.challenge.pk)
        return
    if receipts.is_delivered(row):
        # The provider's answer was lost and the message was not: to repeat it would only send it twice.
        _record_sent(row, _lost_receipt(row))
        return
    if row.tries > conf.delivery_max_tries:
        # Whoever claimed it last never lived to record a failure: it may be the message that kills workers.
        _record_failure(row, DeliveryError("lease_lost", retryable=False))
        return
    if prefixes.is_paused(row.prefix, row.address, at):
        _record_failure(row, DeliveryError(prefixes.PAUSED, retryable=False))
        return
    try:
        if delivery.ensure_trusted(row):
            # Whoever was asked may have taken longer than the lease, and what the message is about may have ended.
            row = Delivery.objects.renew(row, at=now(), lease=conf.delivery_lease)
            if row.challenge is not None and not _is_fit(row, row.challenge, now()):
                _settle_unfit(row, row.challenge.pk)
                return
        receipt = delivery.send(row)
    except DeliveryError as error:
        _record_failure(row, error)
    else:
        _record_sent(row, receipt)


def _is_fit(row: Delivery, challenge: Challenge, at: datetime) -> bool:
    """Tell whether this message should still be sent: its challenge open, its generation the present one, in time."""
    return (
        not challenge.is_final
        and challenge.generation == row.generation
        and _life_left(challenge, at) >= _needed(challenge)
    )


def _life_left(challenge: Challenge, at: datetime) -> timedelta:
    expires_at = challenge.expires_at or challenge.expiry_of_hand_off(at)
    return min(expires_at, challenge.live_until) - at


def _needed(challenge: Challenge) -> timedelta:
    """Return the life below which a token is of no use to its owner, which a short policy may make shorter."""
    return min(LEAST_USEFUL_LIFE, challenge.token_ttl, (challenge.deadline - challenge.created_at) / 2)


def _settle_unfit(row: Delivery, challenge_id: UUID) -> None:
    """Put away a message that may not be sent: superseded, re-minted once, or expired."""
    with transaction.atomic():
        challenge = _locked_challenge(row, challenge_id)
        contact = issuing.contact_of(challenge)
        at = now()
        trail = Trail(WORKER, at)
        if challenge.is_final or challenge.generation != row.generation:
            _move(row, trail, Status.SUPERSEDED)
        elif not row.reminted and challenge.deadline - at >= _needed(challenge) and contact is not None:
            _move(row, trail, Status.SUPERSEDED, reason="reminted")
            issuing.rotate(challenge, contact, at=at, trail=trail, cause="reminted")
        else:
            _move(row, trail, Status.EXPIRED, reason="too_late")
        trail.write()


def _record_sent(row: Delivery, receipt: Receipt) -> None:
    """Record the hand-off; the token's life counts from here (its clock starts when the provider has it)."""
    with transaction.atomic():
        challenge = _locked(row)
        trail = Trail(WORKER, now())
        _hand_off(row, challenge, receipt, trail)
        trail.write()


def _hand_off(row: Delivery, challenge: Challenge | None, receipt: Receipt, trail: Trail) -> None:
    provider_id = (receipt.provider_message_id or "")[:200]
    provider = {"provider": receipt.provider, "provider_message_id": provider_id}
    _move(row, trail, Status.SENT, sent_at=trail.at, reason="", cost=receipt.cost, **provider)
    if challenge is not None and challenge.generation == row.generation and not challenge.is_final:
        # A repeated sending of one generation is the same token: its clock is not set back.
        expires_at = challenge.expires_at or challenge.expiry_of_hand_off(trail.at)
        challenge.change(guard=("generation",), expires_at=expires_at)
    receipts.apply_early(row, trail)


def _lost_receipt(row: Delivery) -> Receipt:
    reported = row.early_report or {}
    return Receipt(reported["provider_message_id"], provider=reported["provider"])


def _record_failure(row: Delivery, error: DeliveryError) -> None:
    """Queue the message again, fail over to the next contact, or give up: whichever is still of use."""
    with transaction.atomic():
        _lock_participant(row)
        challenge = _locked(row)
        at = now()
        trail = Trail(WORKER, at)
        due_at = at + _backoff(row.tries)
        if receipts.is_delivered(row):
            _hand_off(row, challenge, _lost_receipt(row), trail)
        elif error.retryable and row.tries < conf.delivery_max_tries and _is_worth_repeating(row, challenge, due_at):
            _move(row, trail, Status.QUEUED, reason=error.reason, due_at=due_at, leased_until=None)
            after_commit(_publish_later, row.pk, due_at - at)
        else:
            _move(row, trail, Status.FAILED, reason=error.reason)
            if challenge is not None:
                _fail_over(row, challenge, at, trail)
        trail.write()


def _lock_participant(row: Delivery) -> None:
    """Lock whom a failover may send to, before the challenge as everywhere: it counts the participant's messages."""
    Participant.objects.select_for_update(no_key=True).filter(pk__in=[row.participant_id]).first()


def _is_worth_repeating(row: Delivery, challenge: Challenge | None, due_at: datetime) -> bool:
    if challenge is None:
        return True
    if challenge.is_final or challenge.generation != row.generation:
        return False
    return _life_left(challenge, due_at) >= _needed(challenge)


def _fail_over(row: Delivery, challenge: Challenge, at: datetime, trail: Trail) -> None:
    """Send a new generation to the next allowed, verified contact, unless the caller chose the channel.

    Not counted as a resend, because nobody asked for it; within the budgets of sends, because it costs as much.
    """
    present = not challenge.is_final and challenge.generation == row.generation
    if not present or challenge.channel_chosen:
        return
    # A change of devices is agreed to by the default device, not by the next best one.
    if challenge.purpose == Purpose.DEVICE or row.reason == delivery.TRANSACTION_CHANGED:
        return
    recipient, devices, _read_at = recipients.reachable(challenge)
    tried = set(Delivery.objects.filter(challenge=challenge).values_list("channel", flat=True))
    contacts = destinations.next_contacts(
        devices,
        campaign=challenge.campaign,
        at=at,
        allowed_channels=challenge.allowed_channels,
        event=row.event,
        tried=tried,
    )
    if not contacts or challenge.participant is None:
        return
    contact, budgets = fallbacks.aim(
        contacts,
        participant=challenge.participant,
        recipient=recipient,
        campaign=challenge.campaign,
        family=family_of(challenge.purpose),
    )
    if budgets.recipient_active and issuing.within_send_budgets(budgets, challenge.campaign):
        issuing.rotate(challenge, contact, at=budgets.at, trail=trail, cause="failed_over")


def _locked(row: Delivery) -> Challenge | None:
    """Lock the challenge, if there is one, and then the delivery."""
    if row.challenge_id is not None:
        return _locked_challenge(row, row.challenge_id)
    _lock_delivery(row)
    return None


def _locked_challenge(row: Delivery, challenge_id: UUID) -> Challenge:
    """Lock the challenge, then the delivery: the order in which every flow locks them."""
    rows = Challenge.objects.select_for_update(no_key=True, of=("self",))
    related = ("campaign", "participant", "device", "redemption", "batch")
    challenge = rows.select_related(*related).get(pk=challenge_id)
    _lock_delivery(row)
    return challenge


def _lock_delivery(row: Delivery) -> None:
    """Lock the delivery, and read what its provider reported while it was asked."""
    present = Delivery.objects.select_for_update(no_key=True).only("early_report").get(pk=row.pk)
    row.early_report = present.early_report


def _move(row: Delivery, trail: Trail, status: Status, **changes: object) -> None:
    """Move the row this worker holds; the lease is the guard, so that a worker that lost it changes nothing."""
    outbox.move(row, trail, status, guard=("leased_until",), **changes)


def _backoff(tries: int) -> timedelta:
    doublings: int = 2 ** max(tries - 1, 0)
    return FIRST_DELAY * doublings * (1 + secrets.randbelow(250) / 1000)


def _publish_later(pk: int, delay: timedelta) -> None:
    # In eager mode a countdown is not waited for: the sweeper will find the row when it is due.
    if not jobs.is_eager():
        jobs.publish(jobs.DELIVER, pk, delay=delay)
