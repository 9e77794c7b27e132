"""The one tree of errors: stable codes, no HTTP.

``api/errors.py`` maps each code to a status. Leaves are raised, the classes above them are caught.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class TwoFactorError(Exception):
    """Root of every error of this package; never raised itself.

    ``code`` is stable and part of the contract, ``params`` are the extension members of the answer.
    """

    code: ClassVar[str]
    default_detail: ClassVar[StrPromise]

    def __init__(self, detail: str | StrPromise | None = None, **params: Any) -> None:
        self.detail = self.default_detail if detail is None else detail
        self.params = params
        super().__init__(self.code)


class InputError(TwoFactorError):
    """What the caller sent cannot be used; nothing was looked at beyond it."""


class Invalid(InputError):
    code = "invalid"
    default_detail = _("Some fields are not valid. Correct them and send the request again.")

    @classmethod
    def field(cls, field: str, code: str, detail: str | StrPromise) -> Invalid:
        """Build the error of a single field."""
        return cls(errors=[{"field": field, "code": code, "detail": detail}])


class TokenMalformed(InputError):
    code = "token_malformed"
    default_detail = _("This is not a token: check its length and characters. No attempt was charged.")


class NotFound(TwoFactorError):
    """Absent, or not the caller's: one answer, so that nobody learns which ids exist."""

    code = "not_found"
    default_detail = _("There is nothing here, or it is not yours.")


class NotAuthenticated(TwoFactorError):
    code = "not_authenticated"
    default_detail = _("Send a valid key as “Authorization: Bearer <key>”.")


class ScopeMissing(TwoFactorError):
    """The key or token is good, and was issued for another part of the API; ``scope`` is the one that is missing."""

    code = "permission_denied"
    default_detail = _("This key or token is not for this part of the API. See “scope”.")


class InvalidCredentials(TwoFactorError):
    """Unknown name, wrong password, no participant, switched off: one answer, so that nobody learns who is known."""

    code = "invalid_credentials"
    default_detail = _("The name or the password is wrong.")


class TokenRequired(TwoFactorError):
    """The password was right, and the token is asked for as well: ``challenge`` is the one that it answers."""

    code = "token_required"
    default_detail = _("The password is right. Send it once more, with the participant's token.")

    def __init__(self, challenge: Any) -> None:
        self.method: str = challenge.channel
        super().__init__(challenge=challenge)


class NotActive(TwoFactorError):
    """The campaign, or the participant, was switched off by staff."""

    code = "permission_denied"
    default_detail = _("The campaign or the participant is not active. Ask the campaign's staff.")


class ConflictError(TwoFactorError):
    """The request is well formed, but the state of things does not allow it."""


class OnboardingIncomplete(ConflictError):
    """``external_id`` tells whose onboarding it is, where the caller named somebody by other means."""

    code = "onboarding_incomplete"
    default_detail = _("The participant must finish onboarding first. See “missing”.")
    external_id: str | None = None


class OrderConflict(ConflictError):
    code = "order_conflict"
    default_detail = _("This order id or request id is in use for something else. Use a new one.")


class ChallengeClosed(ConflictError):
    code = "challenge_closed"
    default_detail = _("This challenge has ended. See the state of what it was for before you start again.")


class WrongState(ConflictError):
    code = "wrong_state"
    default_detail = _("Its present state does not allow this. Read it again and follow “next_action”.")


class PurposeMismatch(ConflictError):
    code = "purpose_mismatch"
    default_detail = _("A token is answered only at the path of the resource that it was issued for.")


class TransactionChanged(ConflictError):
    code = "transaction_changed"
    default_detail = _("This is not the transaction that the token was issued for.")


class RefusedError(TwoFactorError):
    """A verdict: understood, looked at, refused."""


class TokenRefused(RefusedError):
    """The token does not approve the challenge."""


class TokenInvalid(TokenRefused):
    code = "token_invalid"
    default_detail = _("Wrong token. Look at the last message, or at the app, and try again.")


class TokenSuperseded(TokenRefused):
    code = "token_superseded"
    default_detail = _("This token was replaced by a newer one. Use the last message.")


class TokenExpired(TokenRefused):
    code = "token_expired"
    default_detail = _("This token has expired. Ask for a new one. No attempt was charged.")


class AttemptsExhausted(TokenRefused):
    code = "attempts_exhausted"
    default_detail = _("Too many wrong tokens. The operation was rejected; start again with a new request.")


class RedemptionRefused(RefusedError):
    """Raised by a fulfillment backend: a permanent no. ``reason`` is a short stable word."""

    code = "redemption_refused"
    default_detail = _("The redemption was refused by the loyalty programme.")

    def __init__(self, reason: str = "refused", detail: str | StrPromise | None = None) -> None:
        # The host's, so it may be anything; ours to store, and no database takes a NUL or half a character.
        self.reason = str(reason or "refused").replace("\0", "").encode(errors="replace").decode()
        super().__init__(detail, reason=self.reason)


class ApproverNotEntitled(RefusedError):
    """Unknown, of another campaign, expired, revoked, over the limit or the requester: one answer.

    Whoever may open redemptions must not learn by trying numbers who is a member, and who approves for whom.
    """

    code = "approver_not_entitled"
    default_detail = _("Nobody who may approve this was found. Ask the campaign's staff.")


class ChannelUnavailable(RefusedError):
    code = "channel_unavailable"
    default_detail = _("There is no usable device on that channel, or the campaign does not allow it.")


class DestinationNotAllowed(RefusedError):
    code = "destination_not_allowed"
    default_detail = _("The campaign does not send tokens to that destination.")


class IdempotencyKeyReused(RefusedError):
    code = "idempotency_key_reused"
    default_detail = _("This Idempotency-Key was used with another request. Use a new key.")


class IdempotencyInProgress(ConflictError):
    code = "idempotency_in_progress"
    default_detail = _("A request with this Idempotency-Key is still running. Repeat it in a moment.")


class Limited(TwoFactorError):
    """A budget or a cooldown says: not now. ``retry_after`` is in seconds, or None where waiting does not help."""

    def __init__(self, retry_after: int | None, detail: str | StrPromise | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(detail, retry_after=retry_after)


class ResendCooldown(Limited):
    code = "resend_cooldown"
    default_detail = _("The last message was sent a moment ago. Wait before asking for another.")


class ResendsExhausted(Limited):
    code = "resends_exhausted"
    default_detail = _("No more messages can be sent for this operation. Use the last token or start again.")


class TooManyOpenChallenges(Limited):
    code = "too_many_open_challenges"
    default_detail = _("Too many operations wait for a token. Confirm or cancel one of them first.")


class FailedAttemptsBudget(Limited):
    code = "failed_attempts_budget"
    default_detail = _("Too many wrong tokens in the last 24 hours. Try again later.")


class SendBudget(Limited):
    code = "send_budget"
    default_detail = _("Too many messages were sent in the last 24 hours. Try again later.")


class DocumentQuota(Limited):
    code = "document_quota"
    default_detail = _("Too many files were sent for this participant. Wait for the review, or try again tomorrow.")


class Throttled(Limited):
    code = "throttled"
    default_detail = _("Too many requests. Try again later.")


class Unavailable(Limited):
    code = "unavailable"
    default_detail = _("The service cannot answer now. Repeat the request in a moment.")


class StorageUnavailable(Unavailable):
    """The storage of documents failed, or no key to seal them with is configured. Nothing was accepted."""

    default_detail = _("Documents cannot be stored or read now. Send the file again in a moment.")


class ScannerUnavailable(Unavailable):
    """No scanner has said that the file is clean, and so it is not accepted: never the other way round."""

    default_detail = _("The file could not be scanned now. Send it again in a moment.")


class DocumentUnreadable(TwoFactorError):
    """A stored document cannot be opened: its key is gone, or its bytes are not those that were sealed.

    Repeating does not help. Told to staff; no file is ever served by the API.
    """

    code = "document_unreadable"
    default_detail = _("This document cannot be opened: its key is gone, or the stored file was changed.")


class TransitionRefused(TwoFactorError):
    """A state machine was asked for a step that is not in its table: a bug, or a race that the guard caught."""

    code = "transition_refused"
    default_detail = _("That change of state is not allowed.")


class PolicyRefused(TwoFactorError):
    """Staff asked for something that the rules of the product do not allow; ``detail`` says why."""

    code = "policy_refused"
    default_detail = _("That is not allowed.")


class KeyMissing(TwoFactorError):
    """What has to be read is sealed under a key that has left the ring. ``kid`` is the key's id.

    Not the same as broken: the seal may be as it was made, and with the key it can be said.
    """

    code = "key_missing"
    default_detail = _("A key that is needed is not in TWOFA_TOKEN_KEYS.")

    def __init__(self, kid: str) -> None:
        self.kid = kid
        detail = _(
            "The audit trail was sealed with the key “%(kid)s”, which is not in TWOFA_TOKEN_KEYS. Put it back at the "
            "end of the ring, for this command at least, and run it again. Nothing was done that needs it."
        )
        super().__init__(str(detail) % {"kid": kid}, kid=kid)


class TemporaryFailure(TwoFactorError):
    """Raised by a fulfillment backend: the outcome is unknown or a retry may help."""

    code = "temporary_failure"
    default_detail = _("The loyalty programme could not answer.")


class DeliveryError(TwoFactorError):
    """Raised by a channel, and the only thing it may raise.

    ``reason`` is a short stable word for staff and the API, never a provider's own text, which may carry the token
    or the address back. ``retryable`` tells a temporary failure from a permanent one.
    """

    code = "delivery_error"
    default_detail = _("The message could not be delivered.")

    def __init__(self, reason: str, *, retryable: bool) -> None:
        self.reason = reason
        self.retryable = retryable
        super().__init__(reason=reason)

    def __str__(self) -> str:
        return f"{self.reason} ({'temporary' if self.retryable else 'permanent'})"


class ReceiptRefused(TwoFactorError):
    """Raised by a channel: its provider did not sign this delivery receipt, or signed it too long ago."""

    code = "permission_denied"
    default_detail = _("The signature of this receipt is not valid.")


class ReceiptUnreadable(InputError):
    """Raised by a channel: its provider signed this delivery receipt, but it says nothing that is understood."""

    code = "malformed"
    default_detail = _("This receipt could not be read.")


def forget_variables(error: BaseException | None) -> None:
    """Empty the frames that an error has left, and those of the errors that it was raised over.

    Django's mark for sensitive variables is honoured by Django's reports, and by them only as far as no generator lies
    between. Other reporters of errors serialise what the frames hold: typed tokens, seeds, keys, a driver's parameters.
    Where an error leaves us, they hold nothing any more.
    """
    told: set[int] = set()
    waiting = [error]
    while waiting:
        present = waiting.pop()
        if present is None or id(present) in told:
            continue
        told.add(id(present))
        traceback.clear_frames(present.__traceback__)
        waiting += [present.__cause__, present.__context__]
