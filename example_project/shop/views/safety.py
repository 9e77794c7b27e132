"""The member's safety: how tokens come, an authenticator app, recovery codes, where they are signed in."""

from __future__ import annotations

import base64
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import challenges, customers, words
from example_project.shop.client import Refused
from example_project.shop.forms import TokenForm
from example_project.shop.safety import ADD, CHANGES, CODES, OFF, Safety
from example_project.shop.storefront import APP, Row
from example_project.shop.tokens import channel_of, delivery_context, new_nonce, nonce_of, token_context
from example_project.shop.visits import POLICY, Visit, action, page, params_of

_POLICY = POLICY.replace("img-src 'self'", "img-src 'self' data:")
"""The picture that an app reads is in the page itself: at an address of its own it could be fetched a second time."""


@page()
def show_safety(visit: Visit) -> HttpResponse:
    """Show all of it on one page."""
    safety = Safety(visit.api)
    campaign, usable = visit.api.campaign(), visit.api.usable_devices()
    app = safety.app("active")
    ways = _ways(campaign, usable)
    mode, method = campaign["two_factor"]["mode"], visit.api.participant()["two_factor_method"]
    if mode == "required" and method == "none":
        # Asked all the same: by the main contact, where nothing was chosen.
        method = next((row["channel"] for row in usable if row["channel"] in ways), APP)
    context = {
        "method": method,
        "ways": [*ways, *([APP] if app else [])],
        "mode": mode,
        "app": app,
        "codes_left": safety.codes_left(),
        "sessions": [session_row(row, visit.member.session) for row in safety.sessions()],
        "nonce": new_nonce(),
        "here": "safety",
    }
    return visit.render("shop/safety.html", context)


def _ways(campaign: Row, usable: list[Row]) -> list[str]:
    """Return the channels by which a message can reach the member, in the programme's order."""
    known = {row["channel"] for row in usable}
    return [name for name in campaign["two_factor"]["channels"] if name in known]


def session_row(row: Row, own: str) -> Row:
    """Return a session, and whether it is this one."""
    return {**row, "is_this": row["id"] == own, "since": words.moment(row["created_at"])}


@action(back="shop:safety")
def choose_method(visit: Visit) -> HttpResponse:
    """Choose how a token comes, or none; switching it off waits for a token of the present contact."""
    method = visit.request.POST.get("method", "")
    if method not in ("none", APP, *visit.api.campaign()["two_factor"]["channels"]):
        raise Http404
    visit.speak()
    answer = Safety(visit.api).switch(method)
    if answer.get("authorization") is None:
        return visit.go(reverse("shop:safety"), {"none": "method_off", APP: "method_app"}.get(method, "method_chosen"))
    device = answer["next_action"]["path"].strip("/").split("/")[1]
    customers.remember_asked(visit.request, device, OFF)
    return redirect("shop:contact", device)


# --- what the present factor agrees to first --------------------------------------------------------------------------


@action(back="shop:safety", about=False)
def ask(visit: Visit, change: str) -> HttpResponse:
    """Begin a change: ask for a token where there is anything that one can go to."""
    if change not in CHANGES:
        raise Http404
    visit.speak()
    nonce = nonce_of(visit)
    challenge = Safety(visit.api).ask(change, key=f"{change}-{nonce}" if nonce else None)
    customers.keep_agreeing(visit.request, change, "" if challenge is None else challenge["id"])
    return redirect("shop:agree", change)


@page()
def show_agree(visit: Visit, change: str) -> HttpResponse:
    """Ask for the token that lets the change happen."""
    kept = customers.agreeing(visit.request, change)
    if kept is None:
        return visit.go(reverse("shop:safety"), "begin_again")
    context = {"change": change, "here": "safety", "nonce": new_nonce(), "takes_recovery_codes": True}
    if kept:
        challenge = challenges.read(visit.client, kept)
        if challenge["status"] != "pending":
            return visit.go(reverse("shop:safety"), "begin_again")
        campaign = visit.api.campaign()
        context |= token_context(challenge, {"type": "confirm_token"}, campaign)
        if challenge["channel"] == APP:
            context["channels"] = _ways(campaign, visit.api.usable_devices())
    return visit.render("shop/agree.html", context)


@page()
def show_delivery(visit: Visit, change: str) -> HttpResponse:
    """Show what became of the message."""
    kept = customers.agreeing(visit.request, change)
    challenge = challenges.read(visit.client, kept) if kept else None
    context = delivery_context(challenge, changed=challenge is None)
    return visit.render("shop/parts/delivery.html", {**context, "page_url": reverse("shop:agree", args=[change])})


@action(back="shop:agree")
def resend_token(visit: Visit, change: str) -> HttpResponse:
    """Send a new token."""
    kept, nonce = customers.agreeing(visit.request, change), nonce_of(visit)
    if not kept:
        return visit.go(reverse("shop:safety"), "begin_again")
    challenges.resend(visit.client, kept, nonce, channel_of(visit))
    return visit.go(reverse("shop:agree", args=[change]), "token_sent")


@sensitive_variables("form", "token", "authorization")
@action(back="shop:agree")
def agree(visit: Visit, change: str) -> HttpResponse:
    """Take the token, and make the change. What is shown once is the answer itself: a redirect could not carry it."""
    kept, safety = customers.agreeing(visit.request, change), Safety(visit.api)
    if kept is None or change not in CHANGES:
        return visit.go(reverse("shop:safety"), "begin_again")
    if kept:
        form = TokenForm(visit.request.POST)
        if not form.is_valid():
            return visit.go(reverse("shop:agree", args=[change]), "token_malformed")
        try:
            safety.agree(kept, form.cleaned_data["token"])
        except Refused as refused:
            over = refused.code in ("challenge_closed", "attempts_exhausted")
            path = reverse("shop:safety") if over else reverse("shop:agree", args=[change])
            return visit.go(path, refused.code, params_of(refused))
    customers.finish_agreeing(visit.request, change)
    try:
        return _change(visit, safety, change, kept or None)
    except Refused as refused:
        return visit.go(reverse("shop:safety"), refused.code, params_of(refused))


@sensitive_variables("enrolment", "codes")
def _change(visit: Visit, safety: Safety, change: str, authorization: str | None) -> HttpResponse:
    if change == ADD:
        return _show_enrolment(visit, safety.enrol(authorization))
    if change == CODES:
        return _show_codes(visit, safety.new_codes(authorization))
    safety.remove_app(authorization)
    return visit.go(reverse("shop:safety"), "app_removed")


@sensitive_variables()
def _show_enrolment(visit: Visit, enrolment: Row) -> HttpResponse:
    picture = base64.b64encode((enrolment["qr_svg"] or "").encode()).decode()
    secret = enrolment["otpauth_uri"].partition("secret=")[2].partition("&")[0]
    spaced = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
    shown = {"device": enrolment, "picture": picture, "secret": spaced, "uri": enrolment["otpauth_uri"]}
    response = visit.render("shop/app.html", {**shown, "here": "safety", "nonce": new_nonce()})
    response["Content-Security-Policy"] = _POLICY
    return response


@sensitive_variables()
def _show_codes(visit: Visit, codes: list[str]) -> HttpResponse:
    return visit.render("shop/codes.html", {"codes": codes, "here": "safety"})


# --- the app ----------------------------------------------------------------------------------------------------------


@page()
def show_app(visit: Visit, device_id: UUID) -> HttpResponse:
    """Ask for the first code of an app once more, without its picture, which was shown once."""
    pending = Safety(visit.api).app("pending")
    if pending is None or pending["id"] != str(device_id):
        return redirect("shop:safety")
    return visit.render("shop/app.html", {"device": pending, "here": "safety", "nonce": new_nonce()})


@sensitive_variables("form", "confirmed")
@action(back="shop:app")
def confirm_app(visit: Visit, device_id: UUID) -> HttpResponse:
    """Take the first code of an app; the first recovery codes are shown then."""
    form = TokenForm(visit.request.POST)
    if not form.is_valid():
        return visit.go(reverse("shop:app", args=[device_id]), "token_malformed")
    try:
        confirmed = Safety(visit.api).confirm_app(device_id, form.cleaned_data["token"])
    except Refused as refused:
        if refused.code != "token_invalid":
            raise
        return visit.go(reverse("shop:app", args=[device_id]), "app_code_wrong")
    if confirmed.get("recovery_codes"):
        return _show_codes(visit, confirmed["recovery_codes"])
    return visit.go(reverse("shop:safety"), "app_active")


# --- sessions ---------------------------------------------------------------------------------------------------------


@action(back="shop:safety", about=False)
def end_session(visit: Visit, session_id: str) -> HttpResponse:
    """Sign one session out, which may be this one."""
    Safety(visit.api).end_session(session_id)
    if session_id == visit.member.session:
        return _out(visit)
    return visit.go(reverse("shop:safety"), "session_ended")


@action(back="shop:safety")
def end_sessions(visit: Visit) -> HttpResponse:
    """Sign the member out everywhere, here as well."""
    Safety(visit.api).end_sessions()
    return _out(visit)


def _out(visit: Visit) -> HttpResponse:
    customers.sign_out(visit.request)
    return visit.go(reverse("shop:sign-in"), "all_ended")
