"""Authenticator apps: listed without their secret, released and reset by staff, as devices are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from twofa.admin.actions import FlowAction
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, HeldFilter, SomeRelatedFilter
from twofa.admin.sections import BAD, Section, badge
from twofa.admin.timelines import timeline
from twofa.flows import authenticators
from twofa.models import Authenticator, Event

LATEST = 50


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """What may be known of an app: neither its secret nor a code of it, which is on no page of anybody's."""

    list_display = ("shown_name", "participant", "shown_status", "activated_at", "created")
    sortable_by = ("created",)
    list_filter = ("status", HeldFilter, ("participant__campaign", SomeRelatedFilter), ("created_at", DateFilter))
    list_select_related = ("participant",)
    linked_lookups = ("participant",)
    search_fields = ("participant__external_id__exact",)
    search_help_text = _("The participant's external id or the app's id, exactly.")
    uuid_fields = ("uuid",)
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("name", "participant", "uuid")}),
        (_("State"), {"fields": ("shown_status", "held_at", "failures")}),
        (_("Times"), {"fields": ("created_at", "activated_at", "approves_from", "revoked_at")}),
    )
    flow_actions = (
        FlowAction(
            name="release",
            label=_("Release the authenticator app"),
            permissions=("twofa.view_authenticator", "twofa.release_device"),
            explanation=_(
                "Its codes are taken again, its wrong ones are counted anew, and every verified contact of the "
                "participant is told. Be sure that you speak with the participant, by a number that you had before: a "
                "hundred wrong codes in a row are seldom a slip."
            ),
            done=_("The authenticator app was released."),
            run=authenticators.release,
            offered=lambda app: app.is_held,
        ),
        FlowAction(
            name="reset",
            label=_("Reset the authenticator app"),
            permissions=("twofa.view_authenticator", "twofa.reset_device"),
            explanation=_(
                "Its secret is erased, so no code of it is taken any more; the participant's access tokens are "
                "revoked, and every verified contact of theirs is told. Be sure that you speak with the participant: "
                "this is what a thief asks for. Recovery codes of theirs stay good: where it was stolen, let them make "
                "new ones, which voids the old."
            ),
            done=_("The authenticator app was reset."),
            run=authenticators.reset,
            offered=lambda app: app.status != Authenticator.Status.REVOKED,
            is_destructive=True,
        ),
    )

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user} if action.name == "release" else {}

    @admin.display(description=_("authenticator app"))
    def shown_name(self, row: Authenticator) -> str:
        """Show what its owner called it."""
        return str(row)

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, row: Authenticator) -> str:
        """Show that a held app waits for staff: that it is active looks as if all were well."""
        return badge(BAD, _("held: waits for staff")) if row.is_held else super().shown_status(row)

    def get_sections(self, request: HttpRequest, row: Authenticator) -> list[Section]:
        """Show what happened to the participant's apps: an event names none, for one is active at a time."""
        events = Event.objects.filter(participant_id=row.participant_id, type__startswith="authenticator.")
        title = _("Latest events of the participant's authenticator apps")
        return [timeline(events.order_by("-pk")[:LATEST], title=title, newest_first=True, way=self.way(request))]
