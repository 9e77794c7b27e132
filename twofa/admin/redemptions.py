"""Redemptions: why it was asked for a token, what happened, where the points are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.base import FlowAction, ReadOnlyAdmin, Tool
from twofa.admin.sections import Section, tone_of
from twofa.admin.timelines import MOST, timeline
from twofa.flows import completions, redemptions
from twofa.flows.history import Actor
from twofa.models import Challenge, Delivery, Event, Redemption

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Status, Points = Redemption.Status, Redemption.Points

POSITIONS: dict[str, StrOrPromise] = {
    Points.NONE: _("not set aside"),
    Points.RESERVED: _("set aside: neither spent nor free"),
    Points.COMPLETED: _("spent"),
    Points.RELEASED: _("given back"),
}


def is_parked(redemption: Redemption) -> bool:
    """Tell whether its completion waits for staff."""
    return redemption.parked_at is not None and redemption.status == Status.APPROVED


def cancel(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Cancel a redemption on behalf of no storefront."""
    return redemptions.cancel(redemption.pk, storefront=None, actor=actor, reason=reason)


def retry(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Try a parked completion again."""
    return completions.retry_completion(redemption.pk, actor=actor, reason=reason)


def fail(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Fail a parked completion."""
    return completions.fail_parked(redemption.pk, actor=actor, reason=reason)


def challenge_of(redemption: Redemption) -> Challenge | None:
    """Return the challenge of a redemption that has one, without what no page shows."""
    return Challenge.objects.filter(redemption=redemption).only("pk").first()


ACTIONS = (
    FlowAction(
        name="cancel",
        label=_("Cancel the redemption"),
        permissions=("twofa.view_redemption", "twofa.cancel_redemption"),
        explanation=_("Its token dies, and the points that were set aside are given back."),
        done=_("The redemption was cancelled."),
        run=cancel,
        offered=lambda redemption: redemption.status in (Status.PENDING, Status.SCHEDULED),
        is_destructive=True,
    ),
    FlowAction(
        name="retry-completion",
        label=_("Try to complete again"),
        permissions=("twofa.view_redemption", "twofa.retry_completion"),
        explanation=_("The points system is asked once more to spend the points. It recognises a repeated request."),
        done=_("The completion was tried again. The status below says how it went."),
        run=retry,
        offered=is_parked,
    ),
    FlowAction(
        name="fail",
        label=_("Fail and give the points back"),
        permissions=("twofa.view_redemption", "twofa.retry_completion"),
        explanation=_(
            "Nobody knows whether the points were spent: look into the points system first. "
            "If they were, do not do this."
        ),
        done=_("The redemption has failed and its points are given back."),
        run=fail,
        offered=is_parked,
        is_destructive=True,
    ),
)


class ParkedFilter(admin.SimpleListFilter):
    """Completions that wait for staff."""

    title = _("completion")
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return (("yes", _("parked: waits for staff")),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Redemption]) -> QuerySet[Redemption]:
        parked = queryset.filter(parked_at__isnull=False, status=Status.APPROVED)
        return parked if self.value() == "yes" else queryset


def _item(item: Mapping[str, Any], unit: str) -> str:
    amount = words.told("amount", item.get("amount"), unit)
    return f"{item.get('quantity')} × {item.get('name')} ({item.get('sku')}), {amount}"


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "campaign", "participant", "shown_amount", "shown_status", "points", "created_at")
    list_filter = (
        "status",
        "points",
        ParkedFilter,
        "campaign",
        "storefront",
        "two_factor_reason",
        "test",
        "created_at",
    )
    list_select_related = ("campaign", "participant")
    linked_lookups = ("participant",)
    search_fields = ("order_id__exact", "participant__external_id__exact", "correlation_id__exact")
    search_help_text = _("An order id, a participant's external id, a correlation id or a redemption's id, exactly.")
    uuid_fields = ("id",)
    # Ids are of version 7, so this is the order of time, and the primary key's index gives it.
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "order_id",
                    "shown_amount",
                    "description",
                    "shown_items",
                    "participant",
                    "campaign",
                    "storefront",
                    "test",
                )
            },
        ),
        (_("State"), {"fields": ("shown_status", "shown_points", "shown_failure", "completion_tries", "parked_at")}),
        (_("Two-factor"), {"fields": ("decision", "shown_inputs")}),
        (_("Times"), {"fields": ("created_at", "approved_at", "completed_at", "updated_at")}),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )
    flow_actions = ACTIONS

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, redemption: Redemption) -> str:
        return words.points(redemption.amount, redemption.unit)

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, redemption: Redemption) -> str:
        tone, label = tone_of(redemption.status), redemption.get_status_display()
        return format_html('<span class="twofa-tone twofa-tone-{}">{}</span>', tone, label)

    @admin.display(description=_("points"))
    def shown_points(self, redemption: Redemption) -> StrOrPromise:
        return POSITIONS[redemption.points]

    @admin.display(description=_("failure"))
    def shown_failure(self, redemption: Redemption) -> str:
        return ": ".join(filter(None, (words.reason(redemption.failure_code), redemption.failure_detail))) or "—"

    @admin.display(description=_("decision"))
    def decision(self, redemption: Redemption) -> str:
        """Say whether a token was asked for, and why."""
        asked = _("Asked for a token") if redemption.two_factor_required else _("Not asked for a token")
        version = _("policy version %(version)d") % {"version": redemption.policy_version}
        return f"{asked}: {redemption.get_two_factor_reason_display()} ({version})."

    @admin.display(description=_("decided from"))
    def shown_inputs(self, redemption: Redemption) -> str:
        return words.details(redemption.two_factor_inputs, unit=redemption.unit) or "—"

    @admin.display(description=_("items"))
    def shown_items(self, redemption: Redemption) -> str:
        return "; ".join(_item(item, redemption.unit) for item in redemption.items) or "—"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("campaign", "participant", "storefront")

    def get_tools(self, request: HttpRequest, row: Redemption) -> list[Tool]:
        challenge = challenge_of(row)
        link = [] if challenge is None else [Tool(_("Its challenge"), self.page_of(challenge))]
        return [*super().get_tools(request, row), *link]

    def get_sections(self, request: HttpRequest, row: Redemption) -> list[Section]:
        # What happened to a message is told of its challenge. Its id is read first: an equality has an index, a
        # subquery within an OR has none.
        challenge = challenge_of(row)
        if challenge is None:
            return [timeline(Event.objects.filter(redemption=row).order_by("pk")[:MOST])]
        events = Event.objects.filter(Q(redemption=row) | Q(challenge=challenge)).order_by("pk")[:MOST]
        deliveries = Delivery.objects.filter(challenge=challenge).order_by("pk")[:MOST]
        return [timeline(events, deliveries)]
