"""The member's phone and e-mail: added and proven by a token, changed by one from the present device."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import customers
from example_project.shop.client import Refused
from example_project.shop.forms import ContactForm, TokenForm
from example_project.shop.safety import OFF
from example_project.shop.tokens import delivery_context, new_nonce, nonce_of, token_context
from example_project.shop.visits import Visit, action, page, params_of

_REMOVE, _DEFAULT = "remove", "default"


def _here(pk: UUID | str) -> str:
    return reverse("shop:contact", args=[pk])


@page()
def show_contacts(visit: Visit) -> HttpResponse:
    """Show where tokens go, and two forms to add more."""
    campaign = visit.api.campaign()
    channels = campaign["two_factor"]["channels"]
    context = {
        "devices": visit.api.devices(),
        "phones": [name for name in channels if name != "email"],
        "takes_email": "email" in channels,
        "nonce": new_nonce(),
        "returning": customers.waiting_return(visit.request),
        "here": "contacts",
    }
    return visit.render("shop/contacts.html", context)


@action(back="shop:contacts")
def add_contact(visit: Visit) -> HttpResponse:
    """Register a phone or an address."""
    here, form = reverse("shop:contacts"), ContactForm(visit.request.POST)
    typed = {name: visit.request.POST.get(name, "")[:254] for name in ("channel", "address")}
    if not form.is_valid():
        return visit.go(here, "invalid", {"field_code": "required", **typed})
    channel, address = form.cleaned_data["channel"], form.cleaned_data["address"]
    nonce = nonce_of(visit)
    visit.speak()
    try:
        device = visit.api.register(channel, address, key=f"register-{nonce}" if nonce else None)
    except Refused as refused:
        return visit.go(here, refused.code, {**params_of(refused), **typed})
    if device["status"] == "active":
        return visit.go(here, "device_known")
    return visit.go(_here(device["id"]))


@page()
def show_contact(visit: Visit, device_id: UUID) -> HttpResponse:
    """Show one of them, with what it waits for."""
    device = visit.api.device(device_id)
    challenge = device["authorization"] or device["challenge"]
    context = {
        "device": device,
        "asked": customers.asked(visit.request, device["id"]),
        "authorizing": device["authorization"] is not None,
        "here": "contacts",
    }
    if challenge is not None:
        context |= token_context(challenge, device["next_action"], visit.api.campaign())
    elif device["status"] == "pending":
        context |= {"offers_resend": True, "nonce": new_nonce()}
    return visit.render("shop/contact.html", context)


@page()
def show_delivery(visit: Visit, device_id: UUID) -> HttpResponse:
    """Show what became of the message that a device waits for."""
    device = visit.api.device(device_id)
    challenge = device["authorization"] or device["challenge"]
    context = delivery_context(challenge, changed=challenge is None)
    return visit.render("shop/parts/delivery.html", {**context, "page_url": _here(device_id)})


@sensitive_variables("form", "token")
@action(back="shop:contact")
def verify_contact(visit: Visit, device_id: UUID) -> HttpResponse:
    """Prove that the phone or the address is the member's, by the token that went there."""
    form = TokenForm(visit.request.POST)
    if not form.is_valid():
        return visit.go(_here(device_id), "token_malformed")
    token: str = form.cleaned_data["token"]
    visit.api.answer_device(device_id, "verify", token, key=f"verify-{device_id}-{form.cleaned_data['nonce']}")
    if visit.member.proves_identity:
        return visit.go(reverse("shop:onboarding"), "device_active")
    slug = customers.take_return(visit.request)
    if slug is not None:
        return visit.go(reverse("shop:product", args=[slug]), "device_ready")
    return visit.go(reverse("shop:contacts"), "device_active")


@sensitive_variables("form", "token")
@action(back="shop:contact")
def authorize_contact(visit: Visit, device_id: UUID) -> HttpResponse:
    """Let a change happen, by the token that went to the present device."""
    form = TokenForm(visit.request.POST)
    if not form.is_valid():
        return visit.go(_here(device_id), "token_malformed")
    token: str = form.cleaned_data["token"]
    key = f"authorize-{device_id}-{form.cleaned_data['nonce']}"
    visit.speak()
    device = visit.api.answer_device(device_id, "authorize", token, key=key)
    if device["status"] == "pending":
        return visit.go(_here(device_id), "device_authorized")
    if customers.asked(visit.request, str(device_id)) == OFF:
        return visit.go(reverse("shop:safety"), "method_off")
    removed = device["status"] == "revoked"
    return visit.go(reverse("shop:contacts"), "device_removed" if removed else "device_default")


@action(back="shop:contact")
def resend_token(visit: Visit, device_id: UUID) -> HttpResponse:
    """Ask for a new token. The same page sent twice asks once."""
    nonce = nonce_of(visit)
    visit.speak()
    visit.api.resend_device(device_id, key=f"resend-{device_id}-{nonce}" if nonce else None)
    return visit.go(_here(device_id), "token_sent")


@action(back="shop:contact")
def make_default(visit: Visit, device_id: UUID) -> HttpResponse:
    """Ask that tokens go here first."""
    visit.speak()
    device = visit.api.make_default(device_id)
    if device["authorization"] is None:
        return visit.go(reverse("shop:contacts"), "device_default")
    customers.remember_asked(visit.request, str(device_id), _DEFAULT)
    return visit.go(_here(device_id))


@action(back="shop:contact")
def remove_contact(visit: Visit, device_id: UUID) -> HttpResponse:
    """Ask that it be removed: at once while it is not proven, else by a token."""
    visit.speak()
    device = visit.api.remove(device_id)
    if not device:
        return visit.go(reverse("shop:contacts"), "device_removed")
    customers.remember_asked(visit.request, str(device_id), _REMOVE)
    return visit.go(_here(device_id))
