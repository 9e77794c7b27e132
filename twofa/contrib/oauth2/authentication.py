"""Who calls: a storefront by its key, or by a token of OAuth2 that its application was given."""

from __future__ import annotations

from rest_framework.request import Request

from twofa.api.authentication import StorefrontAuthentication
from twofa.contrib.oauth2 import applications
from twofa.exceptions import NotAuthenticated
from twofa.flows.storefronts import Caller
from twofa.models.storefront import KEY_MARK


class ApplicationAuthentication(StorefrontAuthentication):
    """``Authorization: Bearer <key or token>``. Each is known by its mark, so that no token is looked up as a key."""

    def recognise(self, text: str, request: Request) -> Caller:
        """Return whose key or token this is. Raises: NotAuthenticated, one answer for every cause."""
        if text.startswith(f"{KEY_MARK}_"):
            return super().recognise(text, request)
        uri = request._request.build_absolute_uri(request.path)
        try:
            return applications.authenticate(text, method=request._request.method or "", uri=uri)
        except NotAuthenticated:
            # Tokens that a host's own issuer gives to participants have no mark of ours.
            return super().recognise(text, request)
