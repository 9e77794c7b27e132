"""Batches: what was bought together, how far each line is, and what became of the one token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.admin import searches, stories, stuck, words
from twofa.admin.actions import FlowAction, Tool
from twofa.admin.base import ReadOnlyAdmin, may_view
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.redemptions import destination
from twofa.admin.sections import BAD, Cell, Lead, Section, cells, tone_of
from twofa.admin.timelines import READ, timeline
from twofa.flows import batches
from twofa.flows.history import Actor
from twofa.models import Case, Challenge, Delivery, Event, Redemption, RedemptionBatch
from twofa.models.event import types_under

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Status = RedemptionBatch.Status
_LINE = ("order_id", "description", "amount", "unit", "status", "points", "failure_code", "parked_at", "batch")
_HEADERS = (_("order id"), _("description"), _("amount"), _("status"), _("points"), _("failure"))


def cancel(batch: RedemptionBatch, *, actor: Actor, reason: str) -> RedemptionBatch:
    """Cancel a batch on behalf of no storefront."""
    return batches.cancel(batch.pk, storefront=None, actor=actor, reason=reason)


def resend(batch: RedemptionBatch, *, actor: Actor, reason: str) -> RedemptionBatch:
    """Send a new token on behalf of no storefront."""
    return batches.resend(batch.pk, storefront=None, actor=actor, reason=reason)


def purchases(batch: RedemptionBatch) -> Sequence[tuple[StrOrPromise, object]]:
    """Return who buys, how much, and for how much."""
    return (
        (_("Participant"), batch.participant),
        (_("Lines"), batch.count),
        (_("Total"), words.points(batch.total, batch.unit)),
    )


ACTIONS = (
    FlowAction(
        name="cancel",
        label=_("Cancel the batch"),
        permissions=("twofa.view_redemptionbatch", "twofa.cancel_redemption"),
        explanation=_(
            "All its lines are cancelled. Its token stops working, and the points that were set aside are given back."
        ),
        done=_("The batch was cancelled."),
        run=cancel,
        offered=lambda batch: batch.status == Status.PENDING,
        facts=purchases,
        is_destructive=True,
    ),
    FlowAction(
        name="resend",
        label=_("Send a new token"),
        permissions=("twofa.view_redemptionbatch", "twofa.resend_token"),
        explanation=_(
            "The token that was sent before stops working, and a new one goes to the participant's own device, or to "
            "the approver's: never to you. The same pauses and budgets hold as for the storefront."
        ),
        done=_("A new token is on its way."),
        run=resend,
        offered=lambda batch: batch.status == Status.PENDING,
        facts=destination,
    ),
)


@admin.register(RedemptionBatch)
class RedemptionBatchAdmin(ReadOnlyAdmin):
    list_display = ("request_id", "campaign", "participant", "count", "shown_total", "shown_status", "created")
    sortable_by = ("created",)
    list_filter = (
        "status",
        ("campaign", SomeRelatedFilter),
        ("storefront", SomeRelatedFilter),
        ("created_at", DateFilter),
    )
    list_select_related = ("campaign", "participant")
    linked_lookups = ("participant",)
    search_fields = ("request_id__exact", "participant__external_id__exact")
    search_help_text = _("A request id, a participant's external id or a batch's id, exactly.")
    uuid_fields = ("id",)
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "request_id",
                    "count",
                    "shown_total",
                    "participant",
                    "approver",
                    "campaign",
                    "storefront",
                    "test",
                )
            },
        ),
        (_("State"), {"fields": ("shown_status", "shown_failure")}),
        (_("Two-factor"), {"fields": ("decision", "shown_inputs")}),
        (_("Times"), {"fields": ("created_at", "approved_at", "completed_at", "updated_at")}),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )
    flow_actions = ACTIONS

    @admin.display(description=_("total"), ordering="total")
    def shown_total(self, batch: RedemptionBatch) -> str:
        return words.points(batch.total, batch.unit)

    @admin.display(description=_("failure"))
    def shown_failure(self, batch: RedemptionBatch) -> str:
        return words.reason(batch.failure_code) or "—"

    @admin.display(description=_("decision"))
    def decision(self, batch: RedemptionBatch) -> str:
        """Say whether a token was asked for, and why."""
        return stories.decided(batch)

    @admin.display(description=_("decided from"))
    def shown_inputs(self, batch: RedemptionBatch) -> str:
        return words.details(batch.two_factor_inputs, unit=batch.unit) or "—"

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "approver", "storefront")
        return super().get_queryset(request).select_related(*related).defer("approved_digest")

    def questions(self, term: str) -> list[Q]:
        """Ask by the correlation id of any request about the batch: each of them is an event of its challenge."""
        return [*super().questions(term), Q(challenge__in=searches.traced("challenge_id", term))]

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        return stuck.tools(self, request)

    def get_tools(self, request: HttpRequest, row: RedemptionBatch) -> list[Tool]:
        challenge = stories.challenge_of(row) if may_view(request, Challenge) else None
        link = [] if challenge is None else [Tool(_("Its challenge"), self.page_of(challenge))]
        case = Case.objects.filter(challenge__batch=row).first() if may_view(request, Case) else None
        cases = [] if case is None else [Tool(_("Its case"), self.page_of(case))]
        return [*super().get_tools(request, row), *link, *cases]

    def get_sections(self, request: HttpRequest, row: RedemptionBatch) -> Sequence[Section | Lead]:
        way = self.way(request)
        lines = list(Redemption.objects.filter(batch=row).only(*_LINE).order_by("pk"))
        happened = timeline(_events(row), _deliveries(row), way=way)
        return [Lead([[Cell(_progress(lines))], stories.decision(row, way)]), _lines(lines, way), happened]


def _lines(lines: Sequence[Redemption], way: Callable[[Model], str]) -> Section:
    rows = [
        cells(
            Cell(line.order_id, url=way(line)),
            line.description,
            words.points(line.amount, line.unit),
            Cell(_("waits for staff"), tone=BAD) if line.is_parked else Cell(_status(line), tone=tone_of(line.status)),
            line.get_points_display(),
            words.reason(line.failure_code) or "—",
        )
        for line in lines
    ]
    return Section(_("Lines"), _HEADERS, rows, anchor="lines")


def _status(line: Redemption) -> str:
    return str(line.get_status_display())


def _progress(lines: Sequence[Redemption]) -> str:
    """Return in one sentence how many lines are in which state."""
    counts = Counter(_status(line) for line in lines)
    parts = ", ".join(f"{state}: {count}" for state, count in counts.items())
    said = ngettext("%(count)d line. %(states)s.", "%(count)d lines. %(states)s.", len(lines))
    return said % {"count": len(lines), "states": capfirst(parts)}


def _events(batch: RedemptionBatch) -> list[Event]:
    """Return the newest events of a batch and of its challenge; those of its lines are on the pages of these.

    An event has no column for a batch. By its participant and type it has an index, and few events are left then.
    """
    own = Q(participant=batch.participant_id, type__in=types_under("batch"), created_at__gte=batch.created_at)
    asked = own & Q(data__batch=str(batch.pk))
    challenge = stories.challenge_of(batch)
    if challenge is not None:
        asked |= Q(challenge=challenge)
    return list(Event.objects.filter(asked).order_by("-pk")[:READ])


def _deliveries(batch: RedemptionBatch) -> list[Delivery]:
    challenge = stories.challenge_of(batch)
    if challenge is None:
        return []
    return list(Delivery.objects.filter(challenge=challenge).defer("address").order_by("-pk")[:READ])
