"""Several products at once: chosen on one page, confirmed by one token, each line with its own outcome."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import customers, people, words
from example_project.shop.catalogue import PRODUCTS, Basket
from example_project.shop.client import Refused
from example_project.shop.forms import TokenForm
from example_project.shop.tokens import nonce_of, note_way, order_context, way_context
from example_project.shop.views import onboarding
from example_project.shop.views.orders import PENDING, is_not_me, product_of
from example_project.shop.views.products import FINAL
from example_project.shop.visits import Visit, action, page, params_of

MOST = 9
"""Of one product."""
_MOVING = frozenset({"completing"})


def _here(pk: UUID | str) -> str:
    return reverse("shop:batch", args=[pk])


@page()
def show_basket(visit: Visit) -> HttpResponse:
    """Show all products, with how many of each."""
    kept = customers.chosen(visit.request)
    context = {
        "rows": [(product, kept.get(product.slug, 0)) for product in PRODUCTS],
        "most": MOST,
        "draft": customers.draft(visit.request, visit.member, Basket({})),
        "approver_from": visit.api.campaign()["two_factor"].get("approver_threshold"),
        "here": "front",
    }
    return visit.render("shop/basket.html", context)


@action(back="shop:basket")
def place_batch(visit: Visit) -> HttpResponse:
    """Open the orders of the form. Sent twice, they are opened once."""
    here, basket = reverse("shop:basket"), _basket(visit)
    customers.remember_chosen(visit.request, basket.quantities)
    draft = customers.read_draft(visit.request.POST.get("order", ""), visit.member, basket)
    if draft is None:
        customers.finish_draft(visit.request, basket)
        return visit.go(here, "stale_form")
    if not basket.lines:
        return visit.go(here, "empty_basket")
    visit.speak()
    try:
        batch = visit.api.place_batch(basket, draft)
    except Refused as refused:
        if refused.code in FINAL:
            customers.finish_draft(visit.request, basket)
        if refused.code != "onboarding_incomplete":
            return visit.go(here, refused.code, params_of(refused))
        return onboarding.lead(visit, refused)
    customers.finish_draft(visit.request, basket, batch["id"])
    customers.remember_chosen(visit.request, {})
    note_way(visit, batch)
    return visit.go(_here(batch["id"]))


def _basket(visit: Visit) -> Basket:
    """Return what was chosen; what is no number is none."""
    given = {product.slug: visit.request.POST.get(f"quantity-{product.slug}", "") for product in PRODUCTS}
    return Basket({slug: min(int(text), MOST) for slug, text in given.items() if text.isascii() and text.isdigit()})


@page()
def show_batch(visit: Visit, batch_id: UUID) -> HttpResponse:
    """Show the lines and how each stands: one address for all states, as with a single order."""
    batch = visit.api.batch(batch_id)
    two = people.of_order(visit, batch)
    context: dict[str, Any] = {
        "batch": batch,
        "lines": [(line, product_of(line)) for line in batch["redemptions"]],
        "waiting": batch["status"] == PENDING,
        "moving": batch["status"] in _MOVING or batch["status"] not in words.STATES,
        "not_me": is_not_me(batch),
        "here": "approvals" if two.get("approving") else "orders",
        **two,
    }
    if context["waiting"]:
        context |= order_context(visit, batch)
    return visit.render("shop/batch.html", context)


@page()
def show_delivery(visit: Visit, batch_id: UUID) -> HttpResponse:
    """Show what became of the message: the part of the page that changes by itself."""
    batch = visit.api.batch(batch_id)
    context = way_context(visit, batch)
    return visit.render("shop/parts/delivery.html", {**context, "page_url": _here(batch_id)})


@sensitive_variables("form", "token")
@action(back="shop:batch")
def confirm_batch(visit: Visit, batch_id: UUID) -> HttpResponse:
    """Send the token. The same page sent twice is one attempt."""
    form = TokenForm(visit.request.POST)
    if not form.is_valid():
        return visit.go(_here(batch_id), "token_malformed")
    token: str = form.cleaned_data["token"]
    try:
        visit.api.confirm_batch(batch_id, token, key=f"confirm-{batch_id}-{form.cleaned_data['nonce']}")
    except Refused as refused:
        if refused.code != "onboarding_incomplete":
            raise
        return onboarding.lead(visit, refused)
    return visit.go(_here(batch_id))


@action(back="shop:batch")
def resend_token(visit: Visit, batch_id: UUID) -> HttpResponse:
    """Ask for a new token, perhaps on another channel. The same page sent twice asks once."""
    channel = visit.request.POST.get("channel", "")
    channel = channel if channel in words.CHANNELS else ""
    nonce = nonce_of(visit)
    visit.speak()
    key = f"resend-{batch_id}-{nonce}-{channel}" if nonce else None
    note_way(visit, visit.api.resend_batch(batch_id, channel, key=key))
    return visit.go(_here(batch_id), "token_sent")


@action(back="shop:batch")
def cancel_batch(visit: Visit, batch_id: UUID) -> HttpResponse:
    """Cancel all of it while it waits."""
    visit.api.cancel_batch(batch_id)
    return visit.go(_here(batch_id))
