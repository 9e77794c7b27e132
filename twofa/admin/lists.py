"""Long lists: counted up to a bound, estimated honestly beyond it, and never walked to their far end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import result_list
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import connections
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

COUNTED = 10_000
"""Rows that are counted and paged through. Whoever looks for one farther back filters or searches."""
OFFERED = 25
"""Related rows that a filter offers by name."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to a bound; what lies beyond is the planner's estimate.

    An exact count reads every row that matches, on each look at the list: seconds, once there are millions. A page
    deep down costs the same again, because OFFSET reads what it leaves out, so the pages end at the bound as well.
    """

    object_list: QuerySet[Any]
    is_estimated = False
    """Whether ``count`` is an estimate; known once it was asked for."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are: exactly up to the bound, and where the database estimates nothing."""
        rows = self.object_list.order_by().values("pk")
        counted = rows[: COUNTED + 1].count()
        if counted <= COUNTED:
            return counted
        if connections[rows.db].vendor != "postgresql":
            return rows.count()
        self.is_estimated = True
        return max(_round(_estimate(rows)), counted - 1)

    @cached_property
    def num_pages(self) -> int:
        """Return the number of pages that can be opened."""
        return max(-(-min(self.count, COUNTED) // self.per_page), 1)

    @property
    def is_cut(self) -> bool:
        """Tell whether there are rows beyond the last page."""
        return self.count > COUNTED or self.is_estimated


def _estimate(rows: QuerySet[Any]) -> int:
    """Return how many rows the planner expects, from the statistics that autovacuum keeps."""
    plan = json.loads(rows.explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])


def _round(count: int) -> int:
    """Return a count with two figures that mean something: more would be a claim."""
    return round(count, 2 - len(str(count)))


class BoundedList(ChangeList):
    """A list that sorts only by what it offers to sort by, and passes no estimate off as a count."""

    paginator: BoundedPaginator

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return what a column sorts by. Django hides the heading of one that does not, and takes ``?o=`` all the same.

        A column without an index sorts the whole table: one link, opened again and again, would keep the database busy.
        """
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return the filters of an address. Raises: IncorrectLookupParameters for one that no column can be asked for.

        Django asks all the same, and PostgreSQL's driver refuses a text with a NUL: a page that breaks.
        """
        found: dict[str, Any] = super().get_filters_params(params)
        if any("\0" in str(value) for values in found.values() for value in values):
            raise IncorrectLookupParameters
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.paginator.is_estimated or not self.is_narrowed:
            # Two equal counts keep Django from printing one of them beside the search, and a link to the same list.
            self.full_result_count = self.result_count

    @property
    def is_narrowed(self) -> bool:
        """Tell whether a search or a filter leaves rows out."""
        return bool(self.query or self.get_filters_params())

    def table(self) -> SafeString:
        """Return the rows as Django shows them, each cell with its column's name: on a phone each row is a card."""
        context: dict[str, Any] = {**result_list(self)}
        names = [capfirst(heading["text"]) for heading in context["result_headers"]]
        for row in context["results"]:
            row[:] = [_named(cell, name) for cell, name in zip(row, names, strict=True)]
        model = f"admin/{self.opts.app_label}/{self.opts.model_name}"
        folders = (model, f"admin/{self.opts.app_label}", "admin")
        return render_to_string([f"{folder}/change_list_results.html" for folder in folders], context)

    @property
    def pages(self) -> Iterator[int | str]:
        """Return the numbers of the pages that are linked."""
        return self.paginator.get_elided_page_range(self.page_num)

    @property
    def last_row(self) -> int:
        """Return the number of the last row that can be reached by pages."""
        return COUNTED


def _named(cell: SafeString, name: str) -> SafeString:
    """Return a cell that Django rendered, with its column's name for the style sheet."""
    tag, rest = cell.split(">", 1)
    return mark_safe(tag) + format_html(' data-label="{}">', name) + mark_safe(rest)  # noqa: S308 - it came rendered


class DateFilter(admin.DateFieldListFilter):
    """By when a row was made. Django's own names the column, which makes no phrase in any language."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("date")


class HeldFilter(admin.SimpleListFilter):
    """Leaves what waits for staff: a hold is no status of its own, so no filter of statuses finds it."""

    title = _("hold")
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, Any]]:
        yield "yes", _("held: waits for staff")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        held = queryset.filter(held_at__isnull=False).exclude(status="revoked")
        return held if self.value() == "yes" else queryset


class SomeRelatedFilter(admin.RelatedFieldListFilter):
    """Offers the first few rows by name, and the way to a list that can be searched for the others.

    Django's own reads and prints them all: thousands of campaigns, on each look at a list of redemptions.
    """

    is_cut = False
    more = ""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        related = field.remote_field.model
        ordering = self.field_admin_ordering(field, request, model_admin)
        rows = related._default_manager.order_by(*ordering)
        offered = list(rows[: OFFERED + 1])
        if len(offered) > OFFERED:
            self.is_cut = True
            self.more = _list_of(model_admin, request, related)
            chosen = [row for row in rows.filter(pk__in=self._chosen(field)) if row not in offered[:OFFERED]]
            offered = [*offered[:OFFERED], *chosen]
        return [(row.pk, str(row)) for row in offered]

    def _chosen(self, field: Field[Any, Any]) -> list[Any]:
        return [value for value in self.lookup_val or () if str(value).isdecimal()]

    def has_output(self) -> bool:
        return self.is_cut or super().has_output()

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield from super().choices(changelist)
        if self.more:
            yield {"selected": False, "query_string": self.more, "display": _("Search for another one")}


def _list_of(model_admin: Any, request: HttpRequest, model: Any) -> str:
    """Return where the list of a model is, or nothing where this member may not open it."""
    related = model_admin.admin_site._registry.get(model)
    if related is None or not related.has_view_permission(request):
        return ""
    return reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", current_app=model_admin.admin_site.name
    )
