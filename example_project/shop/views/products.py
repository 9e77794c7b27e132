"""One product, and the order of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.urls import reverse

from example_project.shop import catalogue, customers, times
from example_project.shop.catalogue import Product
from example_project.shop.client import Refused
from example_project.shop.storefront import Row
from example_project.shop.tokens import note_way
from example_project.shop.views import onboarding
from example_project.shop.visits import Visit, action, page, params_of

# The order id is used up: the API would give the same answer to it for ever.
FINAL = frozenset({"redemption_refused", "order_conflict", "idempotency_key_reused"})


def _product(slug: str) -> Product:
    found = catalogue.find(slug)
    if found is None:
        raise Http404
    return found


@page(public=True)
def show_product(visit: Visit, slug: str) -> HttpResponse:
    """Show a product, and to a member what it leaves of the balance."""
    product = _product(slug)
    if visit.customer is None:
        return visit.render("shop/product.html", {"product": product, "here": "front"})
    available = visit.balances().available
    two_factor = visit.api.campaign()["two_factor"]
    approver_from = two_factor.get("approver_threshold")
    # What costs so much is approved by somebody else in any case: then no token goes to whoever orders.
    asks_buyer = two_factor["mode"] != "off" and (approver_from is None or product.price < Decimal(approver_from))
    context = {
        "product": product,
        "left": available - product.price,
        "lacking": product.price - available,
        "devices": visit.api.usable_devices() if asks_buyer else [],
        "approver_from": approver_from,
        "zone": settings.TIME_ZONE,
        "draft": customers.draft(visit.request, visit.member, product),
        "last": _last(visit, product),
        "here": "front",
    }
    return visit.render("shop/product.html", context)


def _last(visit: Visit, product: Product) -> Row | None:
    """Return the visitor's last order of this, so that going back does not look as if there had been none."""
    kept = customers.last_order(visit.request, product)
    if kept is None:
        return None
    try:
        return visit.api.order(UUID(kept))
    except Http404:
        return None


@action(back="shop:product")
def place_order(visit: Visit, slug: str) -> HttpResponse:
    """Open the order of the form. Sent twice, from two tabs or after going back, it is one order."""
    product, here, device = _product(slug), reverse("shop:product", args=[slug]), _device(visit)
    draft = customers.read_draft(visit.request.POST.get("order", ""), visit.member, product)
    if draft is None:
        customers.finish_draft(visit.request, product)
        return visit.go(here, "stale_form")
    when = visit.request.POST.get("when", "")[:40]
    try:
        at = times.read(when, visit.request.POST.get("zone", "")[:64])
    except times.Unreadable as error:
        return visit.go(here, "invalid", {"field_code": error.code, "when": when})
    visit.speak()
    try:
        order = _place(visit, product, draft, device, at)
    except Refused as refused:
        return _refused(visit, product, here, refused, when)
    customers.finish_draft(visit.request, product, order["id"])
    note_way(visit, order)
    return visit.go(reverse("shop:order", args=[order["id"]]))


def _place(visit: Visit, product: Product, draft: customers.Draft, device: str | None, at: datetime | None) -> Row:
    try:
        return visit.api.place(product, draft, device, at)
    except Refused as refused:
        if params_of(refused).get("field_code") != "not_with_approver":
            raise
    # With what was ordered today it passes the limit: somebody else is asked, and the chosen phone has no part in it.
    return visit.api.place(product, draft, None, at)


def _device(visit: Visit) -> str | None:
    """Return the chosen device, in the one form that its id has: it becomes part of a header."""
    given = visit.request.POST.get("device", "")
    try:
        return str(UUID(given)) if given else None
    except ValueError:
        raise Http404 from None


def _refused(visit: Visit, product: Product, here: str, refused: Refused, when: str) -> HttpResponse:
    if refused.code in FINAL:
        customers.finish_draft(visit.request, product)
    if refused.code != "onboarding_incomplete":
        return visit.go(here, refused.code, {**params_of(refused), "when": when})
    customers.remember_return(visit.request, product.slug)
    return onboarding.lead(visit, refused)
