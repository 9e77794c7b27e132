"""Who calls: a storefront by its key, or a participant by an access token.

No session, no cookie: so nothing for a browser to be tricked into sending.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from twofa.exceptions import NotAuthenticated
from twofa.flows import access_tokens, storefronts
from twofa.flows.storefronts import Caller
from twofa.models import StorefrontKey


class StorefrontAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key or access token>``. ``request.auth`` is the caller, and ``request.user`` nobody.

    Nobody, and not a made-up user: a host's audit middleware would take it for a row of its user table.
    """

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller]:
        """Return nobody and the caller. Raises: NotAuthenticated, one answer for every cause; Unavailable."""
        scheme, _space, text = request._request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise NotAuthenticated
        return AnonymousUser(), self.recognise(text.strip(), request)

    @sensitive_variables()
    def recognise(self, text: str, request: Request) -> Caller:
        """Return whose text this is; a subclass may know others. Raises: NotAuthenticated, Unavailable."""
        # Told apart by their form, and each looked up where it belongs: what is a key is shown to no issuer of tokens.
        if StorefrontKey.prefix_of(text) is not None:
            return storefronts.authenticate(text)
        bearer = access_tokens.authenticate(text)
        return Caller(bearer.storefront, participant=bearer.participant)
