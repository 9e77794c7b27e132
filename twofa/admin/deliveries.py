"""Deliveries: which message went where, by whom, and why it did not arrive; and the sandbox of test campaigns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from twofa.admin import costs, sandbox, searches, stuck, words
from twofa.admin.actions import Tool
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import Section, moment
from twofa.admin.timelines import timeline
from twofa.models import MESSAGES, Challenge, Delivery, Event

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class MessageFilter(admin.SimpleListFilter):
    """By the message, in words: a list of those that occur would read the whole table."""

    title = _("message")
    parameter_name = "message"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return MESSAGES.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset if self.value() is None else queryset.filter(event=self.value())


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "when",
        "message",
        "shown_status",
        "shown_reason",
        "shown_destination",
        "participant",
        "campaign",
    )
    list_filter = ("status", "channel", MessageFilter, ("campaign", SomeRelatedFilter), ("created_at", DateFilter))
    list_select_related = ("campaign", "participant")
    sortable_by = ("when",)
    search_fields = (
        "provider_message_id__exact",
        "participant__external_id__exact",
        "challenge__redemption__order_id__exact",
    )
    search_help_text = _(
        "A participant's external id, an order id, a correlation id, a provider's id, or a challenge's id, exactly."
    )
    uuid_fields = ("challenge_id", "challenge__redemption_id")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("message", "campaign", "participant", "challenge", "generation")}),
        (_("Contact"), {"fields": ("channel", "destination", "device")}),
        (_("State"), {"fields": ("shown_status", "shown_reason", "tries", "reminted", "due_at", "leased_until")}),
        (_("Provider"), {"fields": ("provider", "provider_message_id", "shown_cost", "sent_at", "delivered_at")}),
        (_("Trace"), {"fields": ("correlation_id", "created_at")}),
    )

    @admin.display(description=_("when"), ordering="id")
    def when(self, delivery: Delivery) -> str:
        return moment(delivery.created_at)

    @admin.display(description=_("message"), ordering="event")
    def message(self, delivery: Delivery) -> StrOrPromise:
        return delivery.message_label

    @admin.display(description=_("destination"))
    def shown_destination(self, delivery: Delivery) -> str:
        """Show the channel above the mask, which is not broken."""
        return format_html(
            '{} <span class="twofa-mask">{}</span>', delivery.get_channel_display(), delivery.destination
        )

    @admin.display(description=_("reason"), ordering="reason")
    def shown_reason(self, delivery: Delivery) -> str:
        return words.reason(delivery.reason) or "—"

    @admin.display(description=_("cost"))
    def shown_cost(self, delivery: Delivery) -> str:
        return costs.money(delivery.cost)

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "challenge", "device")
        hidden = ("address", *(f"challenge__{name}" for name in Challenge.SECRET_COLUMNS))
        return super().get_queryset(request).select_related(*related).defer(*hidden)

    def questions(self, term: str) -> list[Q]:
        """Ask by the correlation id of any request about a challenge. A notice has none, and is found by its member."""
        of_challenges = Q(challenge_id__in=searches.traced("challenge_id", term))
        members = searches.traced("participant_id", term)
        notices = Q(participant_id__in=members, challenge=None, correlation_id=term)
        return [*super().questions(term), of_challenges, notices]

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool(_("Sandbox"), self.page("sandbox")), *stuck.tools(self, request)]

    def get_sections(self, request: HttpRequest, row: Delivery) -> list[Section]:
        # By what an index begins with: a notice is of no challenge.
        known = {"challenge_id": row.challenge_id} if row.challenge_id else {"participant_id": row.participant_id}
        events = Event.objects.filter(**known, delivery=row).order_by("pk")
        return [timeline(events, way=self.way(request))]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.sandbox_view)
        return [path("sandbox/", view, name="twofa_delivery_sandbox"), *super().get_urls()]

    def sandbox_view(self, request: HttpRequest) -> HttpResponse:
        """Show the messages of test campaigns."""
        return sandbox.page(self, request)
