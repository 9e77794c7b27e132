"""What a campaign's pages have in addition where four eyes are asked for: a reason, a proposal, and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.actions import FlowAction, Tool
from twofa.admin.base import TwofaAdmin
from twofa.admin.forms import CampaignForm, ModeForm
from twofa.admin.sections import Cell, Lead, Section, cells, moment, tone_of
from twofa.conf import conf
from twofa.flows.policy_changes import MAY_APPROVE
from twofa.models import Campaign, PolicyChange
from twofa.models.loosening import loosened

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

REASON = "change_reason"
VERSION = "shown_version"
SHOWN = 10
PROPOSED = _("Nothing has changed yet: it loosens the policy, so a second person must approve it.")
EXPLAINED = _(
    "Where a change loosens the policy, all of it becomes a proposal: nothing changes until a second person approves. "
    "What only tightens the policy takes effect at once, and needs no reason."
)


def reason_field() -> forms.CharField:
    """Return the input of a reason that is needed only where a second person is."""
    return forms.CharField(
        label=_("Reason"),
        max_length=200,
        required=False,
        help_text=_("Needed where the change loosens the policy. The second person reads it."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


class VersionedCampaignForm(CampaignForm):
    """The campaign's form, made on the policy that the page showed.

    A form sends every column. Without this one that was opened before a colleague's change would take it back, by a
    member of staff who saw nothing of it and meant another column.
    """

    shown_version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[VERSION].initial = self.instance.policy_version


class ProposingCampaignForm(VersionedCampaignForm):
    """The campaign's form with a reason."""

    change_reason = reason_field()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if VERSION in self.changed_data:
            # The flow refuses it: the differences are not all this member's.
            return cleaned
        before = self.instance.policy()
        after = before | {name: cleaned[name] for name in before if name in self.changed_data and name in cleaned}
        if not self.errors and loosened(before, after) and not cleaned.get(REASON):
            names = ", ".join(words.label(name) for name in loosened(before, after))
            self.add_error(REASON, _("Say why: a second person must agree to this (%(names)s).") % {"names": names})
        return cleaned


class ProposingModeForm(ModeForm):
    """The toggle, with a reason where four eyes are asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if conf.four_eyes:
            self.fields["reason"] = reason_field()


class FourEyesAdmin(TwofaAdmin):
    """Tells staff that what they saved is a proposal, and shows the proposals of a campaign."""

    def is_versioned(self, request: HttpRequest, campaign: Campaign | None) -> bool:
        """Tell whether this member's form has columns of the policy."""
        may_change = request.user.has_perm("twofa.change_policy")
        return campaign is not None and may_change and self.has_change_permission(request, campaign)

    def is_proposing(self, request: HttpRequest, campaign: Campaign | None) -> bool:
        """Tell whether this member's changes to the policy may need a second person."""
        return conf.four_eyes and self.is_versioned(request, campaign)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if self.is_versioned(request, obj):
            kwargs["form"] = ProposingCampaignForm if self.is_proposing(request, obj) else VersionedCampaignForm
        return super().get_form(request, obj, change, **kwargs)

    def more_fieldsets(self, request: HttpRequest, campaign: Campaign | None) -> list[tuple[Any, dict[str, Any]]]:
        """Return the parts of the form that are no columns: the reason, and a hidden policy version."""
        if self.is_proposing(request, campaign):
            return [(_("Second person"), {"fields": (REASON, VERSION), "description": EXPLAINED})]
        return [(None, {"fields": (VERSION,), "classes": ("hidden",)})] if self.is_versioned(request, campaign) else []

    def keep(self, obj: Any, outcome: Campaign | PolicyChange) -> None:
        """Remember on the form's row what became of it, for the answer to this request."""
        if isinstance(outcome, PolicyChange):
            obj.proposal = outcome
        else:
            obj.pk, obj.policy_version = outcome.pk, outcome.policy_version

    def answer(self, request: HttpRequest, action: FlowAction, row: Any, outcome: object) -> HttpResponse:
        if isinstance(outcome, PolicyChange):
            return self.tell_proposed(request, outcome)
        return super().answer(request, action, row, outcome)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        proposal = getattr(obj, "proposal", None)
        return super().response_change(request, obj) if proposal is None else self.tell_proposed(request, proposal)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry | None:  # type: ignore[override]
        """Note a change in Django's own log, unless it is only proposed."""
        return super().log_change(request, obj, message) if getattr(obj, "proposal", None) is None else None

    def tell_proposed(self, request: HttpRequest, proposal: PolicyChange) -> HttpResponse:
        """Lead to the proposal."""
        self.message_user(request, PROPOSED, messages.WARNING)
        return HttpResponseRedirect(self.page_of(proposal))

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        tools = super().get_list_tools(request)
        if conf.four_eyes and request.user.has_perm(MAY_APPROVE):
            waiting = PolicyChange.objects.filter(status=PolicyChange.Status.PENDING).count()
            url = reverse("admin:twofa_policychange_changelist", current_app=self.admin_site.name)
            tools.append(Tool(_("Waiting proposals: %(count)d") % {"count": waiting}, f"{url}?status__exact=pending"))
        return tools

    def explanations(self, action: FlowAction) -> list[StrOrPromise]:
        return [*super().explanations(action), EXPLAINED] if conf.four_eyes else super().explanations(action)

    def proposals(self, campaign: Campaign, way: Callable[[Model], str]) -> list[Section | Lead]:
        """Return the newest proposals for a campaign, where there are any to be shown; ``way`` leads to their pages.

        One that waits is told above all else: nothing on the page shows yet what it would change.
        """
        related = ("requested_by", "decided_by")
        rows = list(PolicyChange.objects.filter(campaign=campaign).select_related(*related).order_by("-pk")[:SHOWN])
        if not rows and not conf.four_eyes:
            return []
        lines = [
            cells(
                Cell(moment(row.requested_at), url=way(row)),
                row.requested_by.get_username(),
                words.details({"before": row.before, "after": row.after}, unit=campaign.unit),
                Cell(row.get_status_display(), tone=tone_of(row.status)),
                "—" if row.decided_by is None else row.decided_by.get_username(),
            )
            for row in rows
        ]
        headers = (_("when"), _("proposed by"), _("before → after"), _("status"), _("decided by"))
        return [*_waiting(rows, way), Section(_("Proposals"), headers, lines, anchor="proposals")]


def _waiting(rows: Sequence[PolicyChange], way: Callable[[Model], str]) -> list[Lead]:
    return [
        Lead(
            [
                [
                    Cell(_("A change that %(who)s proposed waits for a second person.") % {"who": row.requested_by}),
                    Cell(_("To the proposal"), url=way(row)),
                ]
            ]
        )
        for row in rows
        if row.status == PolicyChange.Status.PENDING
    ]
