"""Participants: who they are, their devices and what they redeemed."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from twofa.admin import approvers, disclosures, dossiers, factors, pictures, words
from twofa.admin.actions import FlowAction, ReasonForm, Tool
from twofa.admin.base import ReadOnlyAdmin, may_view
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import Cell, Section, cells, moment, tone_of
from twofa.admin.timelines import LATEST_EVENTS, timeline
from twofa.flows import methods
from twofa.flows.disclosures import show_document_number
from twofa.models import (
    AccessToken,
    Approver,
    Authenticator,
    Case,
    Device,
    Event,
    IdentityDocument,
    Method,
    Participant,
    Redemption,
)

LATEST = 20
TOLD = frozenset({"participant", "device", "authenticator", "recovery_codes", "approver"})
"""What events are about that tell of nothing that was redeemed."""
BY_OTHERS = ("change-method", "switch-off")
"""What nobody does to themselves."""
NAMED = (*BY_OTHERS, approvers.ENTITLE.name)
"""What its flow must know the member of staff for."""


class MethodForm(ReasonForm):
    """Asks for the method. None is not among them: that is another thing to ask for, with a permission of its own."""

    method = forms.ChoiceField(
        label=_("Two-factor method"), choices=[choice for choice in Method.choices if choice[0] != Method.NONE]
    )
    field_order = ("method", "reason")


@admin.register(Participant)
class ParticipantAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "name", "campaign", "two_factor_method", "is_active", "created")
    sortable_by = ("external_id", "created")
    list_filter = (("campaign", SomeRelatedFilter), "two_factor_method", "is_active", ("created_at", DateFilter))
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

    flow_actions = (
        FlowAction(
            name="show-document-number",
            label=_("Show the document number"),
            permissions=("twofa.view_participant", "twofa.view_contacts"),
            explanation=_("The next page shows the number unmasked. That you saw it, and why, is kept."),
            done="",
            run=show_document_number,
            offered=lambda participant: participant.document_number != "",
        ),
        FlowAction(
            name="change-method",
            label=_("Change the method"),
            permissions=("twofa.view_participant", "twofa.change_method"),
            explanation=_(
                "Tokens go to a device of this kind first, and the participant is asked where two-factor is optional. "
                "It must be proved and ready for use. Every verified contact is told."
            ),
            done=_("The method was changed."),
            run=methods.set_method,
            form=MethodForm,
            initial=lambda participant: {"method": participant.two_factor_method},
        ),
        FlowAction(
            name="switch-off",
            label=_("Switch two-factor off"),
            permissions=("twofa.view_participant", "twofa.switch_off_two_factor"),
            explanation=_(
                "Where two-factor is optional, the participant is not asked for a token any more. Every verified "
                "contact is told. Be sure that you speak with the participant: this is what a thief asks for."
            ),
            done=_("Two-factor was switched off."),
            run=methods.switch_off,
            offered=lambda participant: participant.two_factor_method != Method.NONE,
            is_destructive=True,
        ),
        approvers.ENTITLE,
    )

    @admin.display(description=_("document number"))
    def shown_document(self, participant: Participant) -> str:
        return words.masked(participant.document_number) or "—"

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user} if action.name in NAMED else {}

    def is_offered(self, request: HttpRequest, action: FlowAction, row: Participant) -> bool:
        is_own = row.user_id == request.user.pk
        return super().is_offered(request, action, row) and not (is_own and action.name in BY_OTHERS)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("campaign", "user")

    def get_tools(self, request: HttpRequest, row: Participant) -> list[Tool]:
        tools = super().get_tools(request, row)
        if pictures.may_look(request) and row.documents.exists():
            review = reverse("admin:twofa_identitydocument_review", args=(row.pk,), current_app=self.admin_site.name)
            tools.append(Tool(_("Review of the documents"), review))
        for model, label in ((Redemption, _("All redemptions")), (AccessToken, _("All access tokens"))):
            if may_view(request, model):
                listed = reverse(f"admin:twofa_{model._meta.model_name}_changelist", current_app=self.admin_site.name)
                tools.append(Tool(label, f"{listed}?{urlencode({'participant__id__exact': row.pk})}"))
        return tools

    def answer(self, request: HttpRequest, action: FlowAction, row: Participant, outcome: object) -> HttpResponse:
        if action.name != "show-document-number":
            return super().answer(request, action, row, outcome)
        return disclosures.page(
            self, request, row, title=_("The document number"), label=_("document number"), text=str(outcome)
        )

    def get_sections(self, request: HttpRequest, row: Participant) -> list[Section]:
        """Show of other rows what this member may look at on their own pages."""
        sections = [factors.section(row, self._linked(request))] if may_view(request, Device) else []
        may_see_documents = may_view(request, IdentityDocument)
        if may_see_documents:
            sections.append(self._documents(row))
        if may_view(request, Approver):
            sections.append(approvers.section(row, self.way(request)))
        if may_view(request, Case):
            sections.append(self._cases(row))
        events = Event.objects.filter(participant=row)
        if may_view(request, Redemption):
            sections.append(self._redemptions(row))
        else:
            subjects = TOLD | {"document"} if may_see_documents else TOLD
            events = events.filter(reduce(or_, (Q(type__startswith=f"{subject}.") for subject in sorted(subjects))))
        latest = list(events.order_by("-created_at", "-pk")[:LATEST])
        return [*sections, timeline(latest, title=LATEST_EVENTS, newest_first=True, way=self.way(request))]

    def _linked(self, request: HttpRequest) -> factors.PageOf:
        may_see_apps = may_view(request, Authenticator)
        return lambda row: "" if isinstance(row, Authenticator) and not may_see_apps else self.page_of(row)

    def _documents(self, participant: Participant) -> Section:
        lines = [self._document(document) for document in participant.documents.select_related("decided_by")[:LATEST]]
        headers = (_("document"), _("status"), _("reason"), _("sent"), _("decided"), _("who"))
        return Section(_("Identity documents"), headers, lines, anchor="documents")

    def _document(self, document: IdentityDocument) -> list[Cell]:
        return cells(
            Cell(str(document), url=self.page_of(document)),
            dossiers.standing(document),
            document.get_reason_display() or "—",
            moment(document.created_at),
            moment(document.decided_at),
            document.decided_by or "—",
        )

    def _cases(self, participant: Participant) -> Section:
        rows = participant.cases.select_related("redemption", "closed_by")[:LATEST]
        headers = (_("case"), _("status"), _("redemption"), _("outcome"), _("closed"), _("who"))
        return Section(_("Cases"), headers, [self._case(case) for case in rows], anchor="cases")

    def _case(self, case: Case) -> list[Cell]:
        return cells(
            Cell(moment(case.opened_at), url=self.page_of(case)),
            Cell(case.get_status_display(), tone=tone_of(case.status)),
            case.redemption or "—",
            case.get_outcome_display() or "—",
            moment(case.closed_at),
            case.closed_by or "—",
        )

    def _redemptions(self, participant: Participant) -> Section:
        lines = [self._redemption(redemption) for redemption in participant.redemptions.order_by("-id")[:LATEST]]
        headers = (_("order id"), _("amount"), _("status"), _("opened"))
        return Section(_("Latest redemptions"), headers, lines, anchor="redemptions")

    def _redemption(self, redemption: Redemption) -> list[Cell]:
        return cells(
            Cell(redemption.order_id, url=self.page_of(redemption)),
            words.points(redemption.amount, redemption.unit),
            Cell(redemption.get_status_display(), tone=tone_of(redemption.status)),
            moment(redemption.created_at),
        )
