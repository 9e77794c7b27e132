"""Bodies of gateway requests from templates, and values out of their answers. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from twofa.channels.base import Message

NAMES = (
    "recipient",
    "recipient_digits",
    "text",
    "token",
    "subject",
    "locale",
    "event",
    "challenge_id",
    "idempotency_key",
    "expires_at",
)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Template:
    """A nested structure whose texts hold placeholders of a closed list.

    Not ``str.format``, whose ``{text.__class__}`` reaches into objects; and filled in one pass, so that a text that
    reads ``{token}``, which storefronts can write, stays a text. Raises: ValueError for an unknown placeholder.
    """

    def __init__(self, structure: Any) -> None:
        self._structure = structure
        unknown = sorted(_names(structure) - set(NAMES))
        if unknown:
            raise ValueError(f"unknown placeholders in body: {', '.join(unknown)}")

    def fill(self, message: Message) -> Any:
        """Return the structure for one message."""
        return _fill(self._structure, _values(message))


def _names(structure: Any) -> set[str]:
    if isinstance(structure, str):
        return set(_PLACEHOLDER.findall(structure))
    if isinstance(structure, Mapping):
        return set().union(*map(_names, structure.values()))
    if isinstance(structure, list | tuple):
        return set().union(*map(_names, structure))
    return set()


def _fill(structure: Any, values: Mapping[str, str]) -> Any:
    if isinstance(structure, str):
        return _PLACEHOLDER.sub(lambda match: values[match[1]], structure)
    if isinstance(structure, Mapping):
        return {key: _fill(value, values) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return [_fill(value, values) for value in structure]
    return structure


def _values(message: Message) -> dict[str, str]:
    return {
        "recipient": message.recipient,
        "recipient_digits": message.recipient.removeprefix("+"),
        "text": message.text,
        "token": message.token,
        "subject": message.subject,
        "locale": message.locale,
        "event": message.event,
        "challenge_id": str(message.challenge_id or ""),
        "idempotency_key": message.idempotency_key,
        "expires_at": message.expires_at.isoformat() if message.expires_at else "",
    }


def parse(body: bytes) -> Any:
    """Return the value of a JSON text, or None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def look_up(content: Any, path: str) -> Any:
    """Return what stands at a path like ``messages.0.id``, or None."""
    for step in path.split("."):
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content
