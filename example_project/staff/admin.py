"""Users, with invitations; and no page on authenticators, which would show their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
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

RIGHTS = ("is_superuser", "is_staff", "groups", "user_permissions")
IDENTITY = ("username", "is_active")

# django-otp's own page shows the secret and its QR code, and lets whoever may edit it put in one that they know.
admin.site.unregister(TOTPDevice)
admin.site.unregister(User)


@admin.register(User)
class StaffUserAdmin(_UserAdmin):
    """Django's, and the way to a second factor.

    To Django, whoever may change users may make themselves a superuser, or set the password of one. What is for
    superusers only, as inviting is, would be one form away from a member of staff who corrects names.
    """

    actions = ["invite"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Rights are given by superusers; what stands here is not taken from a form, however it was posted."""
        given = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return given
        # Nor is a superuser locked out, or renamed, by somebody who corrects names.
        return (*given, *RIGHTS, *(IDENTITY if obj is not None and obj.is_superuser else ()))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Without the way to a password that could not be set."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or _may_set_password(request, obj):
            return fieldsets
        return [(title, {**shown, "fields": _without_password(shown["fields"])}) for title, shown in fieldsets]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Somebody else's password, and the invitation that a superuser sends them, would let two people in as them."""
        user = self.get_object(request, unquote(id))
        if user is not None and not _may_set_password(request, user):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

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


def _may_set_password(request: HttpRequest, user: User) -> bool:
    return request.user.is_superuser or user.pk == request.user.pk


def _without_password(fields: Any) -> list[Any]:
    return [field for field in fields if field != "password"]
