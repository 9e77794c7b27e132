"""The front: what there is to redeem, and who redeems."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from example_project.loyalty import ledger
from example_project.shop import customers
from example_project.shop.catalogue import PRODUCTS
from example_project.shop.client import Refused
from example_project.shop.customers import Customer
from example_project.shop.safety import Safety
from example_project.shop.storefront import Row, Storefront
from example_project.shop.visits import Visit, action, page


@page(public=True)
def show_front(visit: Visit) -> HttpResponse:
    """Show the catalogue."""
    return visit.render("shop/front.html", {"products": PRODUCTS, "here": "front"})


@page(public=True)
def show_privacy(visit: Visit) -> HttpResponse:
    """Show what becomes of pictures of documents."""
    return visit.render("shop/privacy.html")


@page(public=True)
def show_sign_in(visit: Visit) -> HttpResponse:
    """Show who may sign in."""
    found = [known(visit, member) for member in customers.members()]
    choices = [
        {"member": member, "campaign": campaign, "balances": ledger.balances_of(member.campaign, member.external_id)}
        for member, campaign in (each for each in found if each is not None)
    ]
    username = customers.coming(visit.request).get("username", "")
    context = {
        "choices": choices,
        "next": visit.request.GET.get("next", ""),
        "username": username,
        "closed": not settings.SHOP_CAMPAIGN,
    }
    return visit.render("shop/sign_in.html", context)


def known(visit: Visit, member: Customer) -> tuple[Customer, Row] | None:
    """Return the member with name and unit, and the campaign; None where the programme knows of none."""
    api = Storefront(visit.client, member)
    try:
        campaign = api.campaign()
        named = replace(
            member,
            name=api.participant()["name"],
            unit=campaign["unit"],
            proves_identity=campaign["identity_required"],
            needs_approval=campaign["two_factor"].get("approver_threshold") is not None,
        )
        return named, campaign
    except Refused as refused:
        if refused.code != "not_found":
            raise
    return None


@action(back="shop:sign-in", public=True)
def sign_in(visit: Visit) -> HttpResponse:
    """Become one of the demo's members."""
    wanted = visit.request.POST.get("customer", "")
    member = next((each for each in customers.members() if each.key == wanted), None)
    found = None if member is None else known(visit, member)
    if found is None:
        return visit.go(reverse("shop:sign-in"), "not_found")
    customers.sign_in(visit.request, found[0])
    # Not ``redirect``, which takes a word without a slash for the name of a view.
    return HttpResponseRedirect(path_after(visit, visit.request.POST.get("next", "")))


def path_after(visit: Visit, path: str) -> str:
    """Return where a visitor goes on who has signed in: to a page of this shop, and nowhere else."""
    ours = url_has_allowed_host_and_scheme(
        path, allowed_hosts={visit.request.get_host()}, require_https=visit.request.is_secure()
    )
    return path if ours else reverse("shop:front")


@action(back="shop:front", public=True)
def sign_out(visit: Visit) -> HttpResponse:
    """Stop being that member, and end the session of who came with a password."""
    customers.sign_out(visit.request)
    # Only then: here nobody is left signed in because the API does not answer; there the session ends within the hour.
    if visit.customer is not None and visit.customer.session:
        Safety(visit.api).end_session(visit.customer.session)
    return redirect("shop:front")
