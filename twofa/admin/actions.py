"""What staff may do to a row: a page that asks, one flow, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction  # noqa: TID251 - only to stay out of the host's
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from twofa import correlation
from twofa.exceptions import TwoFactorError, WrongState
from twofa.flows.history import Actor

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@contextmanager
def acting(request: HttpRequest) -> Iterator[Actor]:
    """Run a flow on behalf of the signed-in member of staff, under the host's correlation id, or one of its own."""
    with correlation.bound(correlation.current() or correlation.accept(None)):
        yield Actor.staff(request.user)


def explain(error: TwoFactorError) -> str:
    """Return an error's reason, for staff."""
    if isinstance(error, WrongState) and error.detail is error.default_detail:
        return str(_("Nothing was done: its state does not allow this any more. Somebody else may have been faster."))
    fields = error.params.get("errors") or []
    return " ".join(str(line["detail"]) for line in fields) or str(error.detail)


class ReasonForm(forms.Form):
    """Asks why: what staff do to a participant's things is explained in the audit trail."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Kept in the audit trail, with your name."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever types begins at the top, and passes over nothing.
        next(iter(self.fields.values())).widget.attrs["autofocus"] = True


class ConfirmForm(forms.Form):
    """Asks nothing but to be sent."""


@dataclass(frozen=True)
class FlowAction:
    """One thing that staff may do to a row: a page that says what will happen, asks, and calls one flow.

    ``run`` is called as ``run(row, actor=..., **the form's values)``; ``offered`` tells whether the button is shown.
    The flow decides again whether it is allowed, whatever the button said.
    """

    name: str
    label: StrOrPromise
    permissions: tuple[str, ...]
    explanation: StrOrPromise
    done: StrOrPromise
    run: Callable[..., object]
    offered: Callable[[Any], bool] = lambda _row: True
    form: type[forms.Form] = ReasonForm
    initial: Callable[[Any], dict[str, Any]] = lambda _row: {}
    facts: Callable[[Any], Sequence[tuple[StrOrPromise, object]]] = lambda _row: ()
    is_destructive: bool = False

    def is_permitted(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(self.permissions))


@dataclass(frozen=True)
class Tool:
    """A button at the top of a page."""

    label: StrOrPromise
    url: str


class ActingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A row's buttons and their pages. No form and no list of Django's writes anything: a flow does."""

    flow_actions: tuple[FlowAction, ...] = ()

    def get_tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        """Return the buttons of one row's page."""
        return [
            Tool(action.label, self.page(action.name, row.pk))
            for action in self.flow_actions
            if action.is_permitted(request) and self.is_offered(request, action, row)
        ]

    def name_of(self, row: Any) -> str:
        """Return what headings and breadcrumbs call a row; it is loaded, with what its page shows beside it."""
        return str(row)

    def is_offered(self, request: HttpRequest, action: FlowAction, row: Any) -> bool:
        """Tell whether a row's page has the button of an action, for this member."""
        return action.offered(row)

    def page(self, name: str, *args: object) -> str:
        """Return the address of a page of this model."""
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args, current_app=self.admin_site.name
        )

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/{action.name}/",
                self.admin_site.admin_view(self.flow_view),
                {"name": action.name},
                name=f"{self.opts.app_label}_{self.opts.model_name}_{action.name}",
            )
            for action in self.flow_actions
        ]
        return [*own, *super().get_urls()]

    @method_decorator(sensitive_post_parameters("password"))
    @sensitive_variables("form")
    @transaction.non_atomic_requests
    def flow_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask for confirmation, then call the action's flow: it owns its transaction, whatever ATOMIC_REQUESTS says."""
        action = next(action for action in self.flow_actions if action.name == name)
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row) or not action.is_permitted(request):
            raise PermissionDenied
        form = action.form(request.POST) if request.method == "POST" else action.form(initial=action.initial(row))
        if form.is_valid():
            return self._perform(request, action, row, form.cleaned_data)
        return self.ask(request, action, row, form)

    @sensitive_variables("values")
    def _perform(self, request: HttpRequest, action: FlowAction, row: Any, values: dict[str, Any]) -> HttpResponse:
        try:
            with acting(request) as actor:
                outcome = action.run(row, actor=actor, **self.arguments(request, action), **values)
        except TwoFactorError as error:
            return self.refuse(request, action, row, error)
        return self.answer(request, action, row, outcome)

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        """Return what the flow of an action is given besides the form's values."""
        return {}

    def refuse(self, request: HttpRequest, action: FlowAction, row: Any, error: TwoFactorError) -> HttpResponse:
        """Tell why nothing was done, on the row's page."""
        self.message_user(request, explain(error), messages.ERROR)
        return HttpResponseRedirect(self.page("change", row.pk))

    def answer(self, request: HttpRequest, action: FlowAction, row: Any, outcome: object) -> HttpResponse:
        """Tell that an action was done, on the row's page."""
        self.message_user(request, action.done, messages.SUCCESS)
        return HttpResponseRedirect(self.page("change", row.pk))

    def explanations(self, action: FlowAction) -> list[StrOrPromise]:
        """Return what an action's page says of it before it asks."""
        return [action.explanation]

    def ask(self, request: HttpRequest, action: FlowAction, row: Any, form: forms.Form) -> HttpResponse:
        """Show what an action will do, and its form."""
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "subtitle": self.name_of(row),
            "opts": self.opts,
            "original": row,
            "name": self.name_of(row),
            "action": action,
            "explanations": self.explanations(action),
            "offered": self.is_offered(request, action, row),
            "facts": action.facts(row),
            "form": form,
            "media": self.media + form.media,
            "back": self.page("change", row.pk),
        }
        return TemplateResponse(request, "twofa/admin/action.html", context)
