"""Who the member is: the checklist, one document at a time, and what staff said about each."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from example_project.shop import catalogue, customers, steps
from example_project.shop.client import Refused
from example_project.shop.tokens import new_nonce, nonce_of
from example_project.shop.uploads import file_of, is_too_large
from example_project.shop.visits import POLICY, Visit, action, page, params_of

_POLICY = POLICY.replace("img-src 'self'", "img-src 'self' blob:")
"""The picture that was chosen is shown before it is sent, by an address that only this very page can make."""


def lead(visit: Visit, refused: Refused) -> HttpResponse:
    """Send a member, whose order the programme does not take yet, to where they do what is missing."""
    missing = refused.members.get("missing", [])
    if steps.APPROVER_DEVICE in missing:
        return visit.go(reverse("shop:orders"), "approver_unreached")
    if steps.DEVICE in missing and any(row["held"] for row in visit.api.devices()):
        return visit.go(reverse("shop:contacts"), "device_held")
    if missing == [steps.DEVICE]:
        return visit.go(reverse("shop:contacts"), refused.code)
    return visit.go(reverse("shop:onboarding"), "identity_needed")


@page()
def show_onboarding(visit: Visit) -> HttpResponse:
    """Show what is asked for, with the first thing to do unfolded."""
    return _show(visit)


@page()
def show_step(visit: Visit, wanted: str) -> HttpResponse:
    """Show the same, with one step unfolded."""
    return _show(visit, wanted)


def _show(visit: Visit, opened: str = "") -> HttpResponse:
    returning = catalogue.find(customers.waiting_return(visit.request) or "")
    context = {"checklist": _checklist(visit, opened), "nonce": new_nonce(), "returning": returning}
    response = visit.render("shop/onboarding.html", {**context, "opened": opened, "here": "onboarding"})
    response["Content-Security-Policy"] = _POLICY
    return response


@page()
def show_status(visit: Visit) -> HttpResponse:
    """Show the part of the page that changes by itself, when staff have decided."""
    returning = catalogue.find(customers.waiting_return(visit.request) or "")
    context = {"checklist": _checklist(visit), "nonce": new_nonce(), "returning": returning}
    return visit.render("shop/parts/checklist.html", context)


def _checklist(visit: Visit, opened: str = "") -> steps.Checklist:
    return steps.checklist(visit.api.onboarding(), opened)


@sensitive_variables("file")
@action(back="shop:onboarding-step")
def send_document(visit: Visit, wanted: str) -> HttpResponse:
    """Send one picture. The same page sent twice sends it once."""
    asked = steps.split(wanted, visit.api.campaign(), visit.request.POST.get("kind", ""))
    if asked is None:
        raise Http404
    if is_too_large(visit.request):
        return _refuse_file(visit, wanted, "file_too_large")
    file = file_of(visit.request)
    if not file:
        return _refuse_file(visit, wanted, "empty_file" if visit.request.FILES else "no_file")
    nonce = nonce_of(visit)
    try:
        visit.api.send_document(*asked, file, key=f"document-{nonce}-{wanted}" if nonce else None)
    except Refused as refused:
        if refused.code == "payload_too_large":
            return _refuse_file(visit, wanted, "file_too_large")
        if refused.code == "invalid":
            return visit.go(_here(wanted), "file_refused", params_of(refused))
        raise
    return visit.go(reverse("shop:onboarding"), "document_sent")


@action(back="shop:onboarding-step", public=True)
def refuse_large(visit: Visit, wanted: str) -> HttpResponse:
    """Say that a file is too large to be read at all."""
    if visit.customer is None:
        return redirect("shop:sign-in")
    return _refuse_file(visit, wanted, "file_too_large")


def _refuse_file(visit: Visit, wanted: str, why: str) -> HttpResponse:
    return visit.go(_here(wanted), "file_refused", {"field_code": why})


def _here(wanted: str) -> str:
    return reverse("shop:onboarding-step", args=[wanted])
