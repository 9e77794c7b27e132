"""What every page of staff has in common: facts are read-only, and what staff may do is a named flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.main import ChangeList
from django.db.models import DateTimeField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from twofa.admin import searches
from twofa.admin.actions import ActingAdmin, Tool, explain
from twofa.admin.lists import BoundedList, BoundedPaginator
from twofa.admin.sections import Lead, Section, badge, moment, tone_of
from twofa.exceptions import TwoFactorError

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# What a filter of the side bar may append to its column.
_LOOKUPS = ("", "__exact", "__id__exact", "__isnull", "__gte", "__lt")


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Tell whether a member may look at the rows of a model: on its own pages, and so within those of others."""
    label, name = model._meta.app_label, model._meta.model_name
    return request.user.has_perm(f"{label}.view_{name}") or request.user.has_perm(f"{label}.change_{name}")


@cache
def _unlinked(name: str, title: StrOrPromise) -> Callable[[Any], str]:
    """Return a column of a related row's name, without the link to its page; one function for each column."""

    @admin.display(description=title)
    def shown(row: Any) -> str:
        related = getattr(row, name)
        return "—" if related is None else str(related)

    return shown


@cache
def _timed(name: str, title: StrOrPromise) -> Callable[[Any], str]:
    """Return a column of times as all others on the page are written: Django's own have no seconds."""

    @admin.display(description=title, ordering=name)
    def shown(row: Any) -> str:
        return moment(getattr(row, name))

    shown.__name__ = name
    return shown


class TwofaAdmin(ActingAdmin):
    """Sections below the fields, flow actions above them, and nothing that filters by a column that is not shown."""

    change_form_template = "twofa/admin/change_form.html"
    change_list_template = "twofa/admin/change_list.html"
    object_history_template = "twofa/admin/history.html"
    show_full_result_count = False
    # Counts beside the filters would be one count of the table for each of them.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = BoundedPaginator
    empty_value_display = "—"
    actions = None
    made_on: tuple[StrOrPromise, type[Model]] | None = None
    """Where a row is made, if on the page of another: what an empty list says of it, and whose list it leads to."""
    is_logged = True
    """Whether Django's own log has what is saved here; facts are in the audit trail, and their page tells it."""
    uuid_fields: tuple[str, ...] = ()
    """Columns that a search term is held against where it is a UUID."""
    linked_lookups: tuple[str, ...] = ()
    """Relations by which other pages link to this list, besides those of ``list_filter``."""

    class Media:
        css = {"all": ("twofa/admin.css",)}
        js = ("twofa/admin.js",)

    def get_sections(self, request: HttpRequest, row: Any) -> Sequence[Section | Lead]:
        """Return the tables below the fields of one row's page, and what stands above them."""
        return []

    def get_list_tools(self, request: HttpRequest) -> list[Tool]:
        """Return the buttons of the list."""
        return []

    def page_of(self, row: Model) -> str:
        """Return the address of another model's row."""
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        return reverse(name, args=(row.pk,), current_app=self.admin_site.name)

    def way(self, request: HttpRequest) -> Callable[[Model], str]:
        """Return what tells where a row's page is, or nothing where this member may not open it."""

        def where(row: Model) -> str:
            # The page itself decides who may open it, which may be more or fewer than those of Django's permission.
            model_admin = self.admin_site._registry.get(type(row))
            may_open = model_admin is not None and model_admin.has_view_permission(request, row)
            return self.page_of(row) if may_open else ""

        return where

    @admin.display(description=_("created at"), ordering="id")
    def created(self, row: Any) -> str:
        """Show when a row was made, to the second. Ids are in this order, and they have an index."""
        return moment(row.created_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters of the side bar and of our own links.

        Django allows every column of the row itself, shown or not: ``?seed__lt=`` would be an oracle for a seed,
        ``?address__startswith=`` one for a masked address, each answered by whether the row is still listed.
        """
        allowed = [*self.linked_lookups]
        for item in self.list_filter:
            name = item[0] if isinstance(item, tuple | list) else getattr(item, "parameter_name", item)
            allowed.append(str(name))
        return any(lookup == name + suffix for name in allowed for suffix in _LOOKUPS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if term and searches.is_exact(self.search_fields):
            return searches.found(queryset, self.questions(term)), False
        return super().get_search_results(request, queryset, search_term)

    def questions(self, term: str) -> list[Q]:
        """Return what a search term may mean here."""
        return searches.questions(term, lookups=self.search_fields, uuids=self.uuid_fields)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedList

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["is_logged"] = self.is_logged
        if obj is not None and IS_POPUP_VAR not in request.GET:
            sections = self.get_sections(request, obj)
            name = self.name_of(obj)
            context |= {
                "subtitle": name,
                "name": "" if name == str(obj) else name,
                "tools": self.get_tools(request, obj),
                "lead": [line for section in sections if isinstance(section, Lead) for line in section.lines],
                "sections": [section for section in sections if isinstance(section, Section)],
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        own = {"tools": self.get_list_tools(request), **self._origin(request)}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def _origin(self, request: HttpRequest) -> dict[str, Any]:
        if self.made_on is None:
            return {}
        sentence, model = self.made_on
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        way = reverse(name, current_app=self.admin_site.name) if may_view(request, model) else ""
        return {"made_on": sentence, "made_on_way": Tool(str(model._meta.verbose_name_plural), way)}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except TwoFactorError as error:
            # Refused between the form's own validation and the flow's: somebody else was faster.
            self.message_user(request, explain(error), messages.ERROR)
            return HttpResponseRedirect(request.path)


class ReadOnlyAdmin(TwofaAdmin):
    """Facts: looked at, never edited. The explicit ``fields`` of each page keep what it must not show out of it."""

    is_logged = False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Name a related row without a link where this member may not open its page: Django links it all the same."""
        return [
            (title, {**options, "fields": [self._openable(request, name) for name in self.timed(options["fields"])]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, row: Any) -> str:
        """Show a state in words, with the mark of its tone."""
        return badge(tone_of(row.status), row.get_status_display())

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return self.timed(self.list_display)

    def timed(self, names: Sequence[Any]) -> list[Any]:
        """Return columns, those of times to the second."""
        times = {column.name: column.verbose_name for column in self.opts.fields if isinstance(column, DateTimeField)}
        return [_timed(name, times[name]) if name in times else name for name in names]

    def _openable(self, request: HttpRequest, name: Any) -> Any:
        columns = {column.name: column for column in self.opts.fields if column.is_relation}
        related = columns[name].related_model if isinstance(name, str) and name in columns else None
        if related is None or may_view(request, related):
            return name
        return _unlinked(name, columns[name].verbose_name)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [name for _title, options in self.get_fieldsets(request, obj) for name in _flat(options["fields"])]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Whoever may change a row elsewhere may look at it here, as in Django.
        return may_view(request, self.model)


def _flat(names: Sequence[Any]) -> Iterator[Any]:
    for name in names:
        if isinstance(name, tuple | list):
            yield from name
        else:
            yield name
