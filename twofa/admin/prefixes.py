"""Abuse of numbers: the prefixes that are paused, lifted here with a reason, and the numbers that never are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa import contacts
from twofa.admin import words
from twofa.admin.actions import FlowAction, acting
from twofa.admin.base import ReadOnlyAdmin, TwofaAdmin
from twofa.admin.sections import BAD, ENDED, GOOD, badge, moment
from twofa.flows import prefixes
from twofa.models import PrefixPause, SafeNumber
from twofa.models.clock import Clock, now

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def counts(pause: PrefixPause) -> Sequence[tuple[StrOrPromise, object]]:
    """Return what it was paused for."""
    return (
        (_("Prefix"), pause.prefix),
        (_("Country"), contacts.country_of_prefix(pause.prefix) or "—"),
        (_("Messages"), words.number(pause.sends)),
        (_("Confirmed"), words.number(pause.confirmations)),
    )


@admin.register(PrefixPause)
class PrefixPauseAdmin(ReadOnlyAdmin):
    """What the breaker stopped, and who let it go on."""

    list_display = (
        "__str__",
        "country",
        "state",
        "sends",
        "confirmations",
        "paused_at",
        "paused_until",
        "ended_at",
        "lifted_by",
    )
    search_fields = ("prefix__exact",)
    search_help_text = _("A prefix, exactly: a number without its last four digits, like +551199999.")
    sortable_by = ()
    ordering = ("-pk",)
    fields = (
        "prefix",
        "country",
        "state",
        "sends",
        "confirmations",
        "paused_at",
        "paused_until",
        "ended_at",
        "lifted_by",
    )
    flow_actions = (
        FlowAction(
            name="lift",
            label=_("Lift the pause"),
            permissions=("twofa.view_prefixpause", "twofa.lift_prefixpause"),
            explanation=_(
                "Messages go to these numbers again at once. What was sent until now does not count any more; if the "
                "next ones are not answered either, the prefix is paused again."
            ),
            done=_("The pause was lifted."),
            run=prefixes.lift,
            offered=lambda pause: pause.is_running(now()),
            facts=counts,
        ),
    )

    @admin.display(description=_("country"))
    def country(self, pause: PrefixPause) -> str:
        return contacts.country_of_prefix(pause.prefix) or "—"

    @admin.display(description=_("status"))
    def state(self, pause: Any) -> str:
        """Show whether it keeps messages back, by the database's clock."""
        if pause.is_running(pause.clock):
            return badge(BAD, pgettext_lazy("prefix", "paused"))
        lifted, over = pgettext_lazy("prefix", "lifted"), pgettext_lazy("prefix", "over")
        return badge(ENDED, lifted if pause.lifted_by else over)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(clock=Clock())


@admin.register(SafeNumber)
class SafeNumberAdmin(TwofaAdmin):
    """Added and removed, never changed: the trail tells who exempted what, and why."""

    list_display = ("prefix", "state", "reason", "created_by", "created", "removed")
    search_fields = ("prefix__exact",)
    search_help_text = _("A number or a beginning as it stands here, exactly.")
    sortable_by = ("created",)
    ordering = ("-pk",)
    fields = ("prefix", "state", "reason", "created_by", "created", "removed")
    flow_actions = (
        FlowAction(
            name="remove",
            label=_("Remove it"),
            permissions=("twofa.view_safenumber", "twofa.change_safenumber"),
            explanation=_("Pauses of prefixes and their budget hold for these numbers again, from now on."),
            done=_("The number was removed."),
            run=prefixes.remove_safe_number,
            offered=lambda number: number.removed_at is None,
            is_destructive=True,
        ),
    )

    @admin.display(description=_("status"))
    def state(self, number: SafeNumber) -> str:
        living, removed = pgettext_lazy("safe number", "safe"), pgettext_lazy("safe number", "removed")
        return badge(GOOD, living) if number.removed_at is None else badge(ENDED, removed)

    @admin.display(description=_("removed at"))
    def removed(self, number: SafeNumber) -> str:
        return moment(number.removed_at)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ("prefix", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: SafeNumber, form: ModelForm[SafeNumber], change: bool) -> None:
        with acting(request) as actor:
            obj.pk = prefixes.add_safe_number(actor=actor, **form.cleaned_data).pk
