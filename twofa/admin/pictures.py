"""One page of a document, streamed to who may decide about it, after an event that names them.

Which attack each header answers. The bytes came from a stranger, and are a picture made anew; should a decoder one day
let something through, it must find no place to run:

- ``nosniff``, the fixed type and the fixed name: no browser takes it for HTML, and no system for a program.
- ``sandbox`` and ``default-src 'none'``: opened by itself it has no origin, no script and nothing to fetch.
- ``frame-ancestors`` and ``Cross-Origin-Resource-Policy``: no other site shows it within its own, by the cookie of a
  member of staff who is signed in here.
- ``no-store``: no copy outlives the session in the cache of a browser or of a proxy (LGPD Art. 46).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from twofa.admin.actions import acting
from twofa.exceptions import NotFound, PolicyRefused, StorageUnavailable, TwoFactorError
from twofa.flows import reviews

if TYPE_CHECKING:
    from uuid import UUID

    from twofa.admin.base import TwofaAdmin

PERMISSIONS = ("twofa.view_identitydocument", "twofa.review_identitydocument")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # The browser's own page around a picture has a style of its own, and nothing else.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store, private",
}


def may_look(request: HttpRequest) -> bool:
    """Tell whether a member may look at pictures; that they may see the rows is not enough."""
    return bool(request.user.has_perms(PERMISSIONS))


@sensitive_variables("data")
def page(model_admin: TwofaAdmin, request: HttpRequest, pk: UUID, number: int) -> HttpResponse:
    """Answer with one page. Raises: PermissionDenied."""
    if not may_look(request):
        raise PermissionDenied
    if request.method == "HEAD":
        # Nothing is read, so nobody has looked, and there is nothing to tell of whether a file is there.
        return _answer(request, b"", "image/jpeg")
    try:
        with acting(request) as actor:
            data = reviews.look(pk, number, reviewer=request.user, actor=actor)
    except TwoFactorError as error:
        return _refuse(request, error)
    return _answer(request, data, "image/jpeg")


def _answer(request: HttpRequest, data: bytes, kind: str, status: int = 200) -> HttpResponse:
    response = HttpResponse(data, content_type=kind, status=status, headers=HEADERS)
    if kind == "image/jpeg":
        way = "attachment" if "download" in request.GET else "inline"
        response["Content-Disposition"] = f'{way}; filename="document.jpg"'
    return response


def _refuse(request: HttpRequest, error: TwoFactorError) -> HttpResponse:
    """Say in a line why there is no picture; within a page, the picture's alternative text stands there instead."""
    text: Any = error.detail
    status = 503
    if isinstance(error, NotFound):
        text, status = _("There is no picture here: it was erased, or replaced by another one."), 404
    elif isinstance(error, PolicyRefused):
        status = 403
    elif isinstance(error, StorageUnavailable):
        text = _("The storage of documents does not answer. Load the page again in a moment.")
    response = _answer(request, f"{text}\n".encode(), "text/plain; charset=utf-8", status)
    if isinstance(error, StorageUnavailable) and error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response
