"""The one place where a typed token is judged: redemptions, devices and logins all end here.

Every function is called inside the caller's transaction, with the challenge locked, and *returns* its verdict. Raising
would roll the charged attempt back with everything else, and give the guess for free.
"""

from __future__ import annotations

from datetime import datetime

from django.views.decorators.debug import sensitive_variables

from twofa import alerts, correlation, tokens
from twofa.alerts import Alert
from twofa.exceptions import (
    ApproverNotEntitled,
    AttemptsExhausted,
    ChallengeClosed,
    FailedAttemptsBudget,
    NotActive,
    OnboardingIncomplete,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenSuperseded,
    TransactionChanged,
    TwoFactorError,
)
from twofa.flows import failures, issuing, recipients, recovery_codes, unbound
from twofa.flows.facts import ATTEMPT_FAILED, Standing
from twofa.flows.history import Trail, explained
from twofa.flows.next_actions import HELD, NextAction, of_challenge
from twofa.flows.transactions import after_commit
from twofa.models import DIGESTS_OF_ORDERS, Challenge, Failure, Purpose, Verdict

logger = correlation.get_logger(__name__)


@sensitive_variables()
def attempt(
    challenge: Challenge, given: object, *, digest: bytes, standing: Standing, trail: Trail
) -> TwoFactorError | None:
    """Judge one token against a pending challenge, charge the attempt, and write what follows; None means approved.

    What has the wrong form, comes too late or from somebody who may not is refused before anything is compared, and
    costs nothing. Everything else costs one attempt in the same commit as its verdict.
    """
    at = standing.at
    if challenge.is_past_deadline(at):
        end(challenge, Challenge.Status.EXPIRED, at=at, trail=trail)
        return ChallengeClosed(challenge=challenge)
    if not tokens.is_sealed([bytes(challenge.transaction_digest)], digest):
        return _tampered(challenge, at, trail)
    recovery = unbound.as_recovery_code(challenge, given)
    refusal = _refusal_of_people(standing) if recovery else _refusal(challenge, standing)
    if refusal is not None:
        return refusal
    if recovery:
        return _recover(challenge, recovery, trail)
    token, verdict = _judged(challenge, given, trail)
    if isinstance(verdict, TwoFactorError):
        return verdict
    if verdict is Verdict.RIGHT:
        failures.forget(challenge, standing)
        _approve(challenge, token, at=at, trail=trail)
        return None
    failures.count(challenge, standing, trail)
    return _charge(challenge, verdict, at=at, trail=trail)


@sensitive_variables()
def _judged(challenge: Challenge, given: object, trail: Trail) -> tuple[str, Verdict | TwoFactorError]:
    """Return what was typed in its one spelling, and what comparing it said, or why nothing was compared."""
    try:
        token = challenge.normalise(given)
        if challenge.is_token_expired(trail.at):
            return "", _expired(challenge, trail.at)
        return token, unbound.judge(challenge, token, trail) if challenge.is_unbound else challenge.judge(token)
    except TokenMalformed as error:
        return "", error
    except tokens.UnknownKey:
        # The key was revoked, or this database is a copy in another installation: what it sealed cannot be judged.
        return "", _expired(challenge, trail.at)


@sensitive_variables()
def _recover(challenge: Challenge, code: str, trail: Trail) -> TwoFactorError | None:
    """Judge a recovery code: for who lost every device, so whether these may be used does not matter.

    A wrong one costs an attempt of the challenge, and nothing of the device that it was sent to.
    """
    if challenge.participant is not None and recovery_codes.take(challenge.participant, code, trail):
        _approve(challenge, code, at=trail.at, trail=trail)
        return None
    return _charge(challenge, Verdict.WRONG, at=trail.at, trail=trail)


@sensitive_variables()
def replay(challenge: Challenge, given: object) -> TwoFactorError | None:
    """Judge a token against a challenge that has ended: None where it is the one that approved it."""
    try:
        token = unbound.as_recovery_code(challenge, given) or challenge.normalise(given)
    except TokenMalformed as error:
        return error
    if not challenge.was_accepted(token):
        return ChallengeClosed(challenge=challenge)
    # Answered with the stored state, because a storefront may repeat what it got no answer to; but who else has it?
    alerts.sound(Alert.TOKEN_REUSED, challenge=challenge.pk, redemption=challenge.redemption_id)
    return None


def end(
    challenge: Challenge,
    status: Challenge.Status,
    *,
    at: datetime,
    trail: Trail,
    attempts: int | None = None,
    reason: str = "",
) -> None:
    """End a challenge without approval; its seeds are erased in the same UPDATE."""
    challenge.change(
        status=status,
        attempts=challenge.attempts if attempts is None else attempts,
        guard=("attempts",),
        seed=None,
        superseded=b"",
        ended_at=at,
    )
    trail.add(f"challenge.{status.value}", challenge, attempts=challenge.attempts, **explained(reason))


def failure_code(challenge: Challenge, reason: str) -> str:
    """Return why that ends which waited for a challenge; empty where its status says it all.

    ``reason`` is that of the event, empty where tokens were judged. Whoever sold something must know which it was: a
    participant who mistyped may order anew, one who never asked must not be asked again.
    """
    if challenge.status == Challenge.Status.REJECTED and not reason:
        return Failure.ATTEMPTS_EXHAUSTED
    return code_of(reason)


def code_of(reason: str) -> str:
    """Return a reason where it is a code of ours, and not a text that reads like one.

    What staff wrote is for staff, and may name anybody.
    """
    return reason if isinstance(reason, Failure) else ""


def _approve(challenge: Challenge, token: str, *, at: datetime, trail: Trail) -> None:
    challenge.change(
        status=Challenge.Status.APPROVED,
        attempts=challenge.attempts + 1,
        guard=("attempts", "generation"),
        seed=None,
        superseded=b"",
        accepted=challenge.seal("accepted", token),
        ended_at=at,
    )
    trail.add("challenge.approved", challenge, attempts=challenge.attempts, generation=challenge.generation)


def _charge(challenge: Challenge, verdict: Verdict, *, at: datetime, trail: Trail) -> TwoFactorError:
    charged = challenge.attempts + 1
    trail.add(ATTEMPT_FAILED, challenge, verdict=verdict.value, attempts=charged, generation=challenge.generation)
    if charged >= challenge.max_attempts:
        because = Failure.ATTEMPTS_EXHAUSTED
        end(challenge, Challenge.Status.REJECTED, at=at, trail=trail, attempts=charged, reason=because)
        return AttemptsExhausted(attempts_remaining=0, challenge=challenge)
    challenge.change(attempts=charged, guard=("attempts", "generation"))
    refused = TokenSuperseded if verdict is Verdict.SUPERSEDED else TokenInvalid
    return refused(attempts_remaining=challenge.attempts_remaining)


def _refusal(challenge: Challenge, standing: Standing) -> TwoFactorError | None:
    """Return why nobody may answer now. Checked here again, because much may change between checkout and confirm."""
    refusal = _refusal_of_people(standing)
    if refusal is not None:
        return refusal
    if not standing.approver_entitled:
        return ApproverNotEntitled()
    try:
        issuing.ensure_attempts_left(standing.failed_attempts, challenge.campaign, challenge.participant_id)
    except FailedAttemptsBudget as error:
        return error
    proves_itself = challenge.action == Challenge.Action.VERIFY or challenge.purpose == Purpose.CONTACT
    # Of an app, or another's device, it is asked by whoever judges its code.
    proves_itself = proves_itself or challenge.is_unbound
    if standing.device_held or not (proves_itself or standing.device_usable):
        action = HELD if standing.device_held else NextAction("onboarding")
        lacking = OnboardingIncomplete(missing=["device"], next_action=action)
        return lacking if recipients.approver_of(challenge) is None else recipients.of_approver(lacking)
    return None


def _refusal_of_people(standing: Standing) -> TwoFactorError | None:
    return None if standing.campaign_active and standing.participant_active else NotActive()


def _expired(challenge: Challenge, at: datetime) -> TokenExpired:
    return TokenExpired(attempts_remaining=challenge.attempts_remaining, next_action=of_challenge(challenge, at))


def _tampered(challenge: Challenge, at: datetime, trail: Trail) -> TransactionChanged:
    logger.error("the row of challenge %s is not what its token was issued for", challenge.pk)
    end(challenge, Challenge.Status.CANCELLED, at=at, trail=trail, reason=Failure.TRANSACTION_CHANGED)
    if challenge.purpose not in DIGESTS_OF_ORDERS:
        # An order's own event tells it, in every place where it may be found out.
        after_commit(alerts.sound, Alert.TRANSACTION_TAMPERED, challenge=challenge.pk)
    return TransactionChanged(challenge=challenge)
