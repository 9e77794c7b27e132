"""Schedules by day: how much is due when, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.admin.actions import Tool
from twofa.admin.base import TwofaAdmin, may_view
from twofa.admin.sections import BAD, OPEN, Cell, Section, cells, moment
from twofa.admin.sections import day as show_day
from twofa.models import Campaign, Redemption
from twofa.models.clock import now

if TYPE_CHECKING:
    from django.db.models import QuerySet

MOST = 100
"""Lines of a table. Whoever looks for more chooses a day or a campaign."""


class ChoiceForm(forms.Form):
    """One day, and one campaign by its slug; both may be left out."""

    day = forms.DateField(required=False)
    campaign = forms.SlugField(max_length=64, required=False)


def tools(model_admin: TwofaAdmin, request: HttpRequest) -> list[Tool]:
    """Return the button that leads here, for a list."""
    return [Tool(_("Schedules by day"), _address(model_admin))] if may_view(request, Redemption) else []


def page(model_admin: TwofaAdmin, request: HttpRequest) -> HttpResponse:
    """Show what is scheduled: the sums of each day, and the redemptions of the day that was chosen."""
    if not may_view(request, Redemption):
        raise PermissionDenied
    form = ChoiceForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    day, slug = chosen.get("day"), chosen.get("campaign") or ""
    rows = Redemption.objects.filter(status=Redemption.Status.SCHEDULED)
    if slug:
        rows = rows.filter(campaign__slug=slug)
    sections = [_sums(model_admin, rows, slug)]
    if day is not None:
        sections.append(_of_day(model_admin, request, rows, day))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Schedules by day"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "zone": timezone.get_current_timezone_name(),
        "campaign": Campaign.objects.filter(slug=slug).first() if slug else None,
        "all": _address(model_admin, **({"day": day.isoformat()} if day else {})),
        "sections": sections,
    }
    return TemplateResponse(request, "twofa/admin/schedules.html", context)


def _address(model_admin: TwofaAdmin, **chosen: str) -> str:
    url = reverse("admin:twofa_redemption_schedules", current_app=model_admin.admin_site.name)
    return f"{url}?{urlencode(chosen)}" if chosen else url


def _sums(model_admin: TwofaAdmin, rows: QuerySet[Redemption], slug: str) -> Section:
    """Return the table of days, the next one first; each campaign has its own line, because units do not add up."""
    day = TruncDate("scheduled_for", tzinfo=timezone.get_current_timezone())
    grouped = rows.annotate(day=day).values("day", "campaign__slug", "campaign__name", "unit")
    found = list(grouped.annotate(count=Count("pk"), total=Sum("amount")).order_by("day", "campaign__name")[: MOST + 1])
    lines = [_sum(model_admin, line, slug) for line in found[:MOST]]
    headers = (_("day"), _("campaign"), _("redemptions"), _("amount"))
    note = _("Only the first days are listed: choose a campaign.") if len(found) > MOST else ""
    return Section(_("Days"), headers, lines, empty=_("Nothing is scheduled."), note=note)


def _sum(model_admin: TwofaAdmin, line: Mapping[str, Any], slug: str) -> list[Cell]:
    on, campaign = line["day"].isoformat(), line["campaign__slug"]
    given = {"day": on, "campaign": slug} if slug else {"day": on}
    return cells(
        Cell(show_day(line["day"]), url=_address(model_admin, **given)),
        Cell(line["campaign__name"], url=_address(model_admin, day=on, campaign=campaign)),
        line["count"],
        words.points(line["total"], line["unit"]),
    )


def _of_day(model_admin: TwofaAdmin, request: HttpRequest, rows: QuerySet[Redemption], day: date) -> Section:
    start = timezone.make_aware(datetime.combine(day, time.min))
    end = timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min))
    due = rows.filter(scheduled_for__gte=start, scheduled_for__lt=end).select_related("campaign", "participant")
    found = list(due.defer("approved_digest").order_by("scheduled_for", "pk")[: MOST + 1])
    at, way = now(), model_admin.way(request)
    may_cancel = request.user.has_perms(("twofa.view_redemption", "twofa.cancel_redemption"))
    lines = [
        cells(
            moment(row.scheduled_for),
            Cell(row, url=way(row)),
            row.participant,
            row.campaign,
            words.points(row.amount, row.unit),
            _state(row, at),
            Cell(_("Cancel"), url=model_admin.page("cancel", row.pk)) if may_cancel else "—",
        )
        for row in found[:MOST]
    ]
    headers = (_("time"), _("redemption"), _("participant"), _("campaign"), _("amount"), _("status"), _("what to do"))
    count = f"{MOST}+" if len(found) > MOST else str(len(found))
    return Section(f"{show_day(day)}: {count}", headers, lines, empty=_("Nothing is scheduled."))


def _state(row: Redemption, at: datetime) -> Cell:
    if row.is_parked:
        return Cell(_("waits for staff"), tone=BAD)
    is_late = row.scheduled_for is not None and row.scheduled_for <= at
    return Cell(_("due"), tone=BAD) if is_late else Cell(row.get_status_display(), tone=OPEN)
