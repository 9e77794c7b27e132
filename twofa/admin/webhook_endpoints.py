"""Endpoints of webhooks: added on a storefront's page, kept here. The text of a secret is shown once, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from twofa.admin.actions import ConfirmForm, FlowAction, Tool, acting
from twofa.admin.base import TwofaAdmin, may_view
from twofa.admin.lists import SomeRelatedFilter
from twofa.admin.sections import BAD, ENDED, GOOD, OPEN, Cell, Lead, Section, badge, cells, moment, tone_of
from twofa.flows import webhook_endpoints
from twofa.models import WEBHOOKS, Storefront, Webhook, WebhookEndpoint, WebhookReason
from twofa.models.clock import Clock, now
from twofa.models.webhook_endpoint import SUBJECTS
from twofa.webhooks import Outcome

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

CHANGE = ("twofa.view_webhookendpoint", "twofa.change_webhookendpoint")
LATEST = 20


def types() -> list[tuple[StrOrPromise, list[tuple[str, StrOrPromise]]]]:
    """Return what an endpoint may choose to hear: by what it is about, all of it or single types."""
    return [
        (
            label,
            [
                (subject, _("all, and those that are added later")),
                *((type_, name) for type_, name in WEBHOOKS.items() if type_.partition(".")[0] == subject),
            ],
        )
        for subject, label in SUBJECTS.items()
    ]


class TypesField(forms.MultipleChoiceField):
    """Which webhooks an endpoint hears."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("What it is told"), required=False, choices=types, help_text=_("None chosen: all."), **options
        )


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    """What staff may change of an endpoint."""

    events = TypesField()

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "description", "events", "is_active")


class NewEndpointForm(forms.Form):
    """Asks for an endpoint of a storefront; the model says what is wrong with it, beside its field."""

    url = forms.CharField(
        label=_("URL"),
        max_length=500,
        widget=forms.URLInput(attrs={"class": "vTextField", "autofocus": True}),
        help_text=_("https on port 443, on a public address. Without secrets in it."),
    )
    description = forms.CharField(
        label=_("Description"), max_length=200, required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )
    events = TypesField()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            WebhookEndpoint(url=values.get("url", ""), events=values.get("events", [])).clean()
        except ValidationError as error:
            self.add_error(None, ValidationError({k: v for k, v in error.message_dict.items() if k in values}))
        return values


class RotateForm(forms.Form):
    """Asks how long the former secret signs, and carries the number of the one that its page knew of."""

    secret_number = forms.IntegerField(widget=forms.HiddenInput)
    overlap = forms.TypedChoiceField(
        label=_("The former secret"),
        choices=[("24", _("signs beside the new one for 24 hours")), ("0", _("stops now: somebody else has it"))],
        coerce=lambda hours: timedelta(hours=int(hours)),
        widget=forms.RadioSelect,
        initial="24",
    )


def state_of(endpoint: WebhookEndpoint, *, paused: bool) -> Cell:
    """Return whether an endpoint is told anything."""
    if not endpoint.is_active:
        return Cell(pgettext_lazy("webhook endpoint", "switched off"), tone=ENDED)
    if endpoint.disabled_at is not None:
        return Cell(pgettext_lazy("webhook endpoint", "disabled by the machine"), tone=BAD)
    if endpoint.failing_since is not None or paused:
        return Cell(pgettext_lazy("webhook endpoint", "failing"), tone=OPEN)
    return Cell(pgettext_lazy("webhook endpoint", "in use"), tone=GOOD)


def secret_page(
    model_admin: TwofaAdmin, request: HttpRequest, row: object, endpoint: WebhookEndpoint, text: str
) -> HttpResponse:
    """Show the text of a new secret: in this answer, which nothing stores, and never again."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("The new secret"),
        "opts": model_admin.opts,
        "original": row,
        "endpoint": endpoint,
        "text": text,
        "former": "" if endpoint.previous_until is None else moment(endpoint.previous_until),
        "media": model_admin.media,
        "back": model_admin.page_of(endpoint),
    }
    return TemplateResponse(request, "twofa/admin/webhook_secret.html", context)


def where(endpoint: WebhookEndpoint) -> Sequence[tuple[StrOrPromise, object]]:
    """Return whose it is, and where it leads."""
    return ((_("Storefront"), endpoint.storefront), (_("URL"), endpoint.url))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(TwofaAdmin):
    """Where storefronts are told of what happens. Never the secrets, nor what they are made from."""

    form = EndpointForm
    list_display = ("url", "storefront", "state", "failing", "created")
    list_filter = (("storefront", SomeRelatedFilter), "is_active", ("disabled_at", admin.EmptyFieldListFilter))
    linked_lookups = ("disabled_at__isempty",)
    list_select_related = ("storefront",)
    search_fields = ("url__exact", "storefront__name__exact")
    search_help_text = _(
        "A URL or the name of a storefront, exactly, or an endpoint's id. To add one, open the page of its storefront."
    )
    made_on = (_("An endpoint is added on the page of its storefront."), Storefront)
    uuid_fields = ("id",)
    ordering = ("-id",)
    fields = ("storefront", "state", "url", "description", "events", "is_active", "created")
    readonly_fields = ("storefront", "state", "created")
    flow_actions = (
        FlowAction(
            name="test",
            label=_("Send a test"),
            permissions=CHANGE,
            explanation=_("A webhook of the type “ping.test” is sent now, once, and you are told what came of it."),
            done="",
            run=webhook_endpoints.test,
            form=ConfirmForm,
            facts=where,
        ),
        FlowAction(
            name="rotate-secret",
            label=_("Rotate the secret"),
            permissions=CHANGE,
            explanation=_("The new secret is shown once, on the next page. Have a safe place for it ready."),
            done="",
            run=webhook_endpoints.rotate_secret,
            form=RotateForm,
            initial=lambda endpoint: {"secret_number": endpoint.secret_number, "overlap": "24"},
            facts=where,
        ),
        FlowAction(
            name="enable",
            label=_("Enable it again"),
            permissions=CHANGE,
            explanation=_("It is told of what happens from now on. What failed meanwhile may be sent again then."),
            done=_("The endpoint is in use again."),
            run=webhook_endpoints.enable,
            offered=lambda endpoint: endpoint.disabled_at is not None,
            form=ConfirmForm,
            facts=where,
        ),
        FlowAction(
            name="replay-failed",
            label=_("Send again what failed"),
            permissions=("twofa.view_webhookendpoint", "twofa.replay_webhook"),
            explanation=_("Each is sent under the id that it had, so that a storefront drops what it has already."),
            done=_("They wait to be sent again."),
            run=webhook_endpoints.replay_failed,
            offered=lambda endpoint: endpoint.is_open() and webhook_endpoints.has_failed(endpoint),
            form=ConfirmForm,
            facts=where,
        ),
    )

    @admin.display(description=_("status"))
    def state(self, endpoint: Any) -> str:
        """Show whether it is told anything, by the database's clock."""
        shown = state_of(endpoint, paused=endpoint.is_paused(endpoint.clock))
        return badge(shown.tone, str(shown.text))

    @admin.display(description=_("failing since"))
    def failing(self, endpoint: WebhookEndpoint) -> str:
        return moment(endpoint.failing_since)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("storefront").annotate(clock=Clock())
        return rows.defer(*WebhookEndpoint.SECRET_COLUMNS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Add none here: a storefront's page does, which knows whose it is, and shows its secret."""
        return False

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        with acting(request) as actor:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            webhook_endpoints.update(obj, actor=actor, changes=changes)

    def answer(self, request: HttpRequest, action: FlowAction, row: WebhookEndpoint, outcome: Any) -> HttpResponse:
        if action.name == "rotate-secret":
            return secret_page(self, request, row, *outcome)
        if action.name == "test":
            self._tell(request, outcome)
            return HttpResponseRedirect(self.page("change", row.pk))
        if action.name == "replay-failed":
            said = ngettext("%(count)d waits to be sent again.", "%(count)d wait to be sent again.", outcome)
            self.message_user(request, said % {"count": outcome}, messages.SUCCESS)
            if webhook_endpoints.has_failed(row):
                self.message_user(request, _("More is left: send it again once these are through."), messages.INFO)
            return HttpResponseRedirect(self.page("change", row.pk))
        return super().answer(request, action, row, outcome)

    def _tell(self, request: HttpRequest, outcome: Outcome) -> None:
        if outcome.is_accepted:
            said = _("It accepted the test, with the status %(status)d.") % {"status": outcome.status}
            self.message_user(request, said, messages.SUCCESS)
            return
        reason = WebhookReason(outcome.reason).label
        said = _("It did not accept the test: %(reason)s.") % {"reason": reason}
        self.message_user(request, f"{said} {_status(outcome)}".strip(), messages.ERROR)

    def get_tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        return [*super().get_tools(request, row), *self._log(request, row)]

    def _log(self, request: HttpRequest, row: WebhookEndpoint) -> list[Tool]:
        if not may_view(request, Webhook):
            return []
        log = reverse("admin:twofa_webhook_changelist", current_app=self.admin_site.name)
        return [Tool(_("Log"), f"{log}?endpoint__id__exact={row.pk}")]

    def get_sections(self, request: HttpRequest, row: WebhookEndpoint) -> list[Section | Lead]:
        latest = [self._latest(request, row)] if may_view(request, Webhook) else []
        return [*_troubles(row), _secrets(row), *latest]

    def _latest(self, request: HttpRequest, row: WebhookEndpoint) -> Section:
        way = self.way(request)
        lines = [
            cells(
                moment(webhook.created_at),
                Cell(webhook.type_label, url=way(webhook)),
                Cell(webhook.get_status_display(), tone=tone_of(webhook.status)),
                webhook.get_reason_display() or "—",
                webhook.tries,
            )
            for webhook in Webhook.objects.filter(endpoint=row).order_by("-id")[:LATEST]
        ]
        headers = (_("when"), _("webhook"), _("status"), _("reason"), _("tries"))
        return Section(_("Latest webhooks"), headers, lines, empty=_("Nothing was sent yet."), anchor="latest")


def _status(outcome: Outcome) -> str:
    return "" if outcome.status is None else str(_("Its status was %(status)d.") % {"status": outcome.status})


def _troubles(row: WebhookEndpoint) -> list[Lead]:
    """Return what is wrong with an endpoint: it is looked for at the top."""
    if row.disabled_at is not None:
        said = {"at": moment(row.disabled_at), "reason": row.get_disabled_reason_display()}
        lost = _("What happens is kept as failed until it is enabled again, and may be sent then.")
        return [Lead([[Cell(_("Disabled on %(at)s: %(reason)s.") % said), Cell(lost)]])]
    if row.failing_since is not None:
        said = {"at": moment(row.failing_since), "until": moment(row.paused_until)}
        return [Lead([[Cell(_("It has accepted nothing since %(at)s. The next try is after %(until)s.") % said)]])]
    return []


def _secrets(row: WebhookEndpoint) -> Section:
    lines = [cells(row.secret_number, row.kid, Cell(pgettext_lazy("secret", "signs"), tone=GOOD), "—")]
    if row.previous_until is not None:
        live = row.previous_until > now()
        said = pgettext_lazy("secret", "signs") if live else pgettext_lazy("secret", "over")
        state = Cell(said, tone=GOOD if live else ENDED)
        lines.append(cells(row.secret_number - 1, row.previous_kid, state, moment(row.previous_until)))
    headers = (_("secret"), _("key id"), _("status"), _("until"))
    return Section(_("Secrets"), headers, lines, anchor="secrets")
