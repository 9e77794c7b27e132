"""Sessions of a participant: the access tokens that are good at present, listed and ended."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from twofa.api import presenters, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.campaigns import PAGING
from twofa.api.lookups import participant_of, session_of
from twofa.api.operations import operation
from twofa.api.pagination import paginate
from twofa.flows import access_tokens
from twofa.models import AccessToken, Scope
from twofa.models.clock import Clock


class SessionsEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="list_sessions",
        for_participants=True,
        summary="List where a participant is logged in",
        description=(
            "By way of this storefront, newest first: each access token that was neither revoked nor has expired. Its "
            "text is never shown again; `id` stands in it, between its second and its third underscore."
        ),
        responses={200: shapes.SessionPage},
        errors=("not_found",),
        query=PAGING,
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        own = AccessToken.objects.filter(participant=participant, storefront=self.storefront)
        page = paginate(own.filter(revoked_at=None, expires_at__gt=Clock()), request._request)
        return respond(200, presenters.page([present(row) for row in page.rows], page))

    @operation(
        id="end_sessions",
        for_participants=True,
        summary="Log a participant out everywhere",
        description="Every access token by way of this storefront opens nothing from the next request on.",
        responses={204: None},
        errors=("not_found",),
    )
    def delete(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        access_tokens.end_all(participant, storefront=self.storefront, actor=self.actor)
        return HttpResponse(status=204)


class SessionEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="end_session",
        for_participants=True,
        summary="End one session",
        description="Ended again: 204 as well.",
        responses={204: None},
        errors=("not_found",),
    )
    def delete(self, request: Request, campaign: str, external_id: str, session_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        token = session_of(participant, self.storefront, session_id)
        access_tokens.revoke(token, actor=self.actor, reason=access_tokens.LOGGED_OUT)
        return HttpResponse(status=204)


def present(row: AccessToken) -> shapes.Session:
    """Return what may be known of an access token: neither its text nor its hash."""
    return {
        "id": row.prefix,
        "created_at": presenters.moment(row.created_at),
        "last_used_at": presenters.optional_moment(row.last_used_at),
        "expires_at": presenters.moment(row.expires_at),
    }
