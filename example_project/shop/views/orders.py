"""Orders: the token page while one waits, the outcome afterwards, and the list of all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import catalogue, words
from example_project.shop.client import Refused
from example_project.shop.forms import TokenForm
from example_project.shop.storefront import Row
from example_project.shop.tokens import delivery_context, nonce_of, token_context
from example_project.shop.views import onboarding
from example_project.shop.visits import Visit, action, page

PENDING = "pending_2fa_approval"
MOVING = frozenset({"approved", "scheduled"})


def _here(pk: UUID) -> str:
    return reverse("shop:order", args=[pk])


@page()
def show_orders(visit: Visit) -> HttpResponse:
    """Show what the member ordered, newest first."""
    orders = visit.api.orders(visit.request.GET.get("cursor", "")[:400])
    return visit.render("shop/orders.html", {"orders": orders, "here": "orders"})


@page()
def show_order(visit: Visit, order_id: UUID) -> HttpResponse:
    """Show an order as it stands: one address for all of its states, so that reloading never does anything."""
    order = visit.api.order(order_id)
    context: dict[str, Any] = {"order": order, "product": product_of(order), "here": "orders"}
    if order["status"] == PENDING:
        return visit.render("shop/token.html", {**context, **_waiting(visit, order)})
    context["moving"] = order["status"] in MOVING or order["status"] not in words.STATES
    return visit.render("shop/outcome.html", context)


def product_of(order: Row) -> catalogue.Product | None:
    """Return what was ordered, where it is in the catalogue still."""
    return catalogue.find(order["items"][0].get("sku", "")) if order["items"] else None


def _waiting(visit: Visit, order: Row) -> dict[str, Any]:
    challenge = order["two_factor"]["challenge"]
    campaign = visit.api.campaign()
    channels = {row["channel"] for row in visit.api.usable_devices()}
    return {
        **token_context(challenge, order["next_action"], campaign),
        "channels": [name for name in campaign["two_factor"]["channels"] if name in channels],
        "deadline": words.moment(challenge["deadline"]),
    }


@page()
def show_delivery(visit: Visit, order_id: UUID) -> HttpResponse:
    """Show what became of the message: the part of the token page that changes by itself."""
    order = visit.api.order(order_id)
    context = delivery_context(order["two_factor"]["challenge"], changed=order["status"] != PENDING)
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
    visit.api.resend(order_id, channel, key=f"resend-{order_id}-{nonce}-{channel}" if nonce else None)
    return visit.go(_here(order_id), "token_sent")


@action(back="shop:order")
def cancel_order(visit: Visit, order_id: UUID) -> HttpResponse:
    """Cancel an order that waits."""
    visit.api.cancel(order_id)
    return visit.go(_here(order_id))
