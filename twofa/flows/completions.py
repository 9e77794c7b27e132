"""The host's points: the one gate before they are spent, and the way back.

No call into the host shares a transaction with a verdict, and what it did is undone where it fails.
``RedemptionRefused`` is a permanent no; anything else that is raised is an unknown outcome, which is tried again and
never given back by the machine.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from twofa import correlation, jobs
from twofa.conf import conf
from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.flows import batch_reservations, calls, notices, onboarding, reservations, settlements
from twofa.flows.history import WORKER, Trail
from twofa.flows.turns import backoff, locked, park, postpone, with_known
from twofa.fulfillment import get_backend
from twofa.models import Campaign, Challenge, CompletionMode, Failure, Participant, Redemption, Storefront, writes

logger = correlation.get_logger(__name__)

Status, Points = Redemption.Status, Redemption.Points


def finish(redemption: Redemption, *, storefront: Storefront) -> Redemption:
    """Complete an approved redemption: in this request, or by a worker."""
    if mode(redemption.campaign, storefront) == CompletionMode.SYNC:
        return complete(redemption.pk, presented=redemption)
    jobs.publish(jobs.COMPLETE, redemption.pk)
    return redemption


def mode(campaign: Campaign, storefront: Storefront) -> str:
    """Return where completions run that a storefront's call approved.

    The storefront's own mode comes first: one whose customers wait at a desk and one that sends files at night may
    serve the same campaign.
    """
    return storefront.completion_mode or campaign.completion_mode


def complete(pk: UUID, *, presented: Redemption | None = None) -> Redemption:
    """Spend the points of one approved redemption, or do nothing where that is done, parked or not its turn.

    ``presented`` is the caller's copy of the row; it is brought up to date and returned.
    """
    # A call that leaves the database, or that a worker makes again and again, is counted before it is made: if this
    # process dies in it, it is known that one was made, and the next pause is longer.
    announced = presented is None or get_backend().remote
    if announced:
        _announce(pk)
    try:
        redemption = with_known(_complete(pk, announced=announced), presented)
    except Exception as error:  # noqa: BLE001 - the host's, or of a commit that failed by what the host did
        redemption = with_known(_record_failure(pk, error, announced=announced), presented)
    if redemption.status == Status.FAILED and redemption.points == Points.RESERVED:
        redemption = with_known(reservations.release(pk), redemption)
    if redemption.batch_id is not None and redemption.is_final:
        settlements.settle(redemption.batch_id)
    return redemption


class _Unspent(Exception):
    """The host's backend failed: raised through the transaction, so that nothing which it did is kept."""

    def __init__(self, failure: Exception, version: int) -> None:
        super().__init__(failure)
        self.failure, self.version = failure, version


def _may_complete(redemption: Redemption) -> bool:
    status = Status.APPROVED if redemption.scheduled_for is None else Status.SCHEDULED
    reserved = redemption.points == Points.RESERVED
    return redemption.status == status and redemption.is_time and reserved and not redemption.is_parked


def _announce(pk: UUID) -> None:
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        tries = redemption.completion_tries + 1
        if not _may_complete(redemption):
            return
        if tries > conf.completion_max_tries + 1:
            # Calls that were made and never came back, not even to say that they failed.
            trail = Trail(WORKER, redemption.read_at)
            park(redemption, trail, redemption.completion_tries)
            trail.write()
        else:
            redemption.move(at=redemption.read_at, completion_tries=tries, due_at=redemption.read_at + backoff(tries))


def _complete(pk: UUID, *, announced: bool) -> Redemption:
    """Check once more, call the host and note the outcome, in one transaction. Raises: _Unspent.

    Where the call was not announced there is no savepoint, and a failure is noted elsewhere: it undoes all that such a
    call did. What an announced one did beyond this database is not undone, so nobody else may call between a failure
    and its note: a refusal noted over another call's unknown outcome would give back what that one may have spent.
    """
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        if not _may_complete(redemption):
            return redemption
        trail = Trail(WORKER, redemption.read_at)
        refusal = _refusal(redemption, trail, is_first=redemption.completion_tries <= announced)
        if refusal is not None:
            _refuse(redemption, refusal, trail, announced=announced)
            return redemption
        if announced:
            failure = calls.attempt(get_backend().complete, redemption)
            if failure is not None:
                _unspent(redemption, failure, trail, announced=True)
                return redemption
        else:
            _call_unannounced(redemption)
        notices.of_redemption("redemption.completed", redemption, redemption.message_switches, trail)
        with writes.together():
            _completed(redemption, trail)
            trail.write()
    return redemption


def _call_unannounced(redemption: Redemption) -> None:
    try:
        get_backend().complete(redemption)
        calls.ensure_kept()
    except Exception as error:
        raise _Unspent(error, redemption.version) from error


def _refuse(redemption: Redemption, refusal: RedemptionRefused, trail: Trail, *, announced: bool) -> None:
    if redemption.completion_tries > announced:
        # An earlier call may have spent the points: giving them back now would pay twice. A person must look.
        park(redemption, trail, redemption.completion_tries)
    else:
        _failed(redemption, refusal, trail)
    trail.write()


def _record_failure(pk: UUID, error: Exception, *, announced: bool) -> Redemption:
    """Note what the host raised, in a transaction of its own; somebody else may have completed it meanwhile."""
    failure = error.failure if isinstance(error, _Unspent) else error
    if not isinstance(failure, RedemptionRefused):
        logger.warning("complete of redemption %s failed", pk, exc_info=failure)
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        if _may_complete(redemption):
            if isinstance(error, _Unspent) and error.version != redemption.version:
                # Somebody else has called meanwhile, and it is theirs, the later outcome, that counts.
                failure = TemporaryFailure()
            _unspent(redemption, failure, Trail(WORKER, redemption.read_at), announced=announced)
    return redemption


def _unspent(redemption: Redemption, failure: Exception, trail: Trail, *, announced: bool) -> None:
    if isinstance(failure, RedemptionRefused):
        _failed(redemption, failure, trail)
    else:
        postpone(redemption, trail, "redemption.completion_postponed", parks=True, announced=announced)
    trail.write()


def _refusal(redemption: Redemption, trail: Trail, *, is_first: bool) -> RedemptionRefused | None:
    """Return why the gate stays shut. Single, batch, scheduled, staff and exempt redemptions all come through here.

    The digest is computed once more from the row: a change made after the approval is refused as one made before it.
    Between an approval and the time of a schedule lie days: whatever was asked for then is asked for again.
    """
    if not (redemption.is_as_approved() and _is_confirmed(redemption)):
        logger.error("redemption %s is not what was approved", redemption.pk)
        trail.add("redemption.tampered", redemption)
        return RedemptionRefused(Failure.TRANSACTION_CHANGED)
    if not redemption.is_active:
        return RedemptionRefused(Failure.NOT_ACTIVE)
    if redemption.executable_until is None:
        return None
    if is_first and redemption.read_at > redemption.executable_until:
        return RedemptionRefused(Failure.SCHEDULE_MISSED)
    participant = Participant.objects.select_related("campaign").get(pk=redemption.participant_id)
    unproved = onboarding.refusal(participant)
    return None if unproved is None else RedemptionRefused(Failure.ONBOARDING_INCOMPLETE)


def _is_confirmed(redemption: Redemption) -> bool:
    """Tell whether a right token is stored for it, its own or its batch's, where one was asked for.

    Its digest is no secret, and stands with its challenge from the beginning: whoever writes to this table alone, by an
    injection or a bug, can call it approved. What was read with the lock may be of before the wait for it, so that a
    no is asked again.
    """
    if redemption.is_confirmed:
        return True
    of_it = Q(redemption=redemption.pk) | Q(batch__isnull=False, batch=redemption.batch_id)
    return Challenge.objects.filter(of_it, status=Challenge.Status.APPROVED).exists()


def _completed(redemption: Redemption, trail: Trail) -> None:
    redemption.move(
        at=trail.at,
        status=Status.COMPLETED,
        points=Points.COMPLETED,
        completed_at=trail.at,
        due_at=None,
    )
    trail.add("redemption.completed", redemption)


def _failed(redemption: Redemption, refusal: RedemptionRefused, trail: Trail) -> None:
    redemption.move(
        at=trail.at,
        status=Status.FAILED,
        failure_code=refusal.reason[:64],
        # Of the completion: the release that follows has tries, and pauses between them, of its own.
        completion_tries=0,
        due_at=trail.at,
        parked_at=None,
    )
    trail.add("redemption.failed", redemption, reason=refusal.reason[:64])


def drive(pk: UUID) -> None:
    """Do what is due for one redemption: reserve, complete or release."""
    redemption = _put_off(pk)
    if batch_reservations.drive(redemption):
        return
    if redemption.points == Points.NONE:
        try:
            redemption = reservations.reserve_remote(pk)
        except RedemptionRefused as refusal:
            logger.info("redemption %s was refused: %s", pk, refusal.reason)
            return
    if redemption.is_final:
        reservations.release(pk)
    elif redemption.status in Redemption.COMPLETABLE:
        complete(pk)


def _put_off(pk: UUID) -> Redemption:
    """Put the next call off before this one: a host that kills its process must not keep all others waiting."""
    with transaction.atomic(durable=True):
        redemption = locked(pk)
        waits = redemption.status == Status.SCHEDULED and not redemption.is_parked
        if redemption.due_at is not None and not waits and not _may_complete(redemption):
            redemption.move(at=redemption.read_at, due_at=redemption.read_at + backoff(redemption.completion_tries))
    return redemption
