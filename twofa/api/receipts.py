"""Delivery receipts, posted by providers: no key of a storefront opens this path, only a provider's signature.

Not in the OpenAPI document, which is for storefronts; ``docs/reference/receipts.md`` describes it.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from twofa.api.base import Endpoint
from twofa.api.errors import Malformed, PayloadTooLarge
from twofa.api.negotiation import Negotiation
from twofa.api.parsing import declared_length
from twofa.channels import Callback
from twofa.flows import receipts

MAX_BYTES = 64 * 1024


class Whatever(Negotiation):
    """Ignore ``Accept``: the answer has no body."""

    def _is_accepted(self, part: str) -> bool:
        return True


class ReceiptsEndpoint(Endpoint):
    """The receipts of one channel, or of one of its providers."""

    authentication_classes = []
    content_negotiation_class = Whatever
    parser_classes = []
    schema = None  # type: ignore[assignment]
    http_method_names = ["post"]

    def post(self, request: Request, alias: str, provider: str = "") -> HttpResponse:
        callback = Callback(
            body=_raw(request._request),
            headers=dict(request._request.headers.items()),
            query=request._request.META.get("QUERY_STRING", ""),
            provider=provider,
        )
        receipts.receive(alias, callback)
        return HttpResponse(status=204)


def _raw(request: HttpRequest) -> bytes:
    """Return the body as it was sent, which is what was signed. Raises: PayloadTooLarge, Malformed."""
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        raise Malformed("length_required", _("Send the body with a Content-Length."))
    if declared_length(request.META) > MAX_BYTES:
        raise PayloadTooLarge
    try:
        return request.body
    except RawPostDataException:
        # A middleware of the host has read the body as a form, and the bytes that were signed are gone.
        raise Malformed("body_consumed", _("The body was read before its signature could be checked.")) from None
