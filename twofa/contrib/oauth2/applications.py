"""Applications that call as storefronts: link one, unlink it, recognise its tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from oauth2_provider.models import AbstractApplication, get_access_token_model, get_application_model
from oauthlib.common import Request

from twofa.contrib.oauth2.models import StorefrontApplication
from twofa.exceptions import NotAuthenticated, PolicyRefused
from twofa.flows.history import Actor, Trail
from twofa.flows.storefronts import Caller, known
from twofa.models import Storefront, granted
from twofa.models.clock import Clock, now

FIT = {
    "authorization_grant_type": AbstractApplication.GRANT_CLIENT_CREDENTIALS,
    "client_type": AbstractApplication.CLIENT_CONFIDENTIAL,
}
"""What an application must be: a backend that keeps a secret, and acts for nobody but itself."""


def link(
    application: Any, *, storefront: Storefront, actor: Actor, scopes: Iterable[str] = ()
) -> StorefrontApplication:
    """Let an application call as a storefront, for ``scopes``; none named: all.

    Raises: PolicyRefused where it is not one for client credentials, calls as a storefront already, or where there is
    no such scope.
    """
    named = known(scopes)
    with transaction.atomic():
        locked = get_application_model().objects.select_for_update(no_key=True).get(pk=application.pk)
        if any(getattr(locked, column) != value for column, value in FIT.items()):
            raise PolicyRefused(_("Only a confidential application for client credentials can call as a storefront."))
        if StorefrontApplication.objects.filter(application=locked).exists():
            raise PolicyRefused(_("This application calls as a storefront already. Unlink it first."))
        row = StorefrontApplication.objects.create(application=locked, storefront=storefront, scopes=named)
        _record("storefront.application_linked", row, actor, scopes=named)
    return row


def unlink(row: StorefrontApplication, *, actor: Actor) -> None:
    """Let an application call no more: its tokens are dead from the next request on. Again: nothing changes."""
    with transaction.atomic():
        rows = StorefrontApplication.objects.select_for_update(of=("self",), no_key=True)
        locked = rows.select_related("application", "storefront").filter(pk=row.pk).first()
        if locked is not None:
            _record("storefront.application_unlinked", locked, actor)
            locked.delete()


def authenticate(text: str, *, method: str, uri: str) -> Caller:
    """Return as whom a token calls, and for which scopes. Raises: NotAuthenticated, the same whatever is wrong with it.

    The toolkit's own check of a request is not asked: it takes tokens out of the query and out of the body as well
    (which RFC 9700, section 4.3.2, forbids), and reads a form before our parser does. What it checks is checked here:
    that the token is known, in its life, for this API (RFC 8707) and of an application that may be used. And what it
    does not: that nobody signed in for it. A token with a user is a person's, who let an application act for them;
    taken for a storefront's it would reach everybody's points.
    """
    token = _find(text)
    if token is None or not token.allows_audience(uri):
        raise NotAuthenticated
    application = token.application
    if not application.is_usable(Request(uri, http_method=method)):
        raise NotAuthenticated
    scopes = granted(application.twofa_link.scopes) & frozenset(token.scope.split())
    if not scopes:
        # A token for something else than this API: not one that lacks a part of it.
        raise NotAuthenticated
    return Caller(application.twofa_link.storefront, scopes)


def _find(text: str) -> Any:
    """Return a token that is live on the database's clock, of a linked application, or None. Nothing is cached."""
    fit = {f"application__{column}": value for column, value in FIT.items()}
    rows = get_access_token_model().objects.select_related("application__twofa_link__storefront")
    digest = hashlib.sha256(text.encode()).hexdigest()
    live = rows.filter(token_checksum=digest, user=None, expires__gt=Clock(), **fit)
    # Of this link, and not of one that staff have undone: what was dead stays dead when they link it again.
    of_link = live.filter(created__gte=F("application__twofa_link__created_at"))
    return of_link.filter(application__twofa_link__storefront__is_active=True).first()


def _record(type_: str, row: StorefrontApplication, actor: Actor, **data: Any) -> None:
    trail = Trail(actor, now())
    trail.add(type_, row.storefront, application=row.application.client_id, **data)
    trail.write()
