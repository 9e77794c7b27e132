"""Identity documents: sent, listed and read. Never the file: only staff look at it, in the admin."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions as drf
from rest_framework.request import Request

from twofa.api import links, presenters, shapes, uploads
from twofa.api.base import Endpoint, respond
from twofa.api.campaigns import PAGING
from twofa.api.errors import UnsupportedMediaType
from twofa.api.fields import Choice, File, Input
from twofa.api.lookups import document_of, participant_of
from twofa.api.operations import operation
from twofa.api.pagination import paginate
from twofa.flows import documents
from twofa.models import IdentityDocument, Scope


class DocumentInput(Input):
    """One picture (JPEG, PNG, WebP) or PDF of at most 5 pages and 10 MiB."""

    kind = Choice(choices=IdentityDocument.Kind.values)
    side = Choice(choices=IdentityDocument.Side.values, required=False)
    file = File()


DOCUMENT = DocumentInput()


class DocumentsEndpoint(Endpoint):
    scope = Scope.ONBOARDING
    parser_classes = [uploads.UploadParser]

    @operation(
        id="list_documents",
        for_participants=True,
        summary="List a participant's identity documents",
        description="Those that the participant has replaced by another picture are left out.",
        responses={200: shapes.DocumentPage},
        errors=("not_found",),
        query=PAGING,
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        page = paginate(documents.visible(participant), request._request)
        return respond(200, presenters.page(map(presenters.document, page.rows), page))

    @operation(
        id="submit_document",
        for_participants=True,
        summary="Send an identity document",
        description=(
            "Decided by its content: JPEG, PNG, WebP, or PDF of at most 5 pages; 10 MiB. Only its pixels are kept, "
            "encrypted, for staff to look at. One that waits for the same kind and side is replaced."
        ),
        form=DOCUMENT,
        responses={201: shapes.Document},
        errors=("not_found", "permission_denied", "wrong_state", "document_quota"),
    )
    @method_decorator(sensitive_variables("members"))
    def post(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        members = self.read(request, DOCUMENT)
        participant = participant_of(self.caller, campaign, external_id)
        self.links = links.of_participant(campaign, external_id)
        side = members.get("side", IdentityDocument.Side.SINGLE)
        asked = {"kind": members["kind"], "side": side, "file": _digest(members["file"])}
        # From here on the flow alone holds the file, and lets go of it when it is decoded.
        form: Any = request.data
        form.pop("file", None)

        def submit() -> HttpResponse:
            document = documents.submit(
                participant,
                storefront=self.storefront,
                kind=members["kind"],
                side=side,
                data=members.pop("file"),
                actor=self.actor,
            )
            return respond(201, presenters.document(document))

        return self.once(request, submit, asked)

    def body(self, request: Request) -> dict[str, Any]:
        try:
            data = request.data
        except drf.UnsupportedMediaType:
            raise UnsupportedMediaType(_("Send the body as multipart/form-data.")) from None
        if isinstance(data, QueryDict):
            # Read by a host's middleware before us, or no body at all.
            read: HttpRequest = request._request
            return uploads.members(read.POST, read.FILES)
        return data if isinstance(data, dict) else {}


class DocumentEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="get_document",
        for_participants=True,
        summary="Read what became of an identity document",
        responses={200: shapes.Document},
        errors=("not_found",),
    )
    def get(self, request: Request, document_id: str) -> HttpResponse:
        return respond(200, presenters.document(document_of(self.caller, document_id)))


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
