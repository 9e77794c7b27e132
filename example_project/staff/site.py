"""The admin site: nothing but its login opens with a password alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django_otp.admin import OTPAdminSite
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff.forms import StaffLoginForm

SESSION_LIFE = timedelta(hours=10)
"""A working day: then both factors are asked for again."""


class StaffAdminSite(OTPAdminSite):
    """Asks for an authenticator's code beside the password."""

    site_header = site_title = _("Points")
    login_form = StaffLoginForm
    login_template = "staff/login.html"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active staff whom an authenticator has verified, and no other kind of device.

        A participant's phone is a device of django-otp as well, and a storefront may register one: where a member of
        staff takes part in a campaign, it must not open the admin.
        """
        return bool(super().has_permission(request)) and is_verified(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, extra_context)
        if request.method == "POST" and is_verified(request.user):
            request.session.set_expiry(int(SESSION_LIFE.total_seconds()))
        return response


def is_verified(user: Any) -> bool:
    """Tell whether this session was opened with a confirmed authenticator of this user."""
    device = getattr(user, "otp_device", None)
    return isinstance(device, TOTPDevice) and device.confirmed
