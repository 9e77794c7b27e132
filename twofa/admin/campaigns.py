"""Campaigns: the policy, its toggle, and the history of who changed what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.forms import Field, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa import delivery
from twofa.admin import figures, vocabulary, words
from twofa.admin import messages as message_pages
from twofa.admin.actions import FlowAction, Tool, acting, explain
from twofa.admin.explanations import who
from twofa.admin.forms import CampaignForm, form_field
from twofa.admin.four_eyes import REASON, VERSION, FourEyesAdmin, ProposingModeForm
from twofa.admin.sections import Cell, Lead, Section, badge, cells, moment, tone_of
from twofa.exceptions import TwoFactorError
from twofa.flows import campaigns, policy_changes
from twofa.flows.figures import touched_by
from twofa.flows.history import Actor
from twofa.models import (
    CAMPAIGN_EVENTS,
    POLICY_FIELDS,
    Campaign,
    Channel,
    Event,
    PolicyChange,
    TwoFactorMode,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAY_CHANGE_POLICY = ("twofa.change_campaign", "twofa.change_policy")
WRITABLE = CampaignForm.Meta.fields
HISTORY = 50


def impact(campaign: Campaign, allowed_channels: Sequence[str] = ()) -> Sequence[tuple[StrOrPromise, object]]:
    """Return whom a change touches; ``allowed_channels`` are those that it brings, where it brings others."""
    touched = touched_by(campaign, allowed_channels=allowed_channels or campaign.allowed_channels)
    return (
        (
            _("Two-factor now (policy version %(version)d)") % {"version": campaign.policy_version},
            campaign.get_two_factor_mode_display(),
        ),
        (_("Active participants"), touched.participants),
        (_("Of them without a usable device (they could not redeem)"), touched.without_device),
        (_("Open challenges (they keep the rule they began with)"), touched.open_challenges),
    )


def set_mode(
    campaign: Campaign, *, by: Any, actor: Actor, two_factor_mode: str, policy_version: int, reason: str = ""
) -> Campaign | PolicyChange:
    """Switch the toggle, if the policy is still the one that the page showed; or propose that."""
    changes = {"two_factor_mode": two_factor_mode}
    return policy_changes.submit(
        campaign, by=by, actor=actor, changes=changes, reason=reason, expected_version=policy_version
    )


def sentences(campaign: Campaign) -> list[str]:
    """Return the policy in plain words."""
    asked = {
        TwoFactorMode.OFF: _("Nobody is asked for a token."),
        TwoFactorMode.OPTIONAL: _("Participants who chose a method are asked for a token."),
        TwoFactorMode.REQUIRED: _("Every redemption is asked for a token."),
    }[TwoFactorMode(campaign.two_factor_mode)]
    lines = [str(asked)]
    if campaign.threshold is not None and campaign.two_factor_mode != TwoFactorMode.OFF:
        amount = words.points(campaign.threshold, campaign.unit)
        lines = [str(_threshold_sentence(campaign.two_factor_mode)) % {"amount": amount}]
    if campaign.approver_threshold is not None:
        amount = words.points(campaign.approver_threshold, campaign.unit)
        lines.append(str(_("Once 24 hours reach %(amount)s, another person must approve.")) % {"amount": amount})
    most = campaign.max_attempts
    attempts = ngettext("%(count)d attempt", "%(count)d attempts", most) % {"count": most}
    lines.append(
        str(_("A participant has %(attempts)s; a token lives %(life)s."))
        % {
            "attempts": attempts,
            "life": words.duration(campaign.token_ttl),
        }
    )
    lines.append(
        str(_("Without the right token within %(time)s the redemption expires and the points are given back."))
        % {
            "time": words.duration(campaign.redemption_ttl),
        }
    )
    return [*lines, *_channel_sentences(campaign)]


def _channel_sentences(campaign: Campaign) -> list[str]:
    """Return by what messages go; a channel that nobody set up carries none, whatever the policy allows."""
    if campaign.test:
        return [str(_("Messages go to the sandbox: it is a test campaign."))]
    able = [alias for alias in campaign.allowed_channels if delivery.is_available(alias)]
    unable = [alias for alias in campaign.allowed_channels if alias not in able]
    said = [(_("Messages go by: %(channels)s."), able), (_("Allowed, but not set up here: %(channels)s."), unable)]
    return [str(line) % {"channels": words.chosen(named, Channel.choices)} for line, named in said if named]


def _threshold_sentence(mode: str) -> StrOrPromise:
    if mode == TwoFactorMode.REQUIRED:
        return _("A token is asked for once a participant's redemptions of 24 hours reach %(amount)s.")
    return _("Participants who chose a method are asked for a token; everybody once 24 hours reach %(amount)s.")


def _shown(name: str, title: StrOrPromise, render: Callable[[Any], str]) -> Callable[[Any, Campaign], str]:
    """Return a column in words, for those who may only look."""

    @admin.display(description=title)
    def shown(_self: Any, campaign: Campaign) -> str:
        return render(getattr(campaign, name))

    return shown


@admin.register(Campaign)
class CampaignAdmin(FourEyesAdmin):
    """The one page on which staff write: each save is a flow, and an event with who, before and after."""

    form = CampaignForm
    list_display = ("name", "slug", "toggle", "shown_threshold", "is_active", "test", "figures")
    list_filter = ("two_factor_mode", "is_active", "test")
    search_fields = ("name", "slug__exact")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "unit", "is_active", "test", "in_words")}),
        (_("Two-factor"), {"fields": ("two_factor_mode", "threshold", "default_method", "completion_mode")}),
        (_("Channels"), {"fields": ("allowed_channels", "allowed_countries", "autofill_domain", "links_in_messages")}),
        (
            _("Token"),
            {
                "fields": (
                    "token_alphabet",
                    "token_length",
                    "token_ttl",
                    "max_attempts",
                    "max_resends",
                    "resend_cooldown",
                    "redemption_ttl",
                )
            },
        ),
        (
            _("Budgets"),
            {
                "fields": (
                    "max_open_challenges",
                    "failed_attempts_per_day",
                    "sends_per_destination_per_day",
                    "sends_per_participant_per_day",
                    "sends_per_campaign_per_day",
                    "sends_per_prefix_per_day",
                    "sms_per_day",
                )
            },
        ),
        (
            _("Devices and identity"),
            {"fields": ("device_cooling_off", "unbound_devices_approve", "identity_required", "required_documents")},
        ),
        (
            _("Approvers and schedules"),
            {"fields": ("approver_threshold", "schedule_max_ahead", "schedule_grace")},
        ),
    )
    flow_actions = (
        FlowAction(
            name="two-factor",
            label=_("Change two-factor"),
            permissions=MAY_CHANGE_POLICY,
            explanation=_("Checkouts opened from now on follow the new rule. Open challenges keep theirs."),
            done=_("Two-factor was changed."),
            run=set_mode,
            form=ProposingModeForm,
            initial=lambda campaign: {
                "two_factor_mode": campaign.two_factor_mode,
                "policy_version": campaign.policy_version,
            },
            facts=impact,
        ),
    )
    WORDS = {
        "allowed_channels": "shown_allowed_channels",
        "allowed_countries": "shown_allowed_countries",
        "required_documents": "shown_required_documents",
        "token_ttl": "shown_token_ttl",
        "resend_cooldown": "shown_resend_cooldown",
        "redemption_ttl": "shown_redemption_ttl",
        "device_cooling_off": "shown_device_cooling_off",
        "schedule_max_ahead": "shown_schedule_max_ahead",
        "schedule_grace": "shown_schedule_grace",
    }
    shown_allowed_channels = _shown(
        "allowed_channels", _("allowed channels"), lambda value: words.chosen(value, Channel.choices)
    )
    shown_allowed_countries = _shown(
        "allowed_countries", _("allowed countries"), lambda codes: words.told("allowed_countries", codes)
    )
    shown_required_documents = _shown(
        "required_documents", _("required documents"), lambda value: words.chosen(value, vocabulary.DOCUMENTS.items())
    )
    shown_token_ttl = _shown("token_ttl", _("token life"), words.duration)
    shown_resend_cooldown = _shown("resend_cooldown", _("pause between messages"), words.duration)
    shown_redemption_ttl = _shown("redemption_ttl", _("time to confirm"), words.duration)
    shown_device_cooling_off = _shown("device_cooling_off", _("cooling-off of a new device"), words.duration)
    shown_schedule_max_ahead = _shown("schedule_max_ahead", _("schedules reach"), words.duration)
    shown_schedule_grace = _shown("schedule_grace", _("lateness of schedules"), words.duration)

    @admin.display(description=_("two-factor"), ordering="two_factor_mode")
    def mode(self, campaign: Campaign) -> str:
        """Show the toggle to those who may not switch it."""
        return badge(tone_of(campaign.two_factor_mode), words.mode(campaign.two_factor_mode))

    @admin.display(description=_("two-factor"), ordering="two_factor_mode")
    def toggle(self, campaign: Campaign) -> str:
        """Show the toggle, with the way to its page."""
        return format_html(
            '{} <a class="twofa-change" href="{}" aria-label="{}">{}</a>',
            self.mode(campaign),
            self.page("two-factor", campaign.pk),
            _("Change two-factor of %(campaign)s") % {"campaign": campaign},
            _("Change"),
        )

    @admin.display(description=_("threshold"), ordering="threshold")
    def shown_threshold(self, campaign: Campaign) -> str:
        """Show the threshold as amounts are shown elsewhere."""
        return "—" if campaign.threshold is None else words.points(campaign.threshold, campaign.unit)

    @admin.display(description=_("figures"))
    def figures(self, campaign: Campaign) -> str:
        """Show the way to what its tokens came to."""
        label = _("Figures of %(campaign)s") % {"campaign": campaign}
        return format_html(
            '<a href="{}" aria-label="{}">{}</a>', self.page("figures", campaign.pk), label, _("Figures")
        )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        may_change = request.user.has_perms(MAY_CHANGE_POLICY)
        return ["mode" if name == "toggle" and not may_change else name for name in self.list_display]

    def get_tools(self, request: HttpRequest, row: Campaign) -> list[Tool]:
        own = [Tool(_("Figures"), self.page("figures", row.pk)), Tool(_("Messages"), self.page("messages", row.pk))]
        return [*own, *super().get_tools(request, row)]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.figures_view)
        own = [path("<path:object_id>/figures/", view, name="twofa_campaign_figures"), *message_pages.urls(self)]
        return [*own, *super().get_urls()]

    def figures_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what its tokens came to."""
        return figures.page(self, request, unquote(object_id))

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"by": request.user}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Campaign | None:
        campaign: Campaign | None = super().get_object(request, object_id, from_field)
        if campaign is not None:
            # Before a form writes into the row: a policy that was refused is told nowhere as if it held.
            campaign.stored_words = sentences(campaign)  # type: ignore[attr-defined]
        return campaign

    def answer(self, request: HttpRequest, action: FlowAction, row: Campaign, outcome: object) -> HttpResponse:
        if isinstance(outcome, Campaign) and outcome.policy_version == row.policy_version:
            self.message_user(request, _("Nothing was changed: it was like this already."), messages.INFO)
            return HttpResponseRedirect(self.page("change", row.pk))
        return super().answer(request, action, row, outcome)

    def refuse(self, request: HttpRequest, action: FlowAction, row: Campaign, error: TwoFactorError) -> HttpResponse:
        """Come back to the page that asks: it says how things are now, and whom a change would touch."""
        self.message_user(request, explain(error), messages.ERROR)
        return HttpResponseRedirect(self.page(action.name, row.pk))

    @admin.display(description=_("in plain words"))
    def in_words(self, campaign: Campaign) -> str:
        """Show what the policy comes to."""
        return format_html(
            "<ul>{}</ul>",
            format_html_join("", "<li>{}</li>", ((line,) for line in campaign.stored_words)),  # type: ignore[attr-defined]
        )

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Field | None:
        return form_field(db_field) or super().formfield_for_dbfield(db_field, request, **kwargs)

    def _locked_fields(self, request: HttpRequest, campaign: Campaign | None) -> set[str]:
        """Return the columns that this member may not write.

        The address in the API never changes, and neither does ``test``: switched on for a moment, it would show the
        tokens of real participants in the sandbox.
        """
        locked = set() if campaign is None else {"slug", "test"}
        if not request.user.has_perm("twofa.change_policy"):
            locked |= set(POLICY_FIELDS)
        if campaign is not None and not self.has_change_permission(request, campaign):
            locked |= set(WRITABLE)
        return locked

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        locked = self._locked_fields(request, obj)
        return ["in_words", *sorted(self.WORDS.get(name, name) for name in locked)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        locked = self._locked_fields(request, obj)

        def displayed(name: Any) -> Any:
            if isinstance(name, tuple):
                return tuple(map(displayed, name))
            return self.WORDS.get(name, name) if name in locked else name

        # What is not written yet comes to nothing that words could tell.
        untold = {"in_words"} if obj is None else set()
        shown: list[Any] = [
            (title, {"fields": [displayed(name) for name in options["fields"] if name not in untold]})
            for title, options in self.fieldsets
        ]
        return [*shown, *self.more_fieldsets(request, obj)]

    def save_model(self, request: HttpRequest, obj: Campaign, form: ModelForm[Campaign], change: bool) -> None:
        with acting(request) as actor:
            if change:
                changed = [name for name in form.changed_data if name not in (REASON, VERSION)]
                outcome = policy_changes.submit(
                    obj,
                    by=request.user,
                    actor=actor,
                    changes={name: form.cleaned_data[name] for name in changed},
                    reason=form.cleaned_data.get(REASON, ""),
                    expected_version=form.cleaned_data.get(VERSION),
                )
                self.keep(obj, outcome)
            else:
                self.keep(obj, campaigns.open_campaign(actor=actor, **form.cleaned_data))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write nothing: the flow wrote it all."""

    def get_sections(self, request: HttpRequest, row: Campaign) -> list[Section | Lead]:
        return [*self.proposals(row, self.way(request)), history(row, self.way(request))]


def history(campaign: Campaign, way: Callable[[models.Model], str]) -> Section:
    """Return the changes of a campaign, the newest first."""
    about = Event.objects.filter(campaign=campaign, type__in=CAMPAIGN_EVENTS)
    events = list(about.order_by("-created_at", "-pk")[:HISTORY])
    lines = [
        cells(
            Cell(moment(event.created_at), url=way(event)),
            who(event),
            event.label,
            words.details(
                {name: value for name, value in event.data.items() if name != "policy_version"}, unit=campaign.unit
            ),
            event.data.get("policy_version", "—"),
        )
        for event in events
    ]
    headers = (_("when"), _("who"), _("what"), _("before → after"), _("policy version"))
    note = ""
    if len(events) == HISTORY:
        note = _("Only the newest %(count)d changes are shown. All of them are among the events.") % {"count": HISTORY}
    title = _("History of the policy, the newest change first")
    return Section(title, headers, lines, note=note, anchor="history")
