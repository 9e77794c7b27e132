"""Pages: by position, not by number, so that rows written meanwhile neither repeat nor hide others.

A cursor is a position in a list that the caller may see anyway: it names a time and an id, is checked like any other
input, and gives no access.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid

R = TypeVar("R", bound=Model)

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([np])([0-9]{1,17}):([0-9a-f-]{1,36})\Z")
_SIZE = re.compile(r"[0-9]{1,4}\Z")
_LONGEST_CURSOR = 100


@dataclass(frozen=True)
class Position:
    """A place in a list ordered by time and id, and the way to go on from there."""

    backwards: bool
    created_at: datetime
    pk: Any

    def write(self) -> str:
        """Return the cursor."""
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        text = f"{'p' if self.backwards else 'n'}{microseconds}:{self.pk}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Page(Generic[R]):
    """Rows, and the paths of the pages beside them."""

    rows: list[R]
    next: str | None
    previous: str | None


def paginate(rows: QuerySet[R], request: HttpRequest) -> Page[R]:
    """Return one page of ``rows``, newest first, in one statement. Raises: Invalid."""
    size = _size(request.GET.get("page_size"))
    position = _position(request.GET.get("cursor"), rows.model)
    backwards = position is not None and position.backwards
    order = ("created_at", "pk") if backwards else ("-created_at", "-pk")
    found = list((rows if position is None else rows.filter(_beyond(position))).order_by(*order)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_next, has_previous = (position is not None, more) if backwards else (more, position is not None)
    return Page(
        found,
        _url(request, found[-1], backwards=False) if found and has_next else None,
        _url(request, found[0], backwards=True) if found and has_previous else None,
    )


def _size(given: str | None) -> int:
    if given is None:
        return PAGE_SIZE
    if not _SIZE.match(given) or not 1 <= int(given) <= MAX_PAGE_SIZE:
        raise Invalid.field("page_size", "invalid", _("Give a number from 1 to 200."))
    return int(given)


def _position(given: str | None, model: type[Model]) -> Position | None:
    if given is None:
        return None
    try:
        return _decode(given, model)
    except (ValueError, OverflowError, ValidationError, binascii.Error):
        raise Invalid.field("cursor", "invalid", _("Give a cursor as a list returned it.")) from None


def _decode(given: str, model: type[Model]) -> Position:
    if len(given) > _LONGEST_CURSOR:
        raise ValueError("too long")
    text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("ascii")
    match = _CURSOR.match(text)
    if match is None:
        raise ValueError("not a cursor")
    way, microseconds, pk = match.groups()
    return Position(way == "p", _EPOCH + timedelta(microseconds=int(microseconds)), model._meta.pk.to_python(pk))


def _beyond(position: Position) -> Q:
    """Return the condition of what comes after a position, in the shape that an index on (time, id) serves."""
    at, pk = position.created_at, position.pk
    if position.backwards:
        return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(pk__gt=pk))
    return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(pk__lt=pk))


def _url(request: HttpRequest, row: Any, *, backwards: bool) -> str:
    """Return the path of a page: without scheme and host, which are the caller's own claim (``Host``)."""
    cursor = Position(backwards, row.created_at, row.pk).write()
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"{escape_uri_path(request.path)}?{query.urlencode()}"
