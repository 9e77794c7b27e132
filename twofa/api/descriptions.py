"""The prose of the OpenAPI document: what holds for every operation, and what a problem looks like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from twofa.api import errors

DESCRIPTION = """\
A second factor in front of a redemption: a participant spends points, the participant's own device receives a token,
and only the right token lets the points go.

**Scopes.** A key opens the parts of the API that it was issued for, or all of them; each operation says of which part
it is. Elsewhere the answer is 403 `permission_denied`, with the `scope` that is missing.

**Requests.** JSON objects in UTF-8, at most 256 KiB and 32 levels deep. Unknown and duplicate members are refused.
Amounts are texts (`"15000.00"`). Texts hold no control or bidirectional characters.

**Answers.** Times are RFC 3339 in UTC. Every answer has `X-Correlation-Id`, `Content-Language` and
`Cache-Control: no-store`. Clients ignore members, codes and states that they do not know.

**Errors.** `application/problem+json`; decide by `code`. What you may not see is 404, the same as what does not exist.

**Callers.** A storefront's key; or a participant's access token, for what is their own: all else is 404 then.

**Repeating.** Send an `Idempotency-Key` with each POST (a login, and what shows a secret or recovery codes, does not
look at it): the same key and body get the first answer again, for 24 hours. Repeat only 429, 503 and
`idempotency_in_progress`, after `Retry-After`. After a lost connection repeat with the same key, or GET. PUT, PATCH,
DELETE and `cancel` are safe to repeat.

**Lists.** Newest first; `next` and `previous` are absolute paths on this host (no scheme, no host name: those are the
caller's own claim), to be resolved against the URL of the request.

`path` in `next_action` and the paths below are relative to the prefix at which the API is mounted.
"""

TAGS = [
    {"name": "campaigns", "description": "The loyalty programmes that your storefront serves."},
    {"name": "participants", "description": "Members of a campaign, by your own `external_id`."},
    {"name": "devices", "description": "Phones and e-mail addresses that receive tokens, and authenticator apps."},
    {"name": "recovery_codes", "description": "Ten on paper, each good once, for when every device is lost."},
    {"name": "documents", "description": "Pictures that prove who a participant is, and what staff decided."},
    {
        "name": "logins",
        "description": "A name and a password, then the token: an access token for a participant's app.",
    },
    {"name": "redemptions", "description": "Purchases with points, and the token that lets them go."},
    {"name": "challenges", "description": "Requests for a second factor, of any purpose."},
]

HEADERS = [
    OpenApiParameter(
        "X-Correlation-Id",
        {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        OpenApiParameter.HEADER,
        description="Carried through logs, events, jobs and the answer. Anything else than this pattern is replaced.",
    ),
    OpenApiParameter(
        "Accept-Language",
        str,
        OpenApiParameter.HEADER,
        description="`pt-BR`, `es` or `en`, for `title` and `detail`.",
    ),
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
        OpenApiParameter.HEADER,
        description="The same key with the same body gets the first answer again.",
    ),
    OpenApiParameter(
        "Idempotency-Replayed",
        str,
        OpenApiParameter.HEADER,
        response=[200, 201, 202],
        description="`true` where this is the first answer again.",
    ),
]

_MEMBERS: dict[str, dict[str, Any]] = {
    "invalid": {
        "errors": [{"field": "items[0].amount", "code": "not_an_amount", "detail": "Give a text like “15000.00”."}]
    },
    "onboarding_incomplete": {
        "missing": ["device"],
        "next_action": {"type": "onboarding", "path": "/campaigns/verao/participants/u-42/onboarding/"},
    },
    "token_invalid": {"attempts_remaining": 4},
    "attempts_exhausted": {
        "attempts_remaining": 0,
        "challenge": {"id": "0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60", "status": "rejected"},
        "redemption": {"id": "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d", "status": "rejected"},
    },
    "resend_cooldown": {"retry_after": 27},
}


def examples_of_problems(codes: Iterable[str]) -> list[OpenApiExample]:
    """Return examples of those codes whose answers carry more than the standard members."""
    return [_example(code) for code in codes if code in _MEMBERS]


def _example(code: str) -> OpenApiExample:
    row = errors.TABLE[code]
    value = {
        "type": f"urn:twofa:problem:{code}",
        "title": str(row.title),
        "status": row.status,
        "detail": str(row.title),
        "code": code,
        "correlation_id": "order-1001",
        **_MEMBERS[code],
    }
    return OpenApiExample(code, value=value)
