"""Events: the audit trail, as it was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.explanations import who
from twofa.admin.sections import moment
from twofa.models import Event

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class AboutFilter(admin.SimpleListFilter):
    """By the first word of the type: a list of all types that occur would read the whole table."""

    title = _("subject")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return (
            ("campaign", _("campaigns")),
            ("role", _("roles of staff")),
            ("storefront", _("storefronts")),
            ("participant", _("participants")),
            ("device", _("devices")),
            ("redemption", _("redemptions")),
            ("points", _("points")),
            ("challenge", _("challenges")),
            ("delivery", _("messages")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset if self.value() is None else queryset.filter(type__startswith=f"{self.value()}.")


def _unit(event: Event) -> str:
    return event.campaign.unit if event.campaign is not None else ""


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """An event may outlive what it speaks of, so its page shows ids and follows none of them."""

    list_display = ("when", "what", "who", "shown_data", "correlation_id")
    list_filter = (AboutFilter, "actor_kind", "created_at")
    sortable_by = ("when",)
    search_fields = ("correlation_id__exact",)
    search_help_text = _("A correlation id, or the id of a redemption or challenge, exactly.")
    uuid_fields = ("redemption_id", "challenge_id")
    ordering = ("-id",)
    # Its unit says what a threshold counts; an outer join, because the campaign may be gone.
    list_select_related = ("campaign",)
    fieldsets = (
        (None, {"fields": ("when", "what", "who", "all_data")}),
        (
            _("About"),
            {
                "fields": (
                    "about_campaign",
                    "about_storefront",
                    "about_participant",
                    "about_device",
                    "about_redemption",
                    "about_challenge",
                    "about_delivery",
                )
            },
        ),
        (_("Trace"), {"fields": ("correlation_id",)}),
    )

    @admin.display(description=_("when"), ordering="id")
    def when(self, event: Event) -> str:
        """Show seconds: what belongs together happened within one."""
        return moment(event.created_at)

    @admin.display(description=_("what"), ordering="type")
    def what(self, event: Event) -> StrOrPromise:
        return event.label

    @admin.display(description=_("who"))
    def who(self, event: Event) -> str:
        return who(event)

    @admin.display(description=_("details"))
    def shown_data(self, event: Event) -> str:
        return words.details(event.data, unit=_unit(event)) or "—"

    @admin.display(description=_("details"))
    def all_data(self, event: Event) -> str:
        """Show one line for each thing, and none cut off."""
        lines = [(line,) for line in words.listed(event.data, unit=_unit(event))]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", lines)) if lines else "—"

    @admin.display(description=_("campaign"))
    def about_campaign(self, event: Event) -> object:
        return words.plain(event.campaign_id)

    @admin.display(description=_("storefront"))
    def about_storefront(self, event: Event) -> object:
        return words.plain(event.storefront_id)

    @admin.display(description=_("participant"))
    def about_participant(self, event: Event) -> object:
        return words.plain(event.participant_id)

    @admin.display(description=_("device"))
    def about_device(self, event: Event) -> object:
        return words.plain(event.device_id)

    @admin.display(description=_("redemption"))
    def about_redemption(self, event: Event) -> object:
        return words.plain(event.redemption_id)

    @admin.display(description=_("challenge"))
    def about_challenge(self, event: Event) -> object:
        return words.plain(event.challenge_id)

    @admin.display(description=_("delivery"))
    def about_delivery(self, event: Event) -> object:
        return words.plain(event.delivery_id)
