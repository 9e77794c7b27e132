"""Challenges: what was asked, how often it was tried, and how it ended. Never the token, its seed or its seals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from twofa.admin import searches, stuck, words
from twofa.admin.actions import Tool
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import Section
from twofa.admin.timelines import READ, timeline
from twofa.models import STEP_UP, Challenge, Channel, Delivery, Event, Family, Purpose, in_family

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class PurposeFilter(admin.SimpleListFilter):
    """By the purpose, in words; the step-ups of all storefronts are one."""

    title = _("purpose")
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return (*Purpose.choices, ("step_up", _("step-up")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Challenge]) -> QuerySet[Challenge]:
        if self.value() == "step_up":
            return queryset.filter(purpose__startswith=STEP_UP)
        return queryset if self.value() is None else queryset.filter(purpose=self.value())


class FamilyFilter(admin.SimpleListFilter):
    """By the family of the purpose: what is spent of one budget."""

    title = _("kind of purpose")
    parameter_name = "family"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return Family.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Challenge]) -> QuerySet[Challenge]:
        family = self.value()
        return queryset.filter(in_family(family)) if family in Family.values else queryset


@admin.register(Challenge)
class ChallengeAdmin(ReadOnlyAdmin):
    list_display = (
        "created",
        "shown_purpose",
        "campaign",
        "participant",
        "channel",
        "shown_status",
        "shown_attempts",
    )
    list_filter = (
        "status",
        FamilyFilter,
        PurposeFilter,
        "channel",
        ("campaign", SomeRelatedFilter),
        ("created_at", DateFilter),
    )
    list_select_related = ("campaign", "participant")
    linked_lookups = ("participant",)
    sortable_by = ("created",)
    search_fields = (
        "participant__external_id__exact",
        "redemption__order_id__exact",
        "batch__request_id__exact",
    )
    search_help_text = _(
        "A participant's external id, an order id, a request id, a correlation id or a challenge's id, exactly."
    )
    uuid_fields = ("id", "redemption_id", "batch_id")
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "shown_purpose",
                    "description",
                    "redemption",
                    "batch",
                    "action",
                    "subject",
                    "participant",
                    "campaign",
                    "storefront",
                )
            },
        ),
        (_("State"), {"fields": ("shown_status", "shown_attempts", "shown_resends", "generation")}),
        (_("Contact"), {"fields": ("channel", "destination", "device", "channel_chosen")}),
        (_("Times"), {"fields": ("created_at", "issued_at", "expires_at", "deadline", "ended_at")}),
        (
            _("Policy it began with"),
            {
                "fields": (
                    "policy_version",
                    "shown_token",
                    "shown_ttl",
                    "shown_cooldown",
                    "shown_channels",
                )
            },
        ),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )

    @admin.display(description=_("purpose"), ordering="purpose")
    def shown_purpose(self, challenge: Challenge) -> str:
        return challenge.purpose_label

    @admin.display(description=_("attempts"), ordering="attempts")
    def shown_attempts(self, challenge: Challenge) -> str:
        return f"{challenge.attempts} / {challenge.max_attempts}"

    @admin.display(description=_("resends"), ordering="resends")
    def shown_resends(self, challenge: Challenge) -> str:
        return f"{challenge.resends} / {challenge.max_resends}"

    @admin.display(description=_("form of the token"))
    def shown_token(self, challenge: Challenge) -> str:
        return f"{challenge.token_length} × {challenge.get_token_alphabet_display()}"

    @admin.display(description=_("token life"))
    def shown_ttl(self, challenge: Challenge) -> str:
        return words.duration(challenge.token_ttl)

    @admin.display(description=_("pause between messages"))
    def shown_cooldown(self, challenge: Challenge) -> str:
        return words.duration(challenge.resend_cooldown)

    @admin.display(description=_("allowed channels"))
    def shown_channels(self, challenge: Challenge) -> str:
        return words.chosen(challenge.allowed_channels, Channel.choices)

    def questions(self, term: str) -> list[Q]:
        """Ask by the correlation id of any request about a challenge, as the list of redemptions does."""
        return [*super().questions(term), Q(pk__in=searches.traced("challenge_id", term))]

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "storefront", "redemption", "batch", "device", "subject")
        return super().get_queryset(request).select_related(*related).defer(*Challenge.SECRET_COLUMNS)

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        return stuck.tools(self, request)

    def get_sections(self, request: HttpRequest, row: Challenge) -> list[Section]:
        events = Event.objects.filter(challenge=row).order_by("-pk")[:READ]
        deliveries = Delivery.objects.filter(challenge=row).defer("address").order_by("-pk")[:READ]
        return [timeline(events, deliveries, way=self.way(request))]
