"""Deliveries: which message went where, by whom, and why it did not arrive; and the sandbox of test campaigns."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from twofa.admin import sandbox
from twofa.admin.base import ReadOnlyAdmin, Tool
from twofa.admin.sections import Section, tone_of
from twofa.admin.timelines import timeline
from twofa.models import Delivery, Event


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "event",
        "campaign",
        "channel",
        "destination",
        "shown_status",
        "reason",
        "tries",
        "sent_at",
    )
    list_filter = ("status", "channel", "event", "campaign", "created_at")
    list_select_related = ("campaign",)
    search_fields = ("correlation_id__exact", "provider_message_id__exact")
    search_help_text = _("A correlation id, a provider's id, or a challenge's id, exactly.")
    uuid_fields = ("challenge_id", "challenge__redemption_id")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("event", "campaign", "participant", "challenge", "generation")}),
        (_("Contact"), {"fields": ("channel", "destination", "device")}),
        (_("State"), {"fields": ("shown_status", "reason", "tries", "reminted", "due_at", "leased_until")}),
        (_("Provider"), {"fields": ("provider_message_id", "sent_at")}),
        (_("Trace"), {"fields": ("correlation_id", "created_at")}),
    )

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, delivery: Delivery) -> str:
        tone, label = tone_of(delivery.status), delivery.get_status_display()
        return format_html('<span class="twofa-tone twofa-tone-{}">{}</span>', tone, label)

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "challenge", "device")
        hidden = ("address", "challenge__seed", "challenge__superseded", "challenge__accepted")
        return super().get_queryset(request).select_related(*related).defer(*hidden)

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool(_("Sandbox"), self.page("sandbox"))]

    def get_sections(self, request: HttpRequest, row: Delivery) -> list[Section]:
        if row.challenge_id is None:
            return []
        events = Event.objects.filter(challenge_id=row.challenge_id, delivery=row).order_by("pk")
        return [timeline(events)]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.sandbox_view)
        return [path("sandbox/", view, name="twofa_delivery_sandbox"), *super().get_urls()]

    def sandbox_view(self, request: HttpRequest) -> HttpResponse:
        """Show the messages of test campaigns."""
        return sandbox.page(self, request)
