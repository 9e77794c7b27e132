"""Proposals to loosen a policy: the page on which a second person decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.actions import ConfirmForm, FlowAction, explain
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.campaigns import impact
from twofa.admin.sections import moment
from twofa.conf import conf
from twofa.exceptions import TwoFactorError
from twofa.flows import policy_changes
from twofa.flows.policy_changes import MAY_APPROVE
from twofa.models import PolicyChange

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAY_SEE = ("twofa.view_policychange", "twofa.change_policy", MAY_APPROVE)


class PasswordForm(forms.Form):
    """Asks who sits there: a stolen session, or a browser left open, approves nothing."""

    password = forms.CharField(
        label=_("Your password"),
        required=False,
        strip=False,
        help_text=_("If you sign in here without a password: sign in again, and approve within 15 minutes."),
        widget=forms.PasswordInput(attrs={"class": "vTextField", "autocomplete": "current-password"}),
    )


def differences(change: PolicyChange) -> list[tuple[StrOrPromise, str]]:
    """Return what would change: the column, and its value before and after in words."""
    unit, looser = change.campaign.unit, _("looser")
    return [
        (
            words.label(name),
            f"{words.told(name, change.before[name], unit)} → {words.told(name, value, unit)}"
            + (f" ({looser})" if name in change.loosens else ""),
        )
        for name, value in change.after.items()
    ]


def consequences(change: PolicyChange) -> Sequence[tuple[StrOrPromise, object]]:
    """Return what the second person needs to know."""
    return [
        (_("Campaign"), change.campaign),
        (_("Proposed by"), change.requested_by.get_username()),
        (_("Reason"), change.reason),
        *((_("Change of %(column)s") % {"column": name}, value) for name, value in differences(change)),
        *impact(change.campaign, change.after.get("allowed_channels", ())),
    ]


def is_pending(change: PolicyChange) -> bool:
    """Tell whether it waits for a decision."""
    return change.status == PolicyChange.Status.PENDING


@admin.register(PolicyChange)
class PolicyChangeAdmin(ReadOnlyAdmin):
    """Read by all who may change policies, decided by those who may approve, never by whoever proposed it."""

    list_display = ("proposed", "shown_status", "campaign", "summary", "proposer", "decider")
    list_filter = ("status",)
    list_select_related = ("campaign", "requested_by", "decided_by")
    search_fields = ("campaign__slug__exact",)
    search_help_text = _("The slug of a campaign, exactly.")
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("campaign", "shown_status", "changes", "reason", "policy_version")}),
        (_("Who and when"), {"fields": ("proposer", "proposed", "decider", "decided")}),
    )
    flow_actions = (
        FlowAction(
            name="approve",
            label=_("Approve"),
            permissions=(MAY_APPROVE,),
            explanation=_(
                "The policy below takes effect for checkouts opened from now on. Your name stands beside that of "
                "whoever proposed it."
            ),
            done=_("The proposal was approved. The policy has changed."),
            run=policy_changes.approve,
            offered=is_pending,
            form=PasswordForm,
            facts=consequences,
        ),
        FlowAction(
            name="reject",
            label=_("Reject"),
            permissions=(MAY_APPROVE,),
            explanation=_("The policy stays as it is. Whoever proposed the change reads your reason."),
            done=_("The proposal was rejected."),
            run=policy_changes.reject,
            offered=is_pending,
            facts=consequences,
            is_destructive=True,
        ),
        FlowAction(
            name="withdraw",
            label=_("Withdraw"),
            permissions=("twofa.change_policy",),
            explanation=_("The policy stays as it is, and something else may be proposed."),
            done=_("The proposal was withdrawn."),
            run=policy_changes.withdraw,
            offered=is_pending,
            form=ConfirmForm,
            is_destructive=True,
        ),
    )

    @admin.display(description=_("proposed at"), ordering="pk")
    def proposed(self, change: PolicyChange) -> str:
        return moment(change.requested_at)

    @admin.display(description=_("decided at"))
    def decided(self, change: PolicyChange) -> str:
        return moment(change.decided_at)

    @admin.display(description=_("proposed by"))
    def proposer(self, change: PolicyChange) -> str:
        return change.requested_by.get_username()

    @admin.display(description=_("decided by"))
    def decider(self, change: PolicyChange) -> str:
        return "—" if change.decided_by is None else change.decided_by.get_username()

    @admin.display(description=_("before → after"))
    def summary(self, change: PolicyChange) -> str:
        return "; ".join(f"{name}: {value}" for name, value in differences(change))

    @admin.display(description=_("changes"))
    def changes(self, change: PolicyChange) -> str:
        """Show one line for each column."""
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", differences(change)))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Stand on the index only where four eyes are asked for; a campaign's page leads to what there was before."""
        return conf.four_eyes and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(permission) for permission in MAY_SEE)

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user}

    def is_offered(self, request: HttpRequest, action: FlowAction, row: PolicyChange) -> bool:
        """Offer the withdrawal to whoever proposed it, and the decision to everybody else."""
        is_own = row.requested_by_id == request.user.pk
        return super().is_offered(request, action, row) and (action.name == "withdraw") == is_own

    def refuse(
        self, request: HttpRequest, action: FlowAction, row: PolicyChange, error: TwoFactorError
    ) -> HttpResponse:
        """Come back to the page that asks while it may still be answered, as after a wrong password."""
        self.message_user(request, explain(error), messages.ERROR)
        row.refresh_from_db(fields=["status"])
        name = action.name if self.is_offered(request, action, row) else "change"
        return HttpResponseRedirect(self.page(name, row.pk))

    def ask(self, request: HttpRequest, action: FlowAction, row: Any, form: forms.Form) -> HttpResponse:
        if action.name == "approve" and row.requested_by_id == request.user.pk:
            self.message_user(request, _("You proposed this yourself: somebody else must approve it."), messages.ERROR)
        return super().ask(request, action, row, form)
