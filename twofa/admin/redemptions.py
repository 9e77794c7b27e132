"""Redemptions: why it was asked for a token, what happened, where the points are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db import transaction  # noqa: TID251 - only to stay out of the host's
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from twofa.admin import exports, schedules, searches, stories, stuck, words
from twofa.admin.actions import FlowAction, Tool
from twofa.admin.base import ReadOnlyAdmin, may_view
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import BAD, Lead, Section, badge, moment
from twofa.admin.timelines import timeline
from twofa.flows import parked_completions, redemptions
from twofa.flows.history import Actor
from twofa.models import Case, Challenge, Redemption, RedemptionBatch
from twofa.models.clock import now

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from twofa.models.redemption import RedemptionQuerySet

Status, Points = Redemption.Status, Redemption.Points
_CANCELLABLE = (Status.PENDING, Status.SCHEDULED)


def cancel(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Cancel a redemption on behalf of no storefront."""
    return redemptions.cancel(redemption.pk, storefront=None, actor=actor, reason=reason)


def retry(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Try a parked completion again."""
    return parked_completions.retry(redemption.pk, actor=actor, reason=reason)


def fail(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Fail a parked completion."""
    return parked_completions.fail(redemption.pk, actor=actor, reason=reason)


def resend(redemption: Redemption, *, actor: Actor, reason: str) -> Redemption:
    """Send a new token on behalf of no storefront."""
    return redemptions.resend(redemption.pk, storefront=None, actor=actor, reason=reason)


def purchase(redemption: Redemption) -> Sequence[tuple[StrOrPromise, object]]:
    """Return what is bought, by whom, and for how much."""
    return (
        (_("Participant"), redemption.participant),
        (_("Description"), redemption.description or "—"),
        (_("Amount"), words.points(redemption.amount, redemption.unit)),
        *_told(redemption),
    )


def _told(redemption: Redemption) -> Iterator[tuple[StrOrPromise, object]]:
    if redemption.approver is not None:
        yield _("Approver"), redemption.approver
    if redemption.scheduled_for is not None:
        yield _("Scheduled for"), moment(redemption.scheduled_for)


def destination(redemption: Redemption | RedemptionBatch) -> Sequence[tuple[StrOrPromise, object]]:
    """Return where a new token would go, and how many more may be asked for."""
    challenge = stories.challenge_of(redemption)
    if challenge is None:
        return ()
    if challenge.is_unbound:
        return (
            (_("Answered by"), challenge.get_channel_display()),
            (_("Waits for its token until"), moment(challenge.deadline)),
        )
    from_ = challenge.resend_available_at
    return (
        (_("The last one went to"), f"{challenge.get_channel_display()} {challenge.destination}"),
        (_("The next one may be sent from"), _("now") if from_ <= now() else moment(from_)),
        (_("Resends left (one after a failed message is not counted)"), challenge.resends_remaining),
        (_("Waits for its token until"), moment(challenge.deadline)),
    )


ACTIONS = (
    FlowAction(
        name="cancel",
        label=_("Cancel the redemption"),
        permissions=("twofa.view_redemption", "twofa.cancel_redemption"),
        explanation=_("Its token stops working, and the points that were set aside are given back."),
        done=_("The redemption was cancelled."),
        run=cancel,
        offered=lambda redemption: redemption.batch_id is None and redemption.status in _CANCELLABLE,
        facts=purchase,
        is_destructive=True,
    ),
    FlowAction(
        name="resend",
        label=_("Send a new token"),
        permissions=("twofa.view_redemption", "twofa.resend_token"),
        explanation=_(
            "The token that was sent before stops working, and a new one goes to the participant's own device, or "
            "to the approver's: never to you. The same pauses and budgets hold as for the storefront."
        ),
        done=_("A new token is on its way."),
        run=resend,
        offered=lambda redemption: (
            redemption.batch_id is None and redemption.status == Status.PENDING and redemption.points == Points.RESERVED
        ),
        facts=destination,
    ),
    FlowAction(
        name="retry-completion",
        label=_("Try to complete again"),
        permissions=("twofa.view_redemption", "twofa.retry_completion"),
        explanation=_("The points system is asked once more to spend the points. It recognises a repeated request."),
        done=_("The completion was tried again. The status below says how it went."),
        run=retry,
        offered=lambda redemption: redemption.is_parked,
        facts=purchase,
    ),
    FlowAction(
        name="fail",
        label=_("Fail and give the points back"),
        permissions=("twofa.view_redemption", "twofa.fail_completion"),
        explanation=_(
            "Nobody knows whether the points were spent: look into the points system first. "
            "If they were, do not do this."
        ),
        done=_("The redemption has failed and its points are given back."),
        run=fail,
        offered=lambda redemption: redemption.is_parked,
        facts=purchase,
        is_destructive=True,
    ),
)


class PointsFilter(admin.ChoicesFieldListFilter):
    """By where the points are; the index of what is not completed leads to all but those that were spent."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Redemption]) -> QuerySet[Redemption]:
        found = cast("QuerySet[Redemption]", super().queryset(request, queryset))
        unspent = self.lookup_val and Points.COMPLETED not in self.lookup_val
        # A constraint says so: what is completed has its points spent.
        return found.exclude(status=Status.COMPLETED) if unspent else found


class ParkedFilter(admin.SimpleListFilter):
    """Completions that wait for staff."""

    title = _("completion")
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return (("yes", _("parked: waits for staff")),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Redemption]) -> QuerySet[Redemption]:
        return cast("RedemptionQuerySet", queryset).parked() if self.value() == "yes" else queryset


def _item(item: Mapping[str, Any], unit: str) -> str:
    amount = words.told("amount", item.get("amount"), unit)
    return f"{item.get('quantity')} × {item.get('name')} ({item.get('sku')}), {amount}"


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "campaign", "participant", "shown_amount", "shown_status", "points", "created")
    sortable_by = ("created",)
    list_filter = (
        "status",
        ("points", PointsFilter),
        ParkedFilter,
        ("campaign", SomeRelatedFilter),
        ("storefront", SomeRelatedFilter),
        "two_factor_reason",
        "test",
        ("created_at", DateFilter),
    )
    list_select_related = ("campaign", "participant")
    linked_lookups = ("participant", "approver")
    search_fields = ("order_id__exact", "participant__external_id__exact")
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
                    "approver",
                    "campaign",
                    "storefront",
                    "test",
                )
            },
        ),
        (_("State"), {"fields": ("shown_status", "shown_points", "shown_failure", "completion_tries", "parked_at")}),
        (_("Two-factor"), {"fields": ("decision", "shown_inputs")}),
        (_("Times"), {"fields": ("created_at", "approved_at", "scheduled_for", "completed_at", "updated_at")}),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )
    flow_actions = ACTIONS

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, redemption: Redemption) -> str:
        return words.points(redemption.amount, redemption.unit)

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, row: Redemption) -> str:
        """Show that a parked completion waits for staff: that it was approved looks as if all were well."""
        return badge(BAD, _("waits for staff")) if row.is_parked else super().shown_status(row)

    @admin.display(description=_("points"))
    def shown_points(self, redemption: Redemption) -> StrOrPromise:
        return stories.POSITIONS[redemption.points]

    @admin.display(description=_("failure"))
    def shown_failure(self, redemption: Redemption) -> str:
        return ": ".join(filter(None, (words.reason(redemption.failure_code), redemption.failure_detail))) or "—"

    @admin.display(description=_("decision"))
    def decision(self, redemption: Redemption) -> str:
        """Say whether a token was asked for, and why."""
        return stories.decided(redemption)

    @admin.display(description=_("decided from"))
    def shown_inputs(self, redemption: Redemption) -> str:
        return words.details(redemption.two_factor_inputs, unit=redemption.unit) or "—"

    @admin.display(description=_("items"))
    def shown_items(self, redemption: Redemption) -> str:
        return "; ".join(_item(item, redemption.unit) for item in redemption.items) or "—"

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "approver", "storefront")
        return super().get_queryset(request).select_related(*related).defer("approved_digest")

    def questions(self, term: str) -> list[Q]:
        """Ask by the correlation id of any request about a redemption: a confirm has another one than its checkout."""
        return [*super().questions(term), Q(pk__in=searches.traced("redemption_id", term))]

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        return [*stuck.tools(self, request), *schedules.tools(self, request), *exports.tools(self, request)]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("stuck/", wrap(self.stuck_view), name="twofa_redemption_stuck"),
            path("schedules/", wrap(self.schedules_view), name="twofa_redemption_schedules"),
            path("export/", wrap(self.export_view), name="twofa_redemption_export"),
        ]
        return [*own, *super().get_urls()]

    def stuck_view(self, request: HttpRequest) -> HttpResponse:
        """Show what waits for a person, or for a worker that does not come."""
        return stuck.page(self, request)

    def schedules_view(self, request: HttpRequest) -> HttpResponse:
        """Show what is due on which day."""
        return schedules.page(self, request)

    # The event of an export is committed before its first row leaves.
    @transaction.non_atomic_requests
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Export what the list shows."""
        return exports.view(self, request)

    def get_tools(self, request: HttpRequest, row: Redemption) -> list[Tool]:
        challenge = stories.challenge_of(row) if may_view(request, Challenge) else None
        link = [] if challenge is None else [Tool(_("Its challenge"), self.page_of(challenge))]
        # The newest; its page leads to the participant's others.
        case = Case.objects.filter(redemption=row).first() if may_view(request, Case) else None
        cases = [] if case is None else [Tool(_("Its case"), self.page_of(case))]
        return [*super().get_tools(request, row), *link, *self._batch_tools(request, row), *cases]

    def _batch_tools(self, request: HttpRequest, row: Redemption) -> list[Tool]:
        """Return the button that leads to the batch of a line: there it is cancelled, and its token sent again."""
        if row.batch_id is None or not may_view(request, RedemptionBatch):
            return []
        return [Tool(_("Its batch"), self.page_of(RedemptionBatch(pk=row.batch_id)))]

    def get_sections(self, request: HttpRequest, row: Redemption) -> Sequence[Section | Lead]:
        story, way = stories.read(row), self.way(request)
        return [stories.lead(story, way), timeline(story.events, story.deliveries, way=way)]
