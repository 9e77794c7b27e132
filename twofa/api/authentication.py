"""Who calls: a storefront, by its key. No session, no cookie: so nothing for a browser to be tricked into sending."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from twofa.exceptions import NotAuthenticated
from twofa.flows import storefronts
from twofa.flows.storefronts import Caller


class StorefrontAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``. ``request.auth`` is the caller, and ``request.user`` nobody.

    Nobody, and not a made-up user: a host's audit middleware would take it for a row of its user table.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller]:
        """Return nobody and the caller. Raises: NotAuthenticated, one answer for every cause."""
        scheme, _space, text = request._request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise NotAuthenticated
        return AnonymousUser(), self.recognise(text.strip(), request)

    def recognise(self, text: str, request: Request) -> Caller:
        """Return whose credentials these are; a subclass may know others. Raises: NotAuthenticated."""
        return storefronts.authenticate(text)
