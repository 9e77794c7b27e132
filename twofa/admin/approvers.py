"""Approvers: who may approve for whom, up to which amount, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.admin import words
from twofa.admin.actions import FlowAction, ReasonForm
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import ENDED, GOOD, Cell, Section, badge, cells, moment
from twofa.flows import approvers
from twofa.flows.history import Actor
from twofa.models import Approver, Participant
from twofa.models.clock import Clock

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MOST = 20
_TEXT = {"class": "vTextField"}


class LimitsForm(ReasonForm):
    """Asks how far the entitlement reaches. People are named by their external ids, exactly."""

    deputy = forms.CharField(
        label=_("Deputy's external id"),
        max_length=128,
        required=False,
        widget=forms.TextInput(_TEXT),
        help_text=_("Stands in with the same limits. Empty: nobody."),
    )
    max_amount = forms.DecimalField(
        label=_("Up to"),
        max_digits=14,
        decimal_places=2,
        min_value=Decimal("0.01"),
        required=False,
        help_text=_("The largest redemption, or batch as a whole. Empty: any."),
    )
    valid_until = forms.DateTimeField(
        label=_("Valid until"),
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local", "class": "vTextField"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("In the time zone of this page. Empty: until revoked."),
    )
    field_order: tuple[str, ...] = ("deputy", "max_amount", "valid_until", "reason")


class ChangeForm(LimitsForm):
    """Carries the mark of the limits that its page showed."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    field_order = (*LimitsForm.field_order, "seen")


class EntitleForm(LimitsForm):
    """Asks for the approver as well."""

    approver = forms.CharField(label=_("Approver's external id"), max_length=128, widget=forms.TextInput(_TEXT))
    field_order = ("approver", *LimitsForm.field_order)


def entitle(requester: Participant, *, by: Any, actor: Actor, reason: str, approver: str, **limits: Any) -> Approver:
    """Let somebody approve for a participant; people are given by their external ids."""
    return approvers.entitle(
        requester=requester,
        participant=approvers.find_participant(requester.campaign, approver, field="approver"),
        by=by,
        actor=actor,
        reason=reason,
        **_found(requester, limits),
    )


def limit(row: Approver, *, by: Any, actor: Actor, reason: str, seen: str = "", **limits: Any) -> Approver:
    """Change how far an entitlement reaches."""
    changes = _found(row.requester, limits)
    return approvers.change(row, by=by, actor=actor, reason=reason, changes=changes, seen=seen)


def _found(requester: Participant, limits: dict[str, Any]) -> dict[str, Any]:
    deputy = limits.get("deputy")
    found = approvers.find_participant(requester.campaign, deputy, field="deputy") if deputy else None
    return {**limits, "deputy": found}


def people(row: Approver) -> Sequence[tuple[StrOrPromise, object]]:
    """Return who is entitled for whom."""
    return ((_("Approver"), row.participant), (_("Requester"), row.requester), (_("Campaign"), row.campaign))


def _initial(row: Approver) -> dict[str, Any]:
    until = None if row.valid_until is None else timezone.localtime(row.valid_until)
    deputy = "" if row.deputy is None else row.deputy.external_id
    return {"deputy": deputy, "max_amount": row.max_amount, "valid_until": until, "seen": approvers.mark(row)}


ENTITLE = FlowAction(
    name="entitle",
    label=_("Entitle an approver"),
    permissions=("twofa.view_participant", "twofa.add_approver"),
    explanation=_(
        "The token of a redemption that this participant asks for goes to the approver instead, where the storefront "
        "names them or the campaign demands one. Be sure that it is the right person: whoever approves can spend the "
        "participant's points."
    ),
    done=_("The approver was entitled."),
    run=entitle,
    form=EntitleForm,
)


def standing(row: Approver, at: Any) -> Cell:
    """Return whether an entitlement stands."""
    if not row.is_active:
        return Cell(pgettext_lazy("approver", "revoked"), tone=ENDED)
    if row.valid_until is not None and row.valid_until <= at:
        return Cell(pgettext_lazy("approver", "expired"), tone=ENDED)
    return Cell(pgettext_lazy("approver", "entitled"), tone=GOOD)


def section(participant: Participant, way: Any) -> Section:
    """Return the table of a participant's page: who approves for them, and for whom they approve."""
    theirs = Q(participant=participant) | Q(requester=participant) | Q(deputy=participant)
    related = ("participant", "requester", "deputy", "campaign")
    rows = Approver.objects.filter(theirs).select_related(*related).annotate(clock=Clock())[:MOST]
    lines = [
        cells(
            Cell(row.participant, url=way(row)),
            row.requester,
            row.deputy or "—",
            _reach(row),
            moment(row.valid_until),
            standing(row, row.clock),
        )
        for row in rows
    ]
    headers = (_("approver"), _("requester"), _("deputy"), _("up to"), _("valid until"), _("status"))
    return Section(_("Approvers"), headers, lines, anchor="approvers", empty=_("Nobody approves for anybody here."))


def _reach(row: Approver) -> str:
    return str(_("any amount")) if row.max_amount is None else words.points(row.max_amount, row.campaign.unit)


@admin.register(Approver)
class ApproverAdmin(ReadOnlyAdmin):
    """Entitlements. A new one is made on the page of the participant who asks."""

    list_display = ("entitlement", "requester", "deputy", "reach", "valid_until", "state", "campaign", "created")
    list_display_links = ("entitlement",)
    sortable_by = ("created",)
    list_filter = (("campaign", SomeRelatedFilter), "is_active", ("created_at", DateFilter))
    list_select_related = ("campaign", "participant", "requester", "deputy")
    search_fields = ("participant__external_id__exact", "requester__external_id__exact", "deputy__external_id__exact")
    search_help_text = _(
        "The external id of the approver, the requester or the deputy, exactly. To entitle somebody, open the page of "
        "the participant who asks."
    )
    made_on = (_("Whoever approves is entitled on the page of the participant who asks."), Participant)
    ordering = ("-id",)
    fields = (
        "participant",
        "requester",
        "deputy",
        "reach",
        "valid_until",
        "state",
        "campaign",
        "created_at",
    )
    flow_actions = (
        FlowAction(
            name="limits",
            label=_("Change the limits"),
            permissions=("twofa.view_approver", "twofa.change_approver"),
            explanation=_("What was asked for already is held against the new limits when its token comes."),
            done=_("The limits were changed."),
            run=limit,
            offered=lambda row: row.is_active,
            form=ChangeForm,
            initial=_initial,
            facts=people,
        ),
        FlowAction(
            name="revoke",
            label=_("Revoke the approver"),
            permissions=("twofa.view_approver", "twofa.change_approver"),
            explanation=_(
                "From now on no token of theirs approves anything of this requester. What they have approved stays "
                "approved: cancel a scheduled redemption by itself."
            ),
            done=_("The approver was revoked."),
            run=approvers.revoke,
            offered=lambda row: row.is_active,
            facts=people,
            is_destructive=True,
        ),
    )

    @admin.display(description=_("approver"))
    def entitlement(self, row: Approver) -> str:
        """Show who approves: the row's own name would say the requester twice."""
        return format_html("{}", row.participant)

    @admin.display(description=_("up to"))
    def reach(self, row: Approver) -> str:
        return _reach(row)

    @admin.display(description=_("status"))
    def state(self, row: Any) -> str:
        """Show whether it stands, by the database's clock."""
        shown = standing(row, row.clock)
        return badge(shown.tone, str(shown.text))

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user} if action.name == "limits" else {}

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related(*self.list_select_related).annotate(clock=Clock())
