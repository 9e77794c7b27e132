"""Cases: the queue of reports "it was not me", and what staff do about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.actions import FlowAction, Tool
from twofa.admin.base import ReadOnlyAdmin, may_view
from twofa.admin.devices import RELEASE
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import BAD, GOOD, Cell, Lead, Section, badge, cells, day, moment, tone_of
from twofa.admin.timelines import READ, timeline
from twofa.exceptions import WrongState
from twofa.flows import cases, devices, holds
from twofa.flows.history import Actor
from twofa.models import Case, Challenge, Delivery, Device, Event, Participant

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LATEST = 10
DEVICE_FIRST = _("Decide about the device first: a case is not closed while it is held.")
ABOUT_DEVICE = ("device.held", "device.released", "device.revoked")


class CloseForm(forms.Form):
    """Asks what was found, and how that is known."""

    outcome = forms.ChoiceField(label=_("Outcome"), choices=Case.Outcome.choices, widget=forms.RadioSelect)
    note = forms.CharField(
        label=_("Note"),
        max_length=Case.note.field.max_length,
        help_text=_(
            "For staff: whom you spoke with, and how you know. Kept with the case, and not in the audit trail."
        ),
        widget=forms.Textarea({"rows": 4, "cols": 40, "class": "vLargeTextField"}),
    )


def release(case: Case, *, by: Any, actor: Actor, reason: str) -> None:
    """Release the device of a case."""
    holds.release(_device(case), by=by, actor=actor, reason=reason)


def revoke(case: Case, *, actor: Actor, reason: str) -> None:
    """Reset the device of a case."""
    devices.reset(_device(case), actor=actor, reason=reason)


def _device(case: Case) -> Device:
    if case.device is None:
        raise WrongState
    return case.device


def _owner(case: Case) -> Participant | None:
    # Of an approver's token it is the approver, and not the case's participant: that one asked for it.
    return None if case.device is None else case.device.participant


def _is_held(case: Case) -> bool:
    return case.device is not None and case.device.is_held


def _may_end(case: Case) -> bool:
    return case.status == Case.Status.OPEN and not cases.holds_alone(case)


def facts(case: Case) -> Sequence[tuple[StrOrPromise, object]]:
    """Return what a case is about."""
    return (
        (_("Participant"), case.participant),
        *_bought(case),
        (_("Device that is held") if _is_held(case) else _("Device"), case.device or "—"),
        (_("Whose device it is"), _owner(case) or "—"),
        (_("Reported"), moment(case.opened_at)),
    )


def _bought(case: Case) -> Sequence[tuple[StrOrPromise, object]]:
    redemption, batch = case.redemption, case.challenge.batch
    if redemption is not None:
        return ((_("Amount"), words.points(redemption.amount, redemption.unit)),)
    return () if batch is None else ((_("Total"), words.points(batch.total, batch.unit)),)


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    """First what came too late to be stopped, then whoever has waited longest."""

    list_display = ("opened", "shown_stopped", "participant", "campaign", "shown_status", "outcome", "closed_by")
    sortable_by = ("opened",)
    list_filter = ("status", "too_late", "outcome", ("campaign", SomeRelatedFilter), ("opened_at", DateFilter))
    list_select_related = ("campaign", "participant", "closed_by")
    linked_lookups = ("participant",)
    search_fields = (
        "participant__external_id__exact",
        "redemption__order_id__exact",
        "challenge__batch__request_id__exact",
    )
    search_help_text = _("A participant's external id, an order id, a batch's request id or a case's id, exactly.")
    uuid_fields = ("id",)
    # "open" is the later word, and what is closed is not in a hurry.
    ordering = ("-status", "-too_late", "id")
    fieldsets = (
        (None, {"fields": ("participant", "campaign", "redemption", "challenge", "shown_stopped")}),
        (_("Device"), {"fields": ("device", "shown_owner", "reported_from", "shown_hold")}),
        (_("State"), {"fields": ("shown_status", "outcome", "note", "closed_by")}),
        (_("Times"), {"fields": ("opened_at", "closed_at")}),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )
    flow_actions = (
        FlowAction(
            name="release-device",
            label=RELEASE.label,
            permissions=("twofa.view_case", *RELEASE.permissions),
            explanation=RELEASE.explanation,
            done=RELEASE.done,
            run=release,
            offered=_is_held,
            facts=facts,
        ),
        FlowAction(
            name="reset-device",
            label=_("Reset the device"),
            permissions=("twofa.view_case", "twofa.view_device", "twofa.reset_device"),
            explanation=_(
                "The device is revoked for good, and every verified contact of the participant is told. They register "
                "another one, and show their documents again where this was the last."
            ),
            done=_("The device was reset."),
            run=revoke,
            offered=_is_held,
            facts=facts,
            is_destructive=True,
        ),
        FlowAction(
            name="close",
            label=_("Close the case"),
            permissions=("twofa.view_case", "twofa.close_case"),
            explanation=DEVICE_FIRST,
            done=_("The case was closed."),
            run=cases.close,
            form=CloseForm,
            offered=_may_end,
            facts=facts,
        ),
    )

    @admin.display(description=_("reported"), ordering="id")
    def opened(self, case: Case) -> str:
        """Show when it was reported, to the second."""
        return moment(case.opened_at)

    @admin.display(description=_("what was stopped"), ordering="too_late")
    def shown_stopped(self, case: Case) -> str:
        """Show whether the report came in time."""
        if case.too_late:
            return badge(BAD, _("nothing: it was approved"))
        return badge(GOOD, _("it was stopped in time"))

    @admin.display(description=_("whose device it is"))
    def shown_owner(self, case: Case) -> str:
        """Show whom staff speak with: somebody who approves for the participant may have been the one who was asked."""
        return str(_owner(case) or "—")

    @admin.display(description=_("held"))
    def shown_hold(self, case: Case) -> str:
        """Show whether the device still waits for staff."""
        return words.plain(_is_held(case))

    def name_of(self, row: Case) -> str:
        # Whose and when: its id tells staff nothing.
        return f"{row.participant}, {day(timezone.localdate(row.opened_at))}"

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user} if action.name in ("close", "release-device") else {}

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("campaign", "participant", "redemption", "challenge__batch", "reported_from", "closed_by")
        hidden = [f"challenge__{name}" for name in Challenge.SECRET_COLUMNS]
        rows = super().get_queryset(request).select_related(*related, "device__participant")
        hidden += ["redemption__approved_digest", "challenge__batch__approved_digest"]
        return rows.defer(*hidden, "device__address", "reported_from__address")

    def get_tools(self, request: HttpRequest, row: Case) -> list[Tool]:
        tools = super().get_tools(request, row)
        ways = (
            (row.redemption, _("Its redemption")),
            (row.challenge.batch, _("Its batch")),
            (row.device, _("Its device")),
            (row.challenge, _("Its challenge")),
        )
        links = [Tool(label, self.page_of(to)) for to, label in ways if to is not None and may_view(request, type(to))]
        return [*tools, *links]

    def get_sections(self, request: HttpRequest, row: Case) -> list[Section | Lead]:
        """Show the messages and events of the challenge, and the participant's other cases."""
        way = self.way(request)
        deliveries = Delivery.objects.none()
        if may_view(request, Delivery):
            deliveries = Delivery.objects.filter(challenge=row.challenge).defer("address").order_by("-pk")[:READ]
        about = Q(challenge=row.challenge_id)
        if row.redemption_id is not None:
            about |= Q(redemption=row.redemption_id)
        if row.device is not None:
            about |= Q(participant=row.device.participant_id, type__in=ABOUT_DEVICE, device=row.device)
        events = Event.objects.filter(about).order_by("-pk")[:READ]
        return [self._lead(row), timeline(events, deliveries, way=way), self._others(row)]

    def _lead(self, case: Case) -> Lead:
        said = {"at": moment(case.opened_at), "device": case.reported_from or "—"}
        line = _("On %(at)s whoever reads %(device)s said that they had not asked for the token.") % said
        lines = [[Cell(line)]]
        if case.too_late:
            late = _("It had approved already: ask whoever ships, and look whether the points can be taken back.")
            lines.append([Cell(late)])
        if case.status == Case.Status.OPEN and cases.holds_alone(case):
            lines.append([Cell(DEVICE_FIRST)])
        return Lead(lines)

    def _others(self, case: Case) -> Section:
        rows = Case.objects.filter(participant=case.participant_id).exclude(pk=case.pk).order_by("-pk")[:LATEST]
        lines = [
            cells(
                Cell(moment(other.opened_at), url=self.page_of(other)),
                Cell(other.get_status_display(), tone=tone_of(other.status)),
                other.get_outcome_display() or "—",
            )
            for other in rows
        ]
        return Section(_("Other cases of this participant"), (_("reported"), _("status"), _("outcome")), lines)
