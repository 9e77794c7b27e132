"""Redemptions as a CSV file: what the list shows, told in the audit trail, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import formats
from django.utils.translation import gettext_lazy as _

from twofa.admin.actions import Tool, acting
from twofa.admin.base import TwofaAdmin
from twofa.flows import exports

PERMISSION = "twofa.export_redemptions"
MOST = 100_000
CHUNK = 2_000
PIECE = 200
BOM = "\ufeff"
COLUMNS = (
    "id",
    "order_id",
    "campaign__slug",
    "storefront__name",
    "participant__external_id",
    "approver__external_id",
    "batch__request_id",
    "amount",
    "unit",
    "description",
    "test",
    "status",
    "points",
    "failure_code",
    "failure_detail",
    "two_factor_required",
    "two_factor_reason",
    "policy_version",
    "scheduled_for",
    "created_at",
    "approved_at",
    "completed_at",
    "updated_at",
    "correlation_id",
)
"""What a row has. No contact, no name and no document: a file is copied on, and no permission follows it."""
HEADERS = tuple(name.partition("__")[0] for name in COLUMNS)

# Spreadsheets take a cell that begins like this for a formula, which may fetch, send or run something; the wide forms
# are what some of them read as the narrow ones. What is white, or not seen at all, before it is skipped by one or the
# other, or cut by whoever trims the cells before a file is opened: spaces of any kind, controls, and Unicode's marks of
# format (OWASP "CSV injection", ASVS 1.2.10).
_SIGN = "[=+\\-@＝＋－＠]"
_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_FORMULA = re.compile(rf"[\t\r\n\0]|[{_UNSEEN}]*{_SIGN}")
# Where a comma is the decimal sign, as in Brazil and Spain, Excel splits the lines of a CSV file at semicolons, and at
# line breaks within quotes: what follows one begins a cell there. Others split at tabs and bars.
_INNER_FORMULA = re.compile(rf"""([;|\t\r\n])(?=[{_UNSEEN}"']*{_SIGN})""")
_NO_FILTERS = ("p", "o", "all", "e")
_LONGEST_FILTER = 200


class ExportForm(forms.Form):
    """How the file is written."""

    bom = forms.BooleanField(
        label=_("For Excel"),
        required=False,
        initial=True,
        help_text=_("A mark at the beginning, without which Excel spoils accents. Other programs may show it as text."),
    )


def tools(model_admin: TwofaAdmin, request: HttpRequest) -> list[Tool]:
    """Return the button of the list: it exports what the list shows, so its address carries the filters on."""
    if not request.user.has_perm(PERMISSION):
        return []
    return [Tool(_("Export"), _with_filters(model_admin.page("export"), request))]


def view(model_admin: TwofaAdmin, request: HttpRequest) -> HttpResponseBase:
    """Say what would be exported, and export it when that is confirmed."""
    if not model_admin.has_view_permission(request) or not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    try:
        listed = model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        model_admin.message_user(request, _("These filters make no sense, so nothing was exported."), messages.ERROR)
        return HttpResponseRedirect(model_admin.page("changelist"))
    rows = listed.queryset.order_by("-id")
    form = ExportForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        return answer(request, rows, bom=form.cleaned_data["bom"])
    return ask(model_admin, request, rows, in_words(listed))


def ask(model_admin: TwofaAdmin, request: HttpRequest, rows: QuerySet[Any], chosen: list[str]) -> HttpResponse:
    """Show how many rows there are, and that taking them is noted."""
    count = counted(rows)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Export redemptions"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": ExportForm(),
        "count": formats.number_format(min(count, MOST), use_l10n=True, force_grouping=True),
        "is_cut": count > MOST,
        "filters": chosen,
        "back": _with_filters(model_admin.page("changelist"), request),
    }
    return TemplateResponse(request, "twofa/admin/export.html", context)


def answer(request: HttpRequest, rows: QuerySet[Any], *, bom: bool) -> StreamingHttpResponse:
    """Note the export, then send it as it is read."""
    count = min(counted(rows), MOST)
    with acting(request) as actor:
        exports.record(actor=actor, filters=filters(request), rows=count)
    # Never more than was noted, however many came meanwhile.
    taken = rows.values_list(*COLUMNS)[:count].iterator(chunk_size=CHUNK)
    response = StreamingHttpResponse(content(taken, bom=bom), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="redemptions.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store, private"
    return response


def counted(rows: QuerySet[Any]) -> int:
    """Return how many rows there are, or one more than may be exported."""
    return rows.order_by()[: MOST + 1].count()


def filters(request: HttpRequest) -> list[str]:
    """Return the filters and the search of the list, as they are kept with the event."""
    return [
        f"{name}={value}"[:_LONGEST_FILTER].replace("\0", "")
        for name, values in sorted(request.GET.lists())
        for value in values
        if value and name not in _NO_FILTERS
    ]


def in_words(listed: ChangeList) -> list[str]:
    """Return the filters and the search as the list itself calls them; the first choice of each filter is no filter."""
    told = [str(_("search: %(term)s") % {"term": listed.query})] if listed.query else []
    for spec in listed.filter_specs:
        _none, *choices = spec.choices(listed)
        told += [f"{spec.title}: {choice['display']}" for choice in choices if choice["selected"]]
    return told


def _with_filters(address: str, request: HttpRequest) -> str:
    return f"{address}?{request.GET.urlencode()}" if request.GET else address


class _Echo:
    """A file that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def content(rows: Iterator[Sequence[Any]], *, bom: bool) -> Iterator[str]:
    """Return the file as RFC 4180 has it, some lines at a time: a server writes what it is given piece by piece."""
    writer: Any = csv.writer(_Echo())
    yield (BOM if bom else "") + writer.writerow(HEADERS)
    while piece := [writer.writerow([cell(value) for value in row]) for row in islice(rows, PIECE)]:
        yield "".join(piece)


def cell(value: Any) -> str:
    """Return a value as it stands in the file: numbers as numbers, times in UTC, and no text that is a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = _INNER_FORMULA.sub(r"\1'", str(value))
    return f"'{text}" if _FORMULA.match(text) else text
