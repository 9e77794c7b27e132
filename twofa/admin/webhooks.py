"""The log of webhooks: who was told of what, what came of it, and sending it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from twofa.admin.actions import ConfirmForm, FlowAction
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import moment
from twofa.flows import webhook_endpoints
from twofa.models import WEBHOOKS, Webhook, WebhookEndpoint

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_ABOUT: dict[str, StrOrPromise] = {
    "batch": _("batch"),
    "challenge": _("challenge"),
    "device": _("device"),
    "document": _("identity document"),
    "participant": _("participant"),
    "redemption": _("redemption"),
}


class TypeFilter(admin.SimpleListFilter):
    """By the type, in words: a list of those that occur would read the whole table."""

    title = _("webhook")
    parameter_name = "webhook"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, StrOrPromise]]:
        return WEBHOOKS.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> QuerySet[Webhook]:
        return queryset if self.value() is None else queryset.filter(type=self.value())


def told(row: Webhook) -> Sequence[tuple[StrOrPromise, object]]:
    """Return what would be sent, and where."""
    return ((_("Webhook"), row), (_("Storefront"), row.endpoint.storefront), (_("URL"), row.endpoint.url))


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    """What was posted is on its page; what the endpoint answered is on none, but for its status."""

    list_display = ("when", "what", "shown_status", "shown_reason", "endpoint", "tries")
    list_filter = ("status", "reason", TypeFilter, ("endpoint", SomeRelatedFilter), ("created_at", DateFilter))
    list_select_related = ("endpoint",)
    sortable_by = ("when",)
    search_fields = ("subject_id__exact",)
    search_help_text = _(
        "The id of a redemption, batch, challenge, device or document, or a webhook's id without “msg_”, exactly."
    )
    uuid_fields = ("message_id",)
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("what", "endpoint", "about", "subject_id", "version", "sent_text")}),
        (_("State"), {"fields": ("shown_status", "shown_reason", "last_status", "tries", "due_at", "leased_until")}),
        (_("Trace"), {"fields": ("webhook_id", "correlation_id", "created_at", "sent_at")}),
    )
    flow_actions = (
        FlowAction(
            name="replay",
            label=_("Send it again"),
            permissions=("twofa.view_webhook", "twofa.replay_webhook"),
            explanation=_("It is sent under the id that it had, so that a storefront drops it if it has it already."),
            done=_("It waits to be sent again."),
            run=webhook_endpoints.replay,
            offered=lambda row: row.status not in Webhook.OPEN and row.endpoint.is_open(),
            form=ConfirmForm,
            facts=told,
        ),
    )

    @admin.display(description=_("when"), ordering="id")
    def when(self, row: Webhook) -> str:
        return moment(row.created_at)

    @admin.display(description=_("webhook"))
    def what(self, row: Webhook) -> StrOrPromise:
        return row.type_label

    @admin.display(description=_("about"))
    def about(self, row: Webhook) -> StrOrPromise:
        return _ABOUT.get(row.subject, row.subject)

    @admin.display(description=_("reason"))
    def shown_reason(self, row: Webhook) -> str:
        return row.get_reason_display() or "—"

    @admin.display(description=_("webhook's id"))
    def webhook_id(self, row: Webhook) -> str:
        return row.webhook_id

    @admin.display(description=_("what is sent"))
    def sent_text(self, row: Webhook) -> str:
        """Show the body, as it is signed, in lines."""
        return format_html("<pre>{}</pre>", json.dumps(json.loads(row.body()), indent=2, ensure_ascii=False))

    def get_queryset(self, request: HttpRequest) -> Any:
        hidden = (f"endpoint__{name}" for name in WebhookEndpoint.SECRET_COLUMNS)
        return super().get_queryset(request).select_related("endpoint__storefront").defer(*hidden)
