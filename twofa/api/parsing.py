"""Bodies: one JSON object, read strictly.

A filter in front of us that reads a request otherwise than we do could be evaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.utils.translation import gettext_lazy as _
from rest_framework.parsers import BaseParser

from twofa.api.errors import Malformed, PayloadTooLarge

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


class StrictJSONParser(BaseParser):
    """JSON in UTF-8 with neither duplicate members nor ``NaN``, nor deeper or longer than any request of ours."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the object in ``stream``. Raises: PayloadTooLarge, Malformed."""
        declared = 0 if parser_context is None else declared_length(parser_context["request"].META)
        if declared > MAX_BYTES:
            raise PayloadTooLarge
        raw = stream.read(MAX_BYTES + 1)
        # Once more: what is declared need not be what is sent.
        if len(raw) > MAX_BYTES:
            raise PayloadTooLarge
        return decode(raw)


def declared_length(meta: Mapping[str, Any]) -> int:
    """Return the length that a request declares, 0 where it declares none. Raises: Malformed.

    Not every server looks at what a caller wrote there before it passes it on.
    """
    text = meta.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.match(text):
        raise Malformed("length_required", _("Send the body with a Content-Length."))
    return int(text)


def decode(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``. Raises: Malformed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not_utf8", _("The body is not UTF-8.")) from None
    _ensure_shallow(text)
    try:
        value = _DECODER.decode(text)
    except ValueError:
        # Not the parser's own message: it is Python's, and not translated.
        raise Malformed("not_json", _("The body is not JSON.")) from None
    if not isinstance(value, dict):
        raise Malformed("not_an_object", _("The body must be a JSON object."))
    return value


def _ensure_shallow(text: str) -> None:
    """Refuse deep nesting before parsing: the parser recurses, and would exhaust the stack."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed("too_deep", _("The body is nested too deeply."))
        elif mark in "]}":
            depth -= 1


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("duplicate_member", _("A member of the body is there twice."))
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant)
