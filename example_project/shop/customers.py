"""The visitor's session: who they are, the order they are about to place, and what to tell them next. Never a token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.utils import translation

from example_project.shop.catalogue import Orderable

_CUSTOMER, _DRAFTS, _LAST, _NOTICES = "shop_customer", "shop_drafts", "shop_last", "shop_notices"
_RETURN, _ASKED, _SPOKEN, _WAYS = "shop_return", "shop_asked", "shop_spoken", "shop_ways"
_CHOSEN, _COMING, _AGREEING = "shop_chosen", "shop_coming", "shop_agreeing"
_OURS = (_CUSTOMER, _DRAFTS, _LAST, _NOTICES, _RETURN, _ASKED, _SPOKEN, _WAYS, _CHOSEN, _COMING, _AGREEING)
_FLAGS = ("proves_identity", "needs_approval")
_SALT = "example_project.shop.draft"
_KEPT = 20
"""Entries of each kind in a session: a visitor cannot make it grow."""
_SEEN_SECONDS = 10
"""For how long a page believes that the API's session still stands, and does not ask."""


@dataclass(frozen=True)
class Customer:
    """A member of one campaign."""

    campaign: str
    external_id: str
    name: str = ""
    unit: str = "points"
    proves_identity: bool = False
    """Whether the campaign asks its members who they are."""
    needs_approval: bool = False
    """Whether in the campaign somebody else approves large orders."""
    session: str = ""
    """The id of the API's session, of who signed in with a password; empty of the demo's members."""

    @property
    def key(self) -> str:
        """Return what tells members apart: ``campaign:external_id``."""
        return f"{self.campaign}:{self.external_id}"


@dataclass(frozen=True)
class Draft:
    """An order before it is placed: its id is fixed when the page is shown, so that it can be placed once only."""

    order_id: str
    language: str
    text: str
    """What the form carries: all of this, signed for one member, and one product or basket at its prices."""


def members() -> list[Customer]:
    """Return who may sign in without a password: the demo's members, and nobody outside of development."""
    pairs = (text.partition(":") for text in settings.SHOP_MEMBERS)
    return [Customer(campaign, external_id) for campaign, _colon, external_id in pairs]


def current(request: HttpRequest) -> Customer | None:
    """Return who is signed in."""
    kept = request.session.get(_CUSTOMER)
    if not isinstance(kept, dict):
        return None
    found = _signed_in(kept) or next((member for member in members() if member.key == kept.get("key")), None)
    if found is None:
        return None
    name, unit = str(kept.get("name", "")), str(kept.get("unit", "points"))
    proves_identity, needs_approval = (kept.get(flag) is True for flag in _FLAGS)
    return replace(found, name=name, unit=unit, proves_identity=proves_identity, needs_approval=needs_approval)


def _signed_in(kept: Mapping[str, Any]) -> Customer | None:
    """Return who came in with a password; that their session still stands is asked of the API: ``is_due``."""
    if not kept.get("session"):
        return None
    campaign, _colon, external_id = str(kept.get("key", "")).partition(":")
    return Customer(campaign, external_id, session=str(kept["session"]))


def is_due(request: HttpRequest) -> bool:
    """Tell whether the API is to be asked again if the visitor's session still stands; at most every few seconds."""
    seen: float = request.session.get(_CUSTOMER, {}).get("seen", 0.0)
    return not 0 <= time.time() - seen < _SEEN_SECONDS


def note_seen(request: HttpRequest) -> None:
    """Keep that the session stood a moment ago."""
    request.session[_CUSTOMER] = {**request.session[_CUSTOMER], "seen": time.time()}


def sign_in(request: HttpRequest, customer: Customer) -> None:
    """Make ``customer`` the visitor, under a session id that nobody knew before."""
    sign_out(request)
    request.session.cycle_key()
    request.session[_CUSTOMER] = {
        "key": customer.key,
        "name": customer.name,
        "unit": customer.unit,
        "session": customer.session,
        "seen": time.time(),
        **{flag: getattr(customer, flag) for flag in _FLAGS},
    }


def sign_out(request: HttpRequest) -> None:
    """Forget the visitor. Staff who are signed in to the admin in the same browser stay so."""
    for name in _OURS:
        request.session.pop(name, None)


# --- orders about to be placed ---------------------------------------------------------------------------------------


def draft(request: HttpRequest, customer: Customer, product: Orderable) -> Draft:
    """Return the order that the visitor may place: the same one in every tab, until it was placed."""
    drafts = request.session.get(_DRAFTS, {})
    kept = read_draft(drafts.get(product.slug, ""), customer, product)
    if kept is not None:
        return kept
    content = {
        "member": customer.key,
        "product": product.slug,
        "price": product.price_tag,
        "order": f"shop-{secrets.token_hex(8)}",
        "language": translation.get_language() or "en",
    }
    text = signing.dumps(content, salt=_SALT)
    request.session[_DRAFTS] = {**drafts, product.slug: text}
    return Draft(content["order"], content["language"], text)


def read_draft(text: str, customer: Customer, product: Orderable) -> Draft | None:
    """Return the order of a form; None where it was forged, or shown to another member, or at another price."""
    try:
        content = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        return None
    shown = (content["member"], content["product"], content["price"])
    if shown != (customer.key, product.slug, product.price_tag):
        return None
    return Draft(content["order"], content["language"], text)


def finish_draft(request: HttpRequest, product: Orderable, order: str | None = None) -> None:
    """Forget an order that was placed (``order`` is its id at the API), or that can never be."""
    drafts = {**request.session.get(_DRAFTS, {})}
    drafts.pop(product.slug, None)
    request.session[_DRAFTS] = drafts
    if order is not None:
        request.session[_LAST] = {**request.session.get(_LAST, {}), product.slug: order}


def last_order(request: HttpRequest, product: Orderable) -> str | None:
    """Return the id of the visitor's last order of a product."""
    kept: str | None = request.session.get(_LAST, {}).get(product.slug)
    return kept


# --- what the next page says -----------------------------------------------------------------------------------------


def keep_notice(request: HttpRequest, path: str, code: str, params: Mapping[str, Any] | None = None) -> None:
    """Keep a notice for the page at ``path``: a code and its numbers, no text and no token."""
    notices = {**request.session.get(_NOTICES, {}), path: {"code": code, "params": dict(params or {})}}
    request.session[_NOTICES] = dict(list(notices.items())[-_KEPT:])


def take_notice(request: HttpRequest) -> dict[str, Any] | None:
    """Return the notice for this page, once."""
    notices = {**request.session.get(_NOTICES, {})}
    notice: dict[str, Any] | None = notices.pop(request.path, None)
    if notice is not None:
        request.session[_NOTICES] = notices
    return notice


def remember_return(request: HttpRequest, slug: str) -> None:
    """Keep the product to come back to, once the member has what the programme asks for."""
    request.session[_RETURN] = slug


def take_return(request: HttpRequest) -> str | None:
    """Return the product to come back to, once."""
    slug: str | None = request.session.pop(_RETURN, None)
    return slug


def waiting_return(request: HttpRequest) -> str | None:
    """Return the product to come back to."""
    slug: str | None = request.session.get(_RETURN)
    return slug


def remember_asked(request: HttpRequest, device: str, change: str) -> None:
    """Keep which change of a device was asked for: the API does not say it again."""
    asked = {**request.session.get(_ASKED, {}), device: change}
    request.session[_ASKED] = dict(list(asked.items())[-_KEPT:])


def asked(request: HttpRequest, device: str) -> str:
    """Return the change of a device that was asked for here, or an empty text."""
    change: str = request.session.get(_ASKED, {}).get(device, "")
    return change


def is_spoken(request: HttpRequest, language: str) -> bool:
    """Tell whether the programme knows that the visitor reads ``language``."""
    known: bool = request.session.get(_SPOKEN) == language
    return known


def note_spoken(request: HttpRequest, language: str) -> None:
    """Keep that the programme was told the visitor's language."""
    request.session[_SPOKEN] = language


def remember_way(request: HttpRequest, order: str, channel: str) -> None:
    """Keep by which channel the token of an order was to go: the API says only by which it goes now."""
    ways = {**request.session.get(_WAYS, {}), order: channel}
    request.session[_WAYS] = dict(list(ways.items())[-_KEPT:])


def way(request: HttpRequest, order: str) -> str:
    """Return by which channel the token of an order was to go, or an empty text."""
    channel: str = request.session.get(_WAYS, {}).get(order, "")
    return channel


def remember_chosen(request: HttpRequest, quantities: Mapping[str, int]) -> None:
    """Keep how many of what were chosen, so that a refusal does not empty the page."""
    request.session[_CHOSEN] = dict(quantities)


def chosen(request: HttpRequest) -> dict[str, int]:
    """Return how many of what were chosen and not ordered yet."""
    kept: dict[str, int] = request.session.get(_CHOSEN, {})
    return kept


# --- on the way in, and what waits for a token of the member's --------------------------------------------------------


def keep_coming(request: HttpRequest, **members: str) -> None:
    """Keep who is on the way in: what they typed, but for token and password, and the challenge that they answer."""
    request.session[_COMING] = members


def coming(request: HttpRequest) -> dict[str, str]:
    """Return who is on the way in; nothing of nobody."""
    kept: dict[str, str] = request.session.get(_COMING, {})
    return kept


def keep_agreeing(request: HttpRequest, change: str, challenge: str) -> None:
    """Keep which challenge lets a change happen; an empty one where nothing has to be asked."""
    request.session[_AGREEING] = {**request.session.get(_AGREEING, {}), change: challenge}


def agreeing(request: HttpRequest, change: str) -> str | None:
    """Return the challenge of a change that was begun; None where none was."""
    kept: str | None = request.session.get(_AGREEING, {}).get(change)
    return kept


def finish_agreeing(request: HttpRequest, change: str) -> None:
    """Forget a change that has happened."""
    kept = {**request.session.get(_AGREEING, {})}
    kept.pop(change, None)
    request.session[_AGREEING] = kept
