"""Storefronts and their keys: issued, rotated and revoked here; a key's text is shown once, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.admin import words
from twofa.admin.actions import ConfirmForm, FlowAction, acting
from twofa.admin.base import ReadOnlyAdmin, TwofaAdmin, may_view
from twofa.admin.lists import SomeRelatedFilter
from twofa.admin.sections import ENDED, GOOD, Cell, Lead, Section, badge, cells, moment
from twofa.admin.webhook_endpoints import NewEndpointForm, secret_page
from twofa.admin.webhook_endpoints import state_of as state_of_endpoint
from twofa.flows import storefronts, webhook_endpoints
from twofa.models import MAX_LIVE_KEYS, Scope, Storefront, StorefrontKey, WebhookEndpoint
from twofa.models.clock import Clock, now

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ROTATION = _(
    "To rotate: issue a second key, install it in the storefront's backend, see that it is used, then revoke the first."
)

FULL = _("It has as many live keys as it may have: revoke one before you issue another.")


class ScopesField(forms.MultipleChoiceField):
    """Which parts of the API credentials open."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Scopes"), required=False, choices=Scope.choices, help_text=_("None chosen: all."), **options
        )


class IssueKeyForm(forms.Form):
    """Asks what the key is for, and carries the last key that its page knew of: sent twice, it issues one."""

    scopes = ScopesField()
    newest = forms.IntegerField(required=False, widget=forms.HiddenInput)


@admin.register(Storefront)
class StorefrontAdmin(TwofaAdmin):
    """Who calls the API, for which campaigns, and with which keys."""

    list_display = ("name", "is_active", "created")
    list_filter = ("is_active",)
    search_fields = ("name",)
    filter_horizontal = ("campaigns",)
    fields = ("name", "is_active", "campaigns", "completion_mode", "created")
    flow_actions = (
        FlowAction(
            name="issue-key",
            label=_("Issue a key"),
            permissions=("twofa.view_storefront", "twofa.add_storefrontkey"),
            explanation=_("The key is shown once, on the next page. Have a safe place for it ready."),
            done="",
            run=storefronts.issue_key,
            offered=storefronts.has_room,
            form=IssueKeyForm,
            initial=lambda storefront: {"newest": storefronts.newest_key(storefront)},
        ),
        FlowAction(
            name="add-webhook",
            label=_("Add a webhook endpoint"),
            permissions=("twofa.view_storefront", "twofa.add_webhookendpoint"),
            explanation=_(
                "The storefront's backend is told there of what happens. The secret by which it knows that we tell it "
                "is shown once, on the next page. Have a safe place for it ready."
            ),
            done="",
            run=webhook_endpoints.open_endpoint,
            form=NewEndpointForm,
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("created",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ("name", "campaigns")

    def save_model(self, request: HttpRequest, obj: Storefront, form: ModelForm[Storefront], change: bool) -> None:
        with acting(request) as actor:
            if change:
                changes = {name: form.cleaned_data[name] for name in form.changed_data}
                storefronts.update(obj, actor=actor, changes=changes)
            else:
                obj.pk = storefronts.open_storefront(actor=actor, **form.cleaned_data).pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write nothing: the flow wrote it all."""

    def answer(self, request: HttpRequest, action: FlowAction, row: Storefront, outcome: Any) -> HttpResponse:
        """Show the text of a new key, or secret: in this answer, which nothing stores, and never again."""
        if action.name == "add-webhook":
            return secret_page(self, request, row, *outcome)
        key, text = outcome
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new key"),
            "opts": self.opts,
            "original": row,
            "key": key,
            "text": text,
            "expires": moment(key.expires_at),
            "scopes": words.told("scopes", key.scopes),
            "media": self.media,
            "back": self.page("change", row.pk),
        }
        return TemplateResponse(request, "twofa/admin/key.html", context)

    def get_sections(self, request: HttpRequest, row: Storefront) -> list[Section | Lead]:
        keys = self._keys(row) if may_view(request, StorefrontKey) else []
        return [*keys, self._endpoints(row)] if may_view(request, WebhookEndpoint) else keys

    def _endpoints(self, storefront: Storefront) -> Section:
        at, rows = now(), storefront.webhook_endpoints.defer(*WebhookEndpoint.SECRET_COLUMNS).order_by("id")
        lines = [
            cells(
                Cell(row.url, url=self.page_of(row)),
                state_of_endpoint(row, paused=row.is_paused(at)),
                words.told("told", row.events),
                row.description or "—",
            )
            for row in rows
        ]
        headers = (_("URL"), _("status"), _("what it is told"), _("description"))
        empty = _("No endpoint: this storefront is told of nothing, and has to ask.")
        return Section(_("Webhook endpoints"), headers, lines, empty=empty, anchor="webhooks")

    def _keys(self, storefront: Storefront) -> list[Section | Lead]:
        at, keys = now(), list(storefront.keys.all())
        lines = [
            cells(
                Cell(str(key), url=self.page_of(key)),
                state_of(key, live=key.is_live(at)),
                words.told("scopes", key.scopes),
                moment(key.created_at),
                moment(key.last_used_at),
                moment(key.expires_at),
                moment(key.revoked_at),
            )
            for key in keys
        ]
        is_full = sum(key.is_live(at) for key in keys) >= MAX_LIVE_KEYS
        headers = (_("key"), _("status"), _("scopes"), _("issued"), _("last used"), _("expires"), _("revoked"))
        empty = _("No key yet: this storefront cannot call the API.")
        table = Section(_("Keys"), headers, lines, empty=empty, note="" if is_full else ROTATION, anchor="keys")
        # Above all else: the button that is not there is looked for at the top.
        return [Lead([[Cell(FULL)]]), table] if is_full else [table]


def state_of(key: StorefrontKey, *, live: bool) -> Cell:
    """Return what a key is good for."""
    if live:
        return Cell(pgettext_lazy("key", "live"), tone=GOOD)
    revoked, expired = pgettext_lazy("key", "revoked"), pgettext_lazy("key", "expired")
    return Cell(revoked if key.revoked_at is not None else expired, tone=ENDED)


def use(key: StorefrontKey) -> Sequence[tuple[StrOrPromise, object]]:
    """Return whose key it is, and when it was used: whoever revokes the one in use stops a shop."""
    return ((_("Storefront"), key.storefront), (_("Last used"), moment(key.last_used_at)))


@admin.register(StorefrontKey)
class StorefrontKeyAdmin(ReadOnlyAdmin):
    """What may be known of a key: its prefix, and when it was used. Neither its text nor its hash."""

    list_display = ("__str__", "state", "storefront", "opens", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = (("storefront", SomeRelatedFilter),)
    list_select_related = ("storefront",)
    search_fields = ("prefix__exact",)
    search_help_text = _("The part of a key between its underscores, exactly.")
    ordering = ("-pk",)
    fields = ("prefix", "state", "storefront", "opens", "created_at", "last_used_at", "expires_at", "revoked_at")
    flow_actions = (
        FlowAction(
            name="revoke",
            label=_("Revoke the key"),
            permissions=("twofa.view_storefrontkey", "twofa.change_storefrontkey"),
            explanation=_("From the next request on this key opens nothing. It cannot be taken back."),
            done=_("The key was revoked."),
            run=storefronts.revoke_key,
            offered=lambda key: key.revoked_at is None,
            form=ConfirmForm,
            facts=use,
            is_destructive=True,
        ),
    )

    @admin.display(description=_("status"))
    def state(self, key: Any) -> str:
        """Show whether it opens anything, by the database's clock."""
        shown = state_of(key, live=key.is_live(key.clock))
        return badge(shown.tone, str(shown.text))

    @admin.display(description=_("scopes"))
    def opens(self, key: StorefrontKey) -> str:
        """Show which parts of the API it opens."""
        return words.told("scopes", key.scopes)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(clock=Clock())
