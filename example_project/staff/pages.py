"""The page that an invitation leads to: password, QR code, code, done."""

from __future__ import annotations

import base64

import segno
from django.contrib import messages
from django.contrib.admin import site
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators
from example_project.staff.forms import CodeForm, PasswordForm


@sensitive_variables()
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enroll(request: HttpRequest, token: str) -> HttpResponse:
    """Take the password, show the QR code, take a code. A GET changes nothing: mail scanners open links."""
    invitation = authenticators.invited(token)
    if invitation is None:
        return _show(request, "over.html", status=410)
    if request.method != "POST":
        return _show(request, "password.html", form=PasswordForm())
    return _take_code(request, invitation) if "proof" in request.POST else _take_password(request, invitation)


@sensitive_variables()
def _take_password(request: HttpRequest, invitation: TOTPDevice) -> HttpResponse:
    form = PasswordForm(request.POST)
    if form.is_valid():
        proof = authenticators.begin(invitation, form.cleaned_data["password"])
        if proof is not None:
            return _show_secret(request, invitation, CodeForm(initial={"proof": proof}))
        form.add_error("password", _("That is not your password. After five wrong ones this link is over."))
    return _show(request, "password.html", form=form)


@sensitive_variables()
def _take_code(request: HttpRequest, invitation: TOTPDevice) -> HttpResponse:
    form = CodeForm(request.POST)
    if not authenticators.proven(invitation, str(request.POST.get("proof", ""))):
        again = PasswordForm()
        return _show(request, "password.html", form=again, notice=_("That took too long. Type your password again."))
    if form.is_valid():
        if authenticators.confirm(invitation, form.cleaned_data["code"]):
            logout(request)  # whoever was signed in here before starts anew
            messages.success(request, _("Your authenticator is set up. Sign in with its next code."))
            return redirect("admin:login")
        form.add_error("code", authenticators.WRONG_CODE)
    return _show_secret(request, invitation, form)


@sensitive_variables()
def _show_secret(request: HttpRequest, invitation: TOTPDevice, form: CodeForm) -> HttpResponse:
    secret = base64.b32encode(invitation.bin_key).decode()
    grouped = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return _show(
        request, "code.html", form=form, qr=draw(invitation.config_url), uri=invitation.config_url, secret=grouped
    )


def _show(request: HttpRequest, template: str, *, status: int = 200, **context: object) -> HttpResponse:
    named = {"title": _("Set up your authenticator"), "site_header": site.site_header, "site_title": site.site_title}
    response = render(request, f"staff/{template}", {**named, **context}, status=status)
    # The address is half of a secret: no other page and no file hears of it. Not "no-referrer", with which browsers
    # send forms as from nowhere, and Django refuses them.
    response["Referrer-Policy"] = "strict-origin"
    return response


def draw(uri: str) -> SafeString:
    """Return a QR code as SVG, black on white in the dark as well: readers need the contrast."""
    drawn = segno.make(uri, micro=False, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff")
    return mark_safe(drawn)  # noqa: S308 - made of numbers: the text of the code is nowhere in it
