"""Devices: masked, and reset by staff where a participant lost one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from twofa.admin import disclosures
from twofa.admin.actions import FlowAction
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, HeldFilter, SomeRelatedFilter
from twofa.admin.sections import BAD, Section, badge
from twofa.admin.timelines import LATEST_EVENTS, timeline
from twofa.flows import devices, holds
from twofa.flows.disclosures import show_contact
from twofa.models import Device, Event

LATEST = 50
RELEASE = FlowAction(
    name="release",
    label=_("Release the device"),
    permissions=("twofa.view_device", "twofa.release_device"),
    explanation=_(
        "Tokens go to this device again, and what it approves counts. Be sure that you speak with the participant, by "
        "a number that you had before: whoever has the device could say that it was a mistake."
    ),
    done=_("The device was released."),
    run=holds.release,
    offered=lambda device: device.is_held,
)


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    """The address itself is on no page: what is shown of it is its mask."""

    list_display = ("shown_device", "participant", "shown_status", "is_default", "usable_from", "created")
    sortable_by = ("created",)
    list_filter = (
        "status",
        HeldFilter,
        "channel",
        ("participant__campaign", SomeRelatedFilter),
        ("created_at", DateFilter),
    )
    list_select_related = ("participant",)
    linked_lookups = ("participant",)
    search_fields = ("participant__external_id__exact",)
    search_help_text = _("The participant's external id or the device's id, exactly.")
    uuid_fields = ("uuid",)
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("channel", "destination", "name", "participant", "uuid")}),
        (_("State"), {"fields": ("shown_status", "is_default", "usable_from", "held_at", "failures")}),
        (_("Times"), {"fields": ("created_at", "activated_at", "revoked_at")}),
    )
    flow_actions = (
        FlowAction(
            name="show-contact",
            label=_("Show the contact"),
            permissions=("twofa.view_device", "twofa.view_contacts"),
            explanation=_("The next page shows the address unmasked. That you saw it, and why, is kept."),
            done="",
            run=show_contact,
        ),
        RELEASE,
        FlowAction(
            name="reset",
            label=_("Reset the device"),
            permissions=("twofa.view_device", "twofa.reset_device"),
            explanation=_(
                "The device is revoked, its open challenges are cancelled, the participant's access tokens are "
                "revoked, and every verified contact of theirs is told, this one too. Be sure that you speak with the "
                "participant: this is what a thief asks for. Recovery codes of theirs stay good: where it was stolen, "
                "let them make new ones, which voids the old."
            ),
            done=_("The device was reset."),
            run=devices.reset,
            offered=lambda device: device.status != Device.Status.REVOKED,
            is_destructive=True,
        ),
    )

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user} if action.name == "release" else {}

    @admin.display(description=_("device"))
    def shown_device(self, device: Device) -> str:
        """Show the channel above the mask, which is not broken."""
        return format_html('{} <span class="twofa-mask">{}</span>', device.get_channel_display(), device.destination)

    def answer(self, request: HttpRequest, action: FlowAction, row: Device, outcome: object) -> HttpResponse:
        if action.name == "show-contact":
            return disclosures.page(
                self, request, row, title=_("The contact"), label=row.get_channel_display(), text=str(outcome)
            )
        return super().answer(request, action, row, outcome)

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, row: Device) -> str:
        """Show that a held device waits for staff: that it is active looks as if all were well."""
        return badge(BAD, _("held: waits for staff")) if row.is_held else super().shown_status(row)

    def get_sections(self, request: HttpRequest, row: Device) -> list[Section]:
        # By participant as well, because that is what the index begins with.
        events = Event.objects.filter(participant_id=row.participant_id, device=row).order_by("-pk")[:LATEST]
        return [timeline(events, title=LATEST_EVENTS, newest_first=True, way=self.way(request))]
