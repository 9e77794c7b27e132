"""Participants: who they are, their devices and what they redeemed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.base import ReadOnlyAdmin, Tool
from twofa.admin.sections import Cell, Section, cells, moment, tone_of
from twofa.admin.timelines import timeline
from twofa.models import Event, Participant

if TYPE_CHECKING:
    from twofa.models import Device, Redemption

LATEST = 20


@admin.register(Participant)
class ParticipantAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "name", "campaign", "two_factor_method", "is_active", "created_at")
    list_filter = ("campaign", "two_factor_method", "is_active", "created_at")
    list_select_related = ("campaign",)
    search_fields = ("external_id__exact",)
    search_help_text = _("The external id, exactly.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("external_id", "name", "shown_document", "locale")}),
        (_("Place"), {"fields": ("campaign", "user", "is_active")}),
        (_("Two-factor"), {"fields": ("two_factor_method",)}),
        (_("Times"), {"fields": ("created_at", "updated_at")}),
    )

    @admin.display(description=_("document number"))
    def shown_document(self, participant: Participant) -> str:
        return words.masked(participant.document_number) or "—"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("campaign", "user")

    def get_tools(self, request: HttpRequest, row: Participant) -> list[Tool]:
        listed = reverse("admin:twofa_redemption_changelist", current_app=self.admin_site.name)
        link = f"{listed}?{urlencode({'participant__id__exact': row.pk})}"
        return [*super().get_tools(request, row), Tool(_("All redemptions"), link)]

    def get_sections(self, request: HttpRequest, row: Participant) -> list[Section]:
        latest = list(Event.objects.filter(participant=row).order_by("-created_at", "-pk")[:LATEST])
        return [self._devices(row), self._redemptions(row), timeline(latest, title=_("Latest events"))]

    def _devices(self, participant: Participant) -> Section:
        lines = [self._device(device) for device in participant.devices.all()]
        headers = (_("device"), _("status"), _("default"), _("usable from"), _("verified"), _("revoked"))
        return Section(_("Devices"), headers, lines)

    def _device(self, device: Device) -> list[Cell]:
        return cells(
            Cell(str(device), url=self.page_of(device)),
            Cell(device.get_status_display(), tone=tone_of(device.status)),
            words.plain(device.is_default),
            moment(device.usable_from),
            moment(device.activated_at),
            moment(device.revoked_at),
        )

    def _redemptions(self, participant: Participant) -> Section:
        lines = [self._redemption(redemption) for redemption in participant.redemptions.order_by("-id")[:LATEST]]
        headers = (_("order id"), _("amount"), _("status"), _("opened"))
        return Section(_("Latest redemptions"), headers, lines)

    def _redemption(self, redemption: Redemption) -> list[Cell]:
        return cells(
            Cell(redemption.order_id, url=self.page_of(redemption)),
            words.points(redemption.amount, redemption.unit),
            Cell(redemption.get_status_display(), tone=tone_of(redemption.status)),
            moment(redemption.created_at),
        )
