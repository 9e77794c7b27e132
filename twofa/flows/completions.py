"""The host's points: the one gate before they are spent, and the way back.

No call into the host shares a transaction with a verdict, and what it did is undone where it fails.
``RedemptionRefused`` is a permanent no; anything else that is raised is an unknown outcome, which is tried again and
never given back by the machine.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import BooleanField, DateTimeField

from twofa import correlation, jobs
from twofa.conf import conf
from twofa.exceptions import NotFound, RedemptionRefused, TemporaryFailure, WrongState
from twofa.flows import calls, issuing, verdicts
from twofa.flows.history import WORKER, Actor, Trail
from twofa.fulfillment import get_backend
from twofa.models import Campaign, Challenge, CompletionMode, Participant, Redemption, statements, writes

logger = correlation.get_logger(__name__)

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(hours=1)
GRACE = timedelta(seconds=30)
"""How long whoever approved a redemption has to complete it before the sweeper does."""

Status, Points = Redemption.Status, Redemption.Points
_LOCKED = statements.Select(
    """FROM {redemption} JOIN {campaign} ON campaign.id = redemption.campaign_id
    JOIN {participant} ON participant.id = redemption.participant_id
    JOIN {account} ON account.{account_key} = participant.user_id WHERE redemption.id = %(pk)s""",
    redemption=Redemption,
    joined={"campaign": Campaign, "participant": Participant, "account": get_user_model()},
    extra={
        "at": ("{clock}", DateTimeField()),
        "campaign_active": ("campaign.is_active", BooleanField()),
        "participant_active": ("participant.is_active", BooleanField()),
        "user_active": ("{account_active}", BooleanField()),
    },
    lock=("redemption",),
)


def backoff(tries: int) -> timedelta:
    """Return the pause after ``tries`` failures: doubled each time, with jitter, so that a crowd spreads."""
    jitter: float = 1 + secrets.randbelow(250) / 1000
    doublings: int = 2 ** min(tries, 12)
    return min(FIRST_DELAY * doublings, LONGEST_DELAY) * jitter


def finish(redemption: Redemption, *, mode: str) -> Redemption:
    """Complete an approved redemption as its campaign wants: in this request, or by a worker."""
    if mode == CompletionMode.SYNC:
        return complete(redemption.pk, presented=redemption)
    jobs.publish(jobs.COMPLETE, redemption.pk)
    return redemption


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
        redemption = _with_known(_complete(pk, announced=announced), presented)
    except Exception as error:  # noqa: BLE001 - the host's, or of a commit that failed by what the host did
        redemption = _with_known(_record_failure(pk, error, announced=announced), presented)
    if redemption.status == Status.FAILED and redemption.points == Points.RESERVED:
        redemption = _with_known(release(pk), redemption)
    return redemption


class _Unspent(Exception):
    """The host's backend failed: raised through the transaction, so that nothing which it did is kept."""

    def __init__(self, failure: Exception, version: int) -> None:
        super().__init__(failure)
        self.failure, self.version = failure, version


def _may_complete(redemption: Redemption) -> bool:
    reserved = redemption.points == Points.RESERVED
    return redemption.status == Status.APPROVED and reserved and not redemption.is_parked


def _announce(pk: UUID) -> None:
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        tries = redemption.completion_tries + 1
        if not _may_complete(redemption):
            return
        if tries > conf.completion_max_tries + 1:
            # Calls that were made and never came back, not even to say that they failed.
            trail = Trail(WORKER, redemption.read_at)
            _park(redemption, trail, redemption.completion_tries)
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
        redemption = _locked(pk)
        if not _may_complete(redemption):
            return redemption
        trail = Trail(WORKER, redemption.read_at)
        refusal = _refusal(redemption, trail)
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
        _park(redemption, trail, redemption.completion_tries)
    else:
        _failed(redemption, refusal, trail)
    trail.write()


def _record_failure(pk: UUID, error: Exception, *, announced: bool) -> Redemption:
    """Note what the host raised, in a transaction of its own; somebody else may have completed it meanwhile."""
    failure = error.failure if isinstance(error, _Unspent) else error
    if not isinstance(failure, RedemptionRefused):
        logger.warning("complete of redemption %s failed", pk, exc_info=failure)
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
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
        _postpone(redemption, trail, "redemption.completion_postponed", parks=True, announced=announced)
    trail.write()


def _refusal(redemption: Redemption, trail: Trail) -> RedemptionRefused | None:
    """Return why the gate stays shut. Single, batch, scheduled, staff and exempt redemptions all come through here.

    The digest is computed once more from the row: a change made after the approval is refused as one made before it.
    """
    if not redemption.is_as_approved():
        logger.error("redemption %s is not what was approved", redemption.pk)
        trail.add("redemption.tampered", redemption)
        return RedemptionRefused("transaction_changed")
    if not redemption.is_active:
        return RedemptionRefused("not_active")
    return None


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


def _park(redemption: Redemption, trail: Trail, tries: int) -> None:
    redemption.move(at=trail.at, completion_tries=tries, due_at=None, parked_at=trail.at)
    trail.add("redemption.parked", redemption, tries=tries)


def _postpone(redemption: Redemption, trail: Trail, event: str, *, parks: bool, announced: bool = False) -> None:
    """Try again later; after the last try park it in sight of staff, where no deadline ends it."""
    tries = redemption.completion_tries + (not announced)
    if parks and tries >= conf.completion_max_tries:
        _park(redemption, trail, tries)
        return
    redemption.move(at=trail.at, completion_tries=tries, due_at=trail.at + backoff(tries - 1))
    trail.add(event, redemption, tries=tries)


def release(pk: UUID) -> Redemption:
    """Give the points of one ended redemption back, or do nothing where none are held.

    A failure changes no verdict: the sweeper tries again until it succeeds.
    """
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        if redemption.points == Points.RESERVED and redemption.is_final and redemption.status != Status.COMPLETED:
            _release_locked(redemption)
    return redemption


def _release_locked(redemption: Redemption) -> None:
    trail = Trail(WORKER, redemption.read_at)
    failure = calls.attempt(get_backend().release, redemption)
    if failure is None:
        redemption.move(at=trail.at, points=Points.RELEASED, due_at=None)
        trail.add("points.released", redemption)
    else:
        _postpone(redemption, trail, "points.release_postponed", parks=False)
    trail.write()


def reserve_remote(pk: UUID) -> Redemption:
    """Ask a remote ledger to set the points aside, after the checkout's commit; the token is sent when it has.

    Raises: RedemptionRefused, after the redemption was ended with that reason.
    """
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        refusal = None
        if redemption.points == Points.NONE and redemption.status in (Status.PENDING, Status.APPROVED):
            refusal = _reserve_locked(redemption)
    if refusal is not None:
        raise refusal
    return redemption


def _reserve_locked(redemption: Redemption) -> RedemptionRefused | None:
    at = redemption.read_at
    trail = Trail(WORKER, at)
    challenge = _locked_challenge(redemption)
    failure = calls.attempt(get_backend().reserve, redemption)
    if failure is None:
        waits = redemption.status == Status.PENDING
        redemption.move(at=at, points=Points.RESERVED, completion_tries=0, due_at=None if waits else at + GRACE)
        trail.add("points.reserved", redemption)
        if challenge is not None and not challenge.is_final:
            issuing.let_go(challenge, at=at)
    elif isinstance(failure, RedemptionRefused):
        _refused_remotely(redemption, challenge, failure, trail)
    else:
        _postpone(redemption, trail, "points.reserve_postponed", parks=redemption.status == Status.APPROVED)
    trail.write()
    return failure if isinstance(failure, RedemptionRefused) else None


def _refused_remotely(
    redemption: Redemption, challenge: Challenge | None, refusal: RedemptionRefused, trail: Trail
) -> None:
    if challenge is not None and not challenge.is_final:
        verdicts.end(challenge, Challenge.Status.CANCELLED, at=trail.at, trail=trail)
        issuing.supersede(challenge, trail)
    ended = Status.CANCELLED if redemption.status == Status.PENDING else Status.FAILED
    redemption.move(at=trail.at, status=ended, failure_code=refusal.reason[:64], due_at=None)
    trail.add(f"redemption.{ended.value}", redemption, reason=refusal.reason[:64])


def drive(pk: UUID) -> None:
    """Do what is due for one redemption: reserve, complete or release."""
    redemption = _put_off(pk)
    if redemption.points == Points.NONE:
        try:
            redemption = reserve_remote(pk)
        except RedemptionRefused as refusal:
            logger.info("redemption %s was refused: %s", pk, refusal.reason)
            return
    if redemption.is_final:
        release(pk)
    elif redemption.status == Status.APPROVED:
        complete(pk)


def _put_off(pk: UUID) -> Redemption:
    """Put the next call off before this one: a host that kills its process must not keep all others waiting."""
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        if redemption.due_at is not None and not _may_complete(redemption):
            redemption.move(at=redemption.read_at, due_at=redemption.read_at + backoff(redemption.completion_tries))
    return redemption


def retry_completion(pk: UUID, *, actor: Actor, reason: str) -> Redemption:
    """Try a parked completion again, by a member of staff. Raises: WrongState."""
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        if not redemption.is_parked:
            raise WrongState(redemption=redemption)
        # Not 0: that calls were made stays known, so that no refusal of ours gives back what one may have spent.
        redemption.move(at=redemption.read_at, parked_at=None, completion_tries=1, due_at=redemption.read_at)
        trail = Trail(actor, redemption.read_at)
        trail.add("redemption.completion_retried", redemption, reason=reason)
        trail.write()
    drive(pk)
    return Redemption.objects.select_related("campaign", "participant").get(pk=pk)


def fail_parked(pk: UUID, *, actor: Actor, reason: str) -> Redemption:
    """Fail a parked completion and give the points back, by a member of staff who looked. Raises: WrongState."""
    with transaction.atomic(durable=True):
        redemption = _locked(pk)
        if not redemption.is_parked:
            raise WrongState(redemption=redemption)
        at = redemption.read_at
        if redemption.points == Points.NONE:
            # A remote reserve may have succeeded without our hearing of it: release is asked for, to be sure.
            redemption.move(at=at, points=Points.RESERVED)
        redemption.move(
            at=at,
            status=Status.FAILED,
            failure_code="failed_by_staff",
            completion_tries=0,
            due_at=at,
            parked_at=None,
        )
        trail = Trail(actor, at)
        trail.add("redemption.failed", redemption, reason=reason)
        trail.write()
    return release(pk)


def _locked(pk: UUID) -> Redemption:
    """Return the redemption, locked, and the time.

    The time is read with the lock, so it may be of before the wait for it: good enough here, where it dates what was
    decided already, and is compared with no deadline.
    """
    row = _LOCKED.row(pk=pk)
    if row is None:
        raise NotFound
    redemption: Redemption = row["redemption"]
    redemption.read_at = row["at"]
    redemption.is_active = row["campaign_active"] and row["participant_active"] and row["user_active"]
    return redemption


def _locked_challenge(redemption: Redemption) -> Challenge | None:
    if not redemption.two_factor_required:
        return None
    return Challenge.objects.select_for_update(no_key=True).get(redemption=redemption)


def _with_known(redemption: Redemption, known: Redemption | None) -> Redemption:
    """Spare the queries for what the caller's copy of the row has loaded: its campaign, participant and challenge."""
    if known is None:
        return redemption
    cache = known._state.fields_cache
    for name in ("campaign", "participant", "storefront"):
        # Only where it is still the same one: a row written to by hand may point elsewhere.
        if name in cache and getattr(known, f"{name}_id") == getattr(redemption, f"{name}_id"):
            redemption._state.fields_cache[name] = cache[name]
    if "challenge" in cache:
        redemption._state.fields_cache["challenge"] = cache["challenge"]
    return redemption
