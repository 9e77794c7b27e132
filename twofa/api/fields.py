"""Strict fields: a value is what it must be, or it is refused. Nothing is coerced, trimmed or guessed.

A number taken for a text, or full-width digits for ASCII ones, would be one request to us and another to whoever
signed it or shows it. Every field sets what a host's ``REST_FRAMEWORK`` could otherwise change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import SkipField, empty

from twofa.exceptions import Invalid
from twofa.models import LOCALES

# Controls, line separators, and what turns the direction of writing: in a message on a phone they make one amount
# look like another (CVE-2021-42574). Lone surrogates cannot be stored.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_MOST_ERRORS = 50
_MOST_OF_A_NAME = 64
ABOVE_ALL_AMOUNTS = 10**12
LARGEST_QUANTITY = 999_999_999


class Text(serializers.CharField):
    """A text of one line, of at least one visible character."""

    default_error_messages = {
        "not_a_text": _("Give a text."),
        "forbidden_characters": _("Control and bidirectional characters are not allowed."),
        "no_match": _("This has characters that are not allowed here."),
        "max_length": _("Give at most {max_length} characters."),
    }

    def __init__(self, *, max_length: int, pattern: str | None = None, **options: Any) -> None:
        self.pattern = pattern
        super().__init__(max_length=max_length, min_length=1, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_a_text")
        if not data.strip():
            self.fail("blank")
        # Here and not by DRF's validator, which keeps its first text: the next caller may speak another language.
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        if _FORBIDDEN.search(data):
            self.fail("forbidden_characters")
        if self.pattern is not None and not re.fullmatch(self.pattern, data):
            self.fail("no_match")
        return data


class Choice(serializers.ChoiceField):
    """One of a few words. The error does not repeat what was sent: it may be a token in the wrong member."""

    default_error_messages = {"invalid_choice": _("Give one of: {choices}.")}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


class Locale(Choice):
    """A language of ours by its tag, in any case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=["pt-BR", "es", "en"], **options)

    def to_internal_value(self, data: Any) -> str:
        known = {locale for locale, _name in LOCALES}
        if isinstance(data, str) and data.lower() in known:
            return data.lower()
        return super().to_internal_value(data)


class Amount(serializers.Field):  # type: ignore[type-arg]
    """Points, as a text: JSON numbers are binary floats on the other side, and lose hundredths."""

    default_error_messages = {
        "not_an_amount": _("Give a text like “15000.00”: digits, and at most 2 after the point."),
        "not_positive": _("Give an amount above 0."),
    }

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not _AMOUNT.match(data):
            self.fail("not_an_amount")
        amount = Decimal(data)
        if not amount:
            self.fail("not_positive")
        return amount


class Quantity(serializers.IntegerField):
    """A count of at least 1."""

    default_error_messages = {
        "not_a_number": _("Give a whole number of at least 1."),
        "min_value": _("Give a whole number of at least 1."),
        "max_value": _("Give a number of at most {max_value}."),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_QUANTITY, **options)

    def to_internal_value(self, data: Any) -> int:
        # bool is an int in Python, and 1.0 is not a count.
        if type(data) is not int:
            self.fail("not_a_number")
        if data < 1:
            self.fail("min_value")
        if data > LARGEST_QUANTITY:
            self.fail("max_value", max_value=LARGEST_QUANTITY)
        return data


class Identifier(serializers.UUIDField):
    """A UUID in its canonical form."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.match(data):
            self.fail("invalid", value="")
        return UUID(data)

    default_error_messages = {"invalid": _("Give an id as this API wrote it.")}


class Moment(serializers.DateTimeField):
    """A time in RFC 3339, with its offset: without one it would mean another moment on each server."""

    default_error_messages = {"not_a_time": _("Give a time like “2026-01-31T12:00:00Z”.")}

    def to_internal_value(self, data: Any) -> datetime:
        moment = None
        if isinstance(data, str) and _MOMENT.match(data):
            try:
                parsed = parse_datetime(data.upper())
                moment = parsed.astimezone(UTC) if parsed is not None else None
            except (ValueError, OverflowError):  # the first and the last day, with an offset beyond them
                moment = None
        if moment is None:
            self.fail("not_a_time")
        return moment


class Raw(serializers.Field):  # type: ignore[type-arg]
    """Whatever was sent: the flow judges it, once and after the locks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        return data


class Password(serializers.Field):  # type: ignore[type-arg]
    """A password as it was typed: any characters, neither trimmed nor normalised."""

    MOST = 1024
    default_error_messages = {"not_a_password": _("Give a text of 1 to 1024 characters.")}

    def to_internal_value(self, data: Any) -> str:
        # Half a character has no bytes to be hashed; and one of a megabyte would keep a hasher busy.
        if not isinstance(data, str) or not 0 < len(data) <= self.MOST or re.search("[\ud800-\udfff]", data):
            self.fail("not_a_password")
        return data


class File(serializers.Field):  # type: ignore[type-arg]
    """The content of a file: what it is, the flow finds out."""

    default_error_messages = {"not_a_file": _("Send a file.")}

    def to_internal_value(self, data: Any) -> bytes:
        if not isinstance(data, bytes):
            self.fail("not_a_file")
        return data


class Items(serializers.ListField):
    """A list of objects."""

    default_error_messages = {"not_a_list": _("Give a list.")}

    def to_internal_value(self, data: Any) -> list[Any]:
        # Before its items: DRF reads them all first, and a body full of "{}" would keep a process busy for seconds.
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        values: list[Any] = super().to_internal_value(data)
        return values


class Input(serializers.Serializer):  # type: ignore[type-arg]
    """The members of a request. Unknown ones are refused: a typing error must not silently mean the default."""

    default_error_messages = {
        "not_an_object": _("Give an object."),
        "unknown_field": _("This member is not known here."),
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        fields = self.fields
        # No more than an answer lists: a body may hold thousands.
        unknown = islice((name for name in data if name not in fields), _MOST_ERRORS)
        errors: dict[str, Any] = {
            _shown(name): ErrorDetail(str(self.error_messages["unknown_field"]), "unknown_field") for name in unknown
        }
        values = {}
        for name, field in fields.items():
            try:
                values[name] = field.run_validation(data.get(name, empty))
            except ValidationError as error:
                errors[name] = error.detail
            except SkipField:
                continue
        if errors:
            raise ValidationError(errors)
        self.cross_check(values)
        return values

    def cross_check(self, values: dict[str, Any]) -> None:
        """Refuse what is well formed member by member, but not together. Raises: ValidationError."""

    def run_validators(self, value: Any) -> None:
        """None on the whole: :meth:`cross_check` names the member at fault, DRF's would use a host's name for none."""

    def read(self, data: Any) -> dict[str, Any]:
        """Return the values of a request's members. Raises: Invalid.

        One instance serves all requests: reading leaves nothing on it, and making it anew costs more than reading.
        """
        try:
            values: dict[str, Any] = self.run_validation(data)
        except ValidationError as error:
            errors = list(_flat(error.detail, ""))
            raise Invalid(errors=errors[:_MOST_ERRORS]) from None
        return values


def _shown(name: str) -> str:
    """Return an unknown member's name as it may be repeated: short, and without what a text may not hold."""
    return "".join(character if character.isprintable() else "\ufffd" for character in name[:_MOST_OF_A_NAME])


def _flat(detail: Any, path: str) -> Iterator[dict[str, str]]:
    """Yield one error per line: ``items[0].amount`` says more to a client than three levels of braces."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, _joined(path, name))
    elif isinstance(detail, str):
        yield {"field": path, "code": str(getattr(detail, "code", "invalid")), "detail": str(detail)}
    elif isinstance(detail, Iterable):
        for inner in detail:
            yield from _flat(inner, path)


def _joined(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
