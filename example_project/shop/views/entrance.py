"""The way in: sign up with a contact that a token proves, sign in with a password and a token."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.loyalty import ledger
from example_project.shop import challenges, customers, words
from example_project.shop.client import Refused
from example_project.shop.customers import Customer
from example_project.shop.forms import ContactForm, JoiningForm, PasswordForm
from example_project.shop.membership import Door, new_member, session_of
from example_project.shop.storefront import APP, Row
from example_project.shop.tokens import channel_of, delivery_context, new_nonce, nonce_of, token_context
from example_project.shop.views.front import known, path_after
from example_project.shop.visits import Visit, action, page, params_of

_FIELDS = ("name", "username", "password")
_OVER = {"challenge_closed", "attempts_exhausted", "not_found"}
"""After these the challenge of a sign-up is worth nothing: it begins anew."""


def _door(visit: Visit) -> Door:
    return Door(visit.client)


# --- signing up -------------------------------------------------------------------------------------------------------


@page(public=True)
def show_sign_up(visit: Visit) -> HttpResponse:
    """Ask for a phone or an e-mail, before there is any account."""
    channels = _door(visit).campaign()["two_factor"]["channels"]
    return visit.render("shop/sign_up.html", {"channels": channels, "nonce": new_nonce()})


@action(back="shop:sign-up", public=True)
def prove_contact(visit: Visit) -> HttpResponse:
    """Send a token to the contact."""
    here, form = reverse("shop:sign-up"), ContactForm(visit.request.POST)
    typed = {name: visit.request.POST.get(name, "")[:254] for name in ("channel", "address")}
    if not form.is_valid():
        return visit.go(here, "invalid", {"field_code": "required", **typed})
    nonce = nonce_of(visit)
    try:
        challenge = _door(visit).prove(
            **form.cleaned_data, language=words.tag(), key=f"prove-{nonce}" if nonce else None
        )
    except Refused as refused:
        return visit.go(here, refused.code, {**params_of(refused), **typed})
    customers.keep_coming(visit.request, challenge=challenge["id"], member=new_member())
    return redirect("shop:sign-up-token")


@page(public=True)
def show_sign_up_token(visit: Visit) -> HttpResponse:
    """Ask for the token, and for the name and password to sign in with from now on."""
    kept = customers.coming(visit.request)
    if "member" not in kept:
        return visit.go(reverse("shop:sign-up"), "no_sign_up")
    challenge = challenges.read(visit.client, kept["challenge"])
    if challenge["status"] not in ("pending", "approved"):
        return visit.go(reverse("shop:sign-up"), "no_sign_up")
    return visit.render("shop/sign_up_token.html", {**_token(visit, challenge), "typed": kept})


def _token(visit: Visit, challenge: Row) -> dict[str, Any]:
    """Return what a page needs that asks for the token of a challenge that stands alone."""
    campaign = _door(visit).campaign()
    # What a member has is known once they are in: until then all that the programme has is offered in place of an app.
    channels = campaign["two_factor"]["channels"] if challenge["channel"] == APP else []
    return {**token_context(challenge, {"type": "confirm_token"}, campaign), "asks_token": True, "channels": channels}


@page(public=True)
def show_delivery(visit: Visit) -> HttpResponse:
    """Show what became of the message, of a sign-up or a sign-in."""
    kept = customers.coming(visit.request)
    challenge = challenges.read(visit.client, kept["challenge"]) if kept else None
    page_url = reverse("shop:sign-up-token" if "member" in kept else "shop:sign-in-token")
    context = {**delivery_context(challenge, changed=challenge is None), "page_url": page_url}
    return visit.render("shop/parts/delivery.html", context)


@sensitive_variables("form", "members")
@action(back="shop:sign-up-token", public=True)
def sign_up(visit: Visit) -> HttpResponse:
    """Create the member with the contact that the token proves, and sign them in with the same token."""
    here, kept, form = reverse("shop:sign-up-token"), customers.coming(visit.request), JoiningForm(visit.request.POST)
    if "member" not in kept:
        return visit.go(reverse("shop:sign-up"), "no_sign_up")
    if not form.is_valid():
        return visit.go(here, "invalid", {"field_code": "required", **_at(*form.errors)})
    members: dict[str, Any] = form.cleaned_data
    customers.keep_coming(visit.request, **{**kept, "name": members["name"], "username": members["username"]})
    proof = {"challenge_id": kept["challenge"], "token": members["token"]}
    about = {name: members[name] for name in ("name", "username", "password")}
    door = _door(visit)
    try:
        door.sign_up(kept["member"], {**about, "locale": words.tag(), "contact_verification": proof})
    except Refused as refused:
        if refused.code in _OVER:
            return visit.go(reverse("shop:sign-up"), refused.code, params_of(refused))
        wrong = [error.get("field", "") for error in refused.members.get("errors") or []]
        return visit.go(here, refused.code, {**params_of(refused), **_at(*wrong)})
    ledger.welcome(door.slug, kept["member"])
    try:
        done = door.sign_in(members["username"], members["password"], members["token"])
    except Refused as refused:
        # The account is there: what is left is to sign in to it.
        return visit.go(reverse("shop:sign-in"), refused.code, params_of(refused) | {"username": members["username"]})
    return _enter(visit, done, reverse("shop:safety"), "welcome")


def _at(*wrong: str) -> dict[str, str]:
    """Return beside which field the page says what is wrong, where that is not the token."""
    return {"at": wrong[0]} if wrong and wrong[0] in _FIELDS else {}


# --- signing in -------------------------------------------------------------------------------------------------------


@sensitive_variables("form", "password")
@action(back="shop:sign-in", public=True)
def begin_sign_in(visit: Visit) -> HttpResponse:
    """Take name and password; where a token is asked for as well, lead to its page. The password is not kept."""
    here, form = reverse("shop:sign-in"), PasswordForm(visit.request.POST)
    if not form.is_valid() or not form.cleaned_data["username"]:
        return visit.go(here, "invalid", {"field_code": "required"})
    username, password = form.cleaned_data["username"], form.cleaned_data["password"]
    try:
        done = _door(visit).sign_in(username, password)
    except Refused as refused:
        if refused.code != "token_required":
            return visit.go(here, refused.code, {**params_of(refused), "username": username})
        challenge = refused.members["challenge"]["id"]
        after = visit.request.POST.get("next", "")[:500]
        customers.keep_coming(visit.request, challenge=challenge, username=username, next=after)
        return redirect("shop:sign-in-token")
    return _enter(visit, done, path_after(visit, visit.request.POST.get("next", "")))


@page(public=True)
def show_sign_in_token(visit: Visit) -> HttpResponse:
    """Ask for the token, and for the password once more: between the two nobody keeps it."""
    kept = customers.coming(visit.request)
    if "username" not in kept or "member" in kept:
        return visit.go(reverse("shop:sign-in"), "begin_again")
    challenge = challenges.read(visit.client, kept["challenge"])
    if challenge["status"] != "pending":
        return visit.go(reverse("shop:sign-in"), "begin_again")
    context = {**_token(visit, challenge), "typed": kept, "takes_recovery_codes": True}
    return visit.render("shop/sign_in_token.html", context)


@sensitive_variables("form", "password")
@action(back="shop:sign-in-token", public=True)
def finish_sign_in(visit: Visit) -> HttpResponse:
    """Sign in with password and token."""
    here, kept, form = reverse("shop:sign-in-token"), customers.coming(visit.request), PasswordForm(visit.request.POST)
    if "username" not in kept or "member" in kept:
        return visit.go(reverse("shop:sign-in"), "begin_again")
    if not form.is_valid() or not form.cleaned_data["token"]:
        return visit.go(here, "invalid", {"field_code": "required", **_at(*form.errors)})
    password, token = form.cleaned_data["password"], form.cleaned_data["token"]
    try:
        done = _door(visit).sign_in(kept["username"], password, token)
    except Refused as refused:
        if refused.code == "invalid_credentials":
            return visit.go(here, "password_wrong", _at("password"))
        over = refused.code in _OVER
        return visit.go(reverse("shop:sign-in") if over else here, refused.code, params_of(refused))
    return _enter(visit, done, path_after(visit, kept.get("next", "")))


@action(back="shop:sign-in", public=True)
def resend_token(visit: Visit) -> HttpResponse:
    """Send a new token to who is on the way in."""
    kept = customers.coming(visit.request)
    if not kept:
        return visit.go(reverse("shop:sign-in"), "begin_again")
    here, nonce = reverse("shop:sign-up-token" if "member" in kept else "shop:sign-in-token"), nonce_of(visit)
    try:
        challenges.resend(visit.client, kept["challenge"], nonce, channel_of(visit))
    except Refused as refused:
        return visit.go(here, refused.code, params_of(refused))
    return visit.go(here, "token_sent")


def _enter(visit: Visit, done: Row, path: str, notice: str = "") -> HttpResponse:
    """Let in whoever the API let in. Of the access token nothing is kept but the id of its session."""
    member = Customer(_door(visit).slug, done["participant"], session=session_of(done["access_token"]))
    found = known(visit, member)
    if found is None:
        return visit.go(reverse("shop:sign-in"), "not_found")
    customers.sign_in(visit.request, found[0])
    if notice:
        customers.keep_notice(visit.request, path, notice)
    return HttpResponseRedirect(path)
