"""Throttling of requests: an extra layer that a host may switch on.

Never the control: it lives in a cache, which is flushed, evicted and per process. What protects tokens is counted in
the database (OWASP ASVS 6.6.3).
"""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from twofa.conf import conf
from twofa.flows.storefronts import Caller


class StorefrontThrottle(SimpleRateThrottle):
    """``TWOFA_THROTTLE_RATES["storefront"]``, counted per storefront, and for each participant who calls by themselves.

    In one count, a member's own app could use up what the whole shop has.
    """

    scope = "storefront"
    cache_format = "twofa_throttle_%(scope)s_%(ident)s"

    def get_rate(self) -> str | None:
        return conf.throttle_rates.get(self.scope)

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        caller = cast(Caller | None, request.auth)
        if caller is None:
            return None
        ident = caller.storefront.pk if caller.participant is None else f"participant_{caller.participant.pk}"
        return self.cache_format % {"scope": self.scope, "ident": ident}
