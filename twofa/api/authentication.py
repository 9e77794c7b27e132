"""Who calls: a storefront, by its key. No session, no cookie: so nothing for a browser to be tricked into sending."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from twofa.exceptions import NotAuthenticated
from twofa.flows import storefronts
from twofa.models import Storefront


class StorefrontAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``. ``request.auth`` is the storefront, and ``request.user`` nobody.

    Nobody, and not a made-up user: a host's audit middleware would take it for a row of its user table.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Storefront]:
        """Return nobody and the storefront. Raises: NotAuthenticated, one answer for every cause."""
        scheme, _space, key = request._request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise NotAuthenticated
        return AnonymousUser(), storefronts.authenticate(key.strip())
