"""Users, with invitations; and no page on authenticators, which would show their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators

if TYPE_CHECKING:
    _UserAdmin = UserAdmin[User]
else:
    _UserAdmin = UserAdmin

# django-otp's own page shows the secret and its QR code, and lets whoever may edit it put in one that they know.
admin.site.unregister(TOTPDevice)
admin.site.unregister(User)


@admin.register(User)
class StaffUserAdmin(_UserAdmin):
    """Django's, and the way to a second factor."""

    actions = ["invite"]

    def get_actions(self, request: HttpRequest) -> Any:
        """An invitation and a password set by the same person would let them in as somebody else: superusers only."""
        actions = super().get_actions(request)
        if not request.user.is_superuser:
            actions.pop("invite", None)
        return actions

    @admin.action(description=gettext_lazy("Invite to set up an authenticator"))
    def invite(self, request: HttpRequest, users: QuerySet[User]) -> HttpResponse | None:
        """Show the link of one invitation."""
        chosen = list(users[:2])
        if len(chosen) != 1 or not (chosen[0].is_staff and chosen[0].is_active):
            self.message_user(request, _("Choose one active user who is staff."), messages.ERROR)
            return None
        user = chosen[0]
        token = authenticators.link_token(authenticators.invite(user))
        change = _("Invited to set up an authenticator.")
        LogEntry.objects.log_actions(str(request.user.pk), [user], CHANGE, change, single_object=True)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Invitation"),
            "invited": user.get_username(),
            # Without the host, which the request could lie about: the browser knows where it is.
            "link": reverse("enroll", args=[token]),
        }
        response = render(request, "staff/invited.html", context)
        response["Cache-Control"] = "no-store"
        return response
