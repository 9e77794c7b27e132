"""Problems: the one table from our codes to HTTP, and how an error looks on the wire (RFC 9457).

Nothing of an unexpected exception is shown: its text may hold SQL, a path or an address (OWASP ASVS 16.5.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions as drf

from twofa.api import presenters
from twofa.api.links import Links
from twofa.exceptions import (
    InputError,
    NotAuthenticated,
    NotFound,
    ScopeMissing,
    TemporaryFailure,
    Throttled,
    TokenMalformed,
    TokenRequired,
    TransitionRefused,
    TwoFactorError,
    Unavailable,
    WrongState,
)
from twofa.flows.next_actions import NextAction
from twofa.models import Challenge, Redemption, RedemptionBatch

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds to wait where the database cannot be reached: about what a failover takes."""


class Row(NamedTuple):
    """What a code means in HTTP: its status, and a title that is the same for every occurrence."""

    status: int
    title: str | StrPromise


TABLE: dict[str, Row] = {
    "invalid": Row(400, _("Invalid fields")),
    "malformed": Row(400, _("Malformed request")),
    "token_malformed": Row(400, _("Malformed token")),
    "not_authenticated": Row(401, _("Not authenticated")),
    "invalid_credentials": Row(401, _("Wrong name or password")),
    "token_required": Row(401, _("Token required")),
    "permission_denied": Row(403, _("Not allowed")),
    "not_found": Row(404, _("Not found")),
    "method_not_allowed": Row(405, _("Method not allowed")),
    "not_acceptable": Row(406, _("Not acceptable")),
    "onboarding_incomplete": Row(409, _("Onboarding incomplete")),
    "order_conflict": Row(409, _("Order id already used")),
    "challenge_closed": Row(409, _("Challenge closed")),
    "wrong_state": Row(409, _("Wrong state")),
    "purpose_mismatch": Row(409, _("Token of another purpose")),
    "transaction_changed": Row(409, _("Transaction changed")),
    "idempotency_in_progress": Row(409, _("Still running")),
    "payload_too_large": Row(413, _("Payload too large")),
    "unsupported_media_type": Row(415, _("Unsupported media type")),
    "token_invalid": Row(422, _("Wrong token")),
    "token_superseded": Row(422, _("Superseded token")),
    "token_expired": Row(422, _("Expired token")),
    "attempts_exhausted": Row(422, _("Attempts exhausted")),
    "redemption_refused": Row(422, _("Redemption refused")),
    "approver_not_entitled": Row(422, _("Approver not entitled")),
    "channel_unavailable": Row(422, _("Channel unavailable")),
    "destination_not_allowed": Row(422, _("Destination not allowed")),
    "idempotency_key_reused": Row(422, _("Idempotency key reused")),
    "resend_cooldown": Row(429, _("Too soon")),
    "resends_exhausted": Row(429, _("No messages left")),
    "too_many_open_challenges": Row(429, _("Too many open challenges")),
    "failed_attempts_budget": Row(429, _("Too many wrong tokens")),
    "send_budget": Row(429, _("Too many messages")),
    "document_quota": Row(429, _("Too many files")),
    "throttled": Row(429, _("Too many requests")),
    "internal_error": Row(500, _("Internal error")),
    "unavailable": Row(503, _("Unavailable")),
}

STORED_CONFLICTS = frozenset({"order_conflict", "challenge_closed"})
"""Refusals with 409 that are verdicts: a repeated key gets them again, as it does every 422."""


class Malformed(InputError):
    """The request is not what HTTP or JSON say it must be; ``reason`` is a short stable word."""

    code = "malformed"
    default_detail = _("The request could not be read. Send one JSON object in UTF-8.")

    def __init__(self, reason: str, detail: str | StrPromise | None = None, *, field: str = "") -> None:
        super().__init__(detail)
        self.params["errors"] = [{"field": field, "code": reason, "detail": self.detail}]


class PayloadTooLarge(InputError):
    code = "payload_too_large"
    default_detail = _("The body is larger than this API reads.")


class MethodNotAllowed(InputError):
    code = "method_not_allowed"
    default_detail = _("This resource does not have that method.")


class NotAcceptable(InputError):
    code = "not_acceptable"
    default_detail = _("Answers are application/json; accept it.")


class UnsupportedMediaType(InputError):
    code = "unsupported_media_type"
    default_detail = _("Send the body as application/json.")


class Forbidden(TwoFactorError):
    code = "permission_denied"
    default_detail = _("You may not do that.")


class InternalError(TwoFactorError):
    code = "internal_error"
    default_detail = _("Something failed on our side. Name the correlation id when you report it.")


_FOREIGN: tuple[tuple[type[Exception], TwoFactorError], ...] = (
    (drf.NotAuthenticated, NotAuthenticated()),
    (drf.AuthenticationFailed, NotAuthenticated()),
    (drf.PermissionDenied, Forbidden()),
    (PermissionDenied, Forbidden()),
    (drf.NotFound, NotFound()),
    (Http404, NotFound()),
    (drf.MethodNotAllowed, MethodNotAllowed()),
    (drf.NotAcceptable, NotAcceptable()),
    (drf.UnsupportedMediaType, UnsupportedMediaType()),
    (drf.ParseError, Malformed("unreadable")),
    (RequestDataTooBig, PayloadTooLarge()),
    (SuspiciousOperation, Malformed("suspicious")),
    (UnreadablePostError, Malformed("interrupted")),
    (OperationalError, Unavailable(RETRY_AFTER)),
    (InterfaceError, Unavailable(RETRY_AFTER)),
    (TemporaryFailure, Unavailable(RETRY_AFTER)),
    # A race that the guard of a state column decided: whoever came second finds another state than it thought.
    (TransitionRefused, WrongState()),
)


@dataclass(frozen=True)
class Problem:
    """An error ready to be written: its code, and everything that goes beside it."""

    code: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return TABLE[self.code].status

    @property
    def is_verdict(self) -> bool:
        """Tell whether the answer belongs to its idempotency key for good."""
        return self.status == 422 or self.code in STORED_CONFLICTS

    def body(self, correlation_id: str) -> dict[str, Any]:
        """Return the JSON object; ``members`` never displace the standard ones."""
        standard = {
            "type": f"urn:twofa:problem:{self.code}",
            "title": str(TABLE[self.code].title),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "correlation_id": correlation_id,
        }
        return {**standard, **self.members, **standard}


def describe(error: Exception, links: Links) -> Problem:
    """Return the problem that an exception is for the caller, in the active language."""
    ours = _ours(error)
    members = {name: _member(value, links) for name, value in ours.params.items()}
    if isinstance(ours, TokenMalformed):
        members["errors"] = [{"field": "token", "code": ours.code, "detail": str(ours.detail)}]
    return Problem(ours.code, str(ours.detail), members, _headers(ours))


def _ours(error: Exception) -> TwoFactorError:
    if isinstance(error, drf.Throttled):
        wait: float | None = vars(error).get("wait")
        return Throttled(None if wait is None else math.ceil(wait))
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            return ours
    if isinstance(error, TwoFactorError) and error.code in TABLE:
        return error
    return InternalError()


def _headers(error: TwoFactorError) -> dict[str, str]:
    if isinstance(error, TokenRequired):
        return {"WWW-Authenticate": "Bearer", "X-Two-Factor": f"required; method={error.method}"}
    if TABLE[error.code].status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, ScopeMissing):
        # As RFC 6750, section 3.1 has it: a client of OAuth2 then knows which token to ask for.
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.params["scope"]}"'}
    retry_after = 1 if error.code == "idempotency_in_progress" else error.params.get("retry_after")
    return {} if retry_after is None else {"Retry-After": str(retry_after)}


def _member(value: Any, links: Links) -> Any:
    """Return an extension member as JSON: rows are named by id and state, texts are spoken in the active language."""
    match value:
        case Challenge() | Redemption() | RedemptionBatch():
            return {"id": str(value.pk), "status": str(value.status)}
        case NextAction():
            return presenters.next_action(value, links)
        case Promise():
            return str(value)
        case Mapping():
            return {name: _member(inner, links) for name, inner in value.items()}
        case list() | tuple():
            return [_member(inner, links) for inner in value]
        case _:
            return value
