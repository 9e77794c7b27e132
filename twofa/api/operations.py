"""What an endpoint says of itself: the decorator that OpenAPI is generated from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twofa.api.fields import Input

H = TypeVar("H", bound=Callable[..., Any])

_ATTRIBUTE = "twofa_operation"
IDEMPOTENT_POST = ("idempotency_key_reused", "idempotency_in_progress")
WITH_BODY = ("invalid", "malformed", "payload_too_large", "unsupported_media_type")
ANY = "any"
"""The scope of what every caller may see, whatever else the credentials open."""
EVERYWHERE = ("not_authenticated", "permission_denied", "not_acceptable", "throttled", "internal_error", "unavailable")


@dataclass(frozen=True)
class Parameter:
    """A member of the query."""

    name: str
    schema: dict[str, Any]
    description: str = ""


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    id: str
    summary: str
    responses: dict[int, type | None]
    description: str = ""
    form: Input | None = None
    errors: tuple[str, ...] = ()
    query: tuple[Parameter, ...] = ()
    for_participants: bool = False
    """Whether a participant may call it with an access token, for what is their own."""
    request_example: dict[str, Any] | None = None
    response_examples: dict[int, dict[str, Any]] = field(default_factory=dict)

    def codes(self, method: str) -> list[str]:
        """Return every code that it may answer, those of all operations included."""
        codes = [*self.errors, *EVERYWHERE]
        if method in {"POST", "PUT", "PATCH"}:
            codes += WITH_BODY
        elif self.query:
            codes.append("invalid")
        if method == "POST":
            codes += IDEMPOTENT_POST
        return list(dict.fromkeys(codes))


def operation(**options: Any) -> Callable[[H], H]:
    """Attach an :class:`Operation` to a handler."""
    described = Operation(**options)

    def attach(handler: H) -> H:
        setattr(handler, _ATTRIBUTE, described)
        return handler

    return attach


def of(handler: Any) -> Operation | None:
    """Return what a handler says of itself, or None where it says nothing."""
    described: Operation | None = getattr(handler, _ATTRIBUTE, None)
    return described
