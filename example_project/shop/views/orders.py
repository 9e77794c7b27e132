"""Orders: the token page while one waits, the outcome afterwards, and the list of all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import catalogue, people, words
from example_project.shop.client import Refused
from example_project.shop.forms import TokenForm
from example_project.shop.storefront import Row
from example_project.shop.tokens import nonce_of, note_way, order_context, way_context
from example_project.shop.views import onboarding
from example_project.shop.visits import Visit, action, page

PENDING = "pending_2fa_approval"
SCHEDULED = "scheduled"
_SOON = timedelta(minutes=2)
"""So close to its time a page looks again by itself; for days it does not."""


def _here(pk: UUID) -> str:
    return reverse("shop:order", args=[pk])


@page()
def show_orders(visit: Visit) -> HttpResponse:
    """Show what the member ordered, newest first."""
    orders = visit.api.orders(visit.request.GET.get("cursor", "")[:400])
    return visit.render("shop/orders.html", {"orders": orders, "here": "orders"})


@page()
def show_approvals(visit: Visit) -> HttpResponse:
    """Show what others ask the member to approve."""
    rows = [{**row, "asker_name": people.name(visit, row["participant"])} for row in visit.api.approvals()]
    return visit.render("shop/approvals.html", {"rows": rows, "here": "approvals"})


@page()
def show_order(visit: Visit, order_id: UUID) -> HttpResponse:
    """Show an order as it stands: one address for all of its states, so that reloading never does anything."""
    order = visit.api.order(order_id)
    if order["batch"] and order["status"] == PENDING:
        return redirect("shop:batch", order["batch"])
    two = people.of_order(visit, order)
    context: dict[str, Any] = {"order": order, "product": product_of(order), "here": _part(two), **two}
    if order["status"] == PENDING:
        return visit.render("shop/token.html", {**context, **order_context(visit, order)})
    context |= {"moving": _is_moving(order), "not_me": is_not_me(order)}
    return visit.render("shop/outcome.html", context)


def _part(two: dict[str, Any]) -> str:
    return "approvals" if two.get("approving") else "orders"


def product_of(order: Row) -> catalogue.Product | None:
    """Return what was ordered, where it is in the catalogue still."""
    return catalogue.find(order["items"][0].get("sku", "")) if order["items"] else None


def is_not_me(order: Row) -> bool:
    """Tell whether an order was rejected because whoever got its token had not asked for it."""
    challenge = order["two_factor"]["challenge"]
    return bool(order["status"] == "rejected" and challenge and challenge["attempts_remaining"])


def _is_moving(order: Row) -> bool:
    if order["status"] == SCHEDULED:
        at = words.moment(order["scheduled_for"])
        return at is None or at - datetime.now(UTC) < _SOON
    return order["status"] == "approved" or order["status"] not in words.STATES


@page()
def show_delivery(visit: Visit, order_id: UUID) -> HttpResponse:
    """Show what became of the message: the part of the token page that changes by itself."""
    order = visit.api.order(order_id)
    context = way_context(visit, order)
    return visit.render("shop/parts/delivery.html", {**context, "page_url": _here(order_id)})


@sensitive_variables("form", "token")
@action(back="shop:order")
def confirm_order(visit: Visit, order_id: UUID) -> HttpResponse:
    """Send the token. The same page sent twice is one attempt."""
    form = TokenForm(visit.request.POST)
    if not form.is_valid():
        return visit.go(_here(order_id), "token_malformed")
    token: str = form.cleaned_data["token"]
    try:
        visit.api.confirm(order_id, token, key=f"confirm-{order_id}-{form.cleaned_data['nonce']}")
    except Refused as refused:
        # A document was voided since the order was opened.
        if refused.code != "onboarding_incomplete":
            raise
        return onboarding.lead(visit, refused)
    return visit.go(_here(order_id))


@action(back="shop:order")
def resend_token(visit: Visit, order_id: UUID) -> HttpResponse:
    """Ask for a new token, perhaps on another channel. The same page sent twice asks once."""
    channel = visit.request.POST.get("channel", "")
    channel = channel if channel in words.CHANNELS else ""
    nonce = nonce_of(visit)
    visit.speak()
    order = visit.api.resend(order_id, channel, key=f"resend-{order_id}-{nonce}-{channel}" if nonce else None)
    note_way(visit, order)
    return visit.go(_here(order_id), "token_sent")


@action(back="shop:order")
def cancel_order(visit: Visit, order_id: UUID) -> HttpResponse:
    """Cancel an order that waits, for its token or for its time; or decline it as the one who would approve it."""
    visit.api.cancel(order_id)
    return visit.go(_here(order_id))
