"""Events: the audit trail, as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.explanations import who
from twofa.admin.lists import DateFilter
from twofa.admin.sections import Cell, Section, cells, moment
from twofa.models import SUBJECT, Challenge, Event

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SUBJECTS: tuple[tuple[str, StrOrPromise, tuple[str, ...]], ...] = (
    ("campaign", _("campaign"), ()),
    ("storefront", _("storefront"), ()),
    ("participant", _("participant"), ("document_number",)),
    ("device", _("device"), ("address",)),
    ("redemption", _("redemption"), ("approved_digest",)),
    ("challenge", _("challenge"), Challenge.SECRET_COLUMNS),
    ("delivery", _("delivery"), ("address",)),
)
UNREDEEMED = (
    "approver",
    "batch",
    "campaign",
    "device",
    "document",
    "message_template",
    "participant",
    "prefix",
    "recovery_codes",
    "redemptions",
    "role",
    "safe_number",
    "storefront",
    "webhook_endpoint",
)
"""Subjects whose events are of no redemption: rare ones, which have an index of their own."""


class AboutFilter(admin.SimpleListFilter):
    """By the first word of the type: a list of all types that occur would read the whole table."""

    title = _("what it is about")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return (
            ("campaign", _("campaigns")),
            ("role", _("roles of staff")),
            ("storefront", _("storefronts")),
            ("participant", _("participants")),
            ("device", _("devices")),
            ("authenticator", _("authenticator apps")),
            ("recovery_codes", _("recovery codes")),
            ("document", _("identity documents")),
            ("approver", _("approvers")),
            ("redemption", _("redemptions")),
            ("batch", _("batches")),
            ("case", _("cases")),
            ("redemptions", _("exports of redemptions")),
            ("points", _("points")),
            ("challenge", _("challenges")),
            ("delivery", _("messages")),
            ("message_template", _("message texts")),
            ("prefix", _("pauses of prefixes")),
            ("safe_number", _("safe numbers")),
            ("webhook_endpoint", _("webhook endpoints")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        subject = self.value()
        if subject is None:
            return queryset
        found = queryset.alias(subject=SUBJECT).filter(subject=subject)
        return found.filter(redemption=None) if subject in UNREDEEMED else found


def _unit(event: Event) -> str:
    return event.campaign.unit if event.campaign is not None else ""


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """An event may outlive what it speaks of: its page leads to what is still there."""

    list_display = ("when", "what", "who", "shown_data", "correlation_id")
    list_filter = (AboutFilter, "actor_kind", ("created_at", DateFilter))
    sortable_by = ("when",)
    search_fields = ("correlation_id__exact",)
    search_help_text = _("A correlation id, or the id of a redemption or challenge, exactly.")
    uuid_fields = ("redemption_id", "challenge_id")
    ordering = ("-id",)
    # Its unit says what a threshold counts; an outer join, because the campaign may be gone.
    list_select_related = ("campaign",)
    fieldsets = (
        (None, {"fields": ("when", "what", "who", "all_data")}),
        (_("Trace"), {"fields": ("correlation_id",)}),
    )

    def questions(self, term: str) -> list[Q]:
        """Ask all in one: the columns are of this table, where indexes can be joined, and a trail may be very long."""
        return [Q(*super().questions(term), _connector=Q.OR)]

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

    def get_sections(self, request: HttpRequest, row: Event) -> list[Section]:
        return [about(row, self.way(request))]


def about(event: Event, way: Callable[[Model], str]) -> Section:
    """Return what an event speaks of: with the way to it, or its bare id where it is no more."""
    lines = []
    for name, title, hidden in SUBJECTS:
        column: Any = event._meta.get_field(name)
        pk = getattr(event, column.attname)
        if pk is not None:
            found = column.related_model._base_manager.defer(*hidden).filter(pk=pk).first()
            said = Cell(_("it is no more")) if found is None else Cell(str(found), url=way(found))
            lines.append(cells(title, said, pk))
    return Section(
        _("About"), (_("what"), _("which"), _("id")), lines, empty=_("Nothing in particular."), anchor="about"
    )
