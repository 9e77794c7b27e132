"""A campaign's figures: what its tokens came to, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.admin import charts, costs, words
from twofa.admin.base import TwofaAdmin
from twofa.admin.sections import day
from twofa.admin.words import number, rate
from twofa.flows import review_figures
from twofa.flows.costs import of_campaign as costs_of
from twofa.flows.figures import Figures, Messages, Outcomes, of_campaign
from twofa.flows.review_figures import Decisions, Queue
from twofa.models import Campaign, Channel, IdentityDocument

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PERIODS = (7, 30, 90)
DEFAULT = 30
_REASONS = 3

MEASURES: tuple[tuple[str, StrOrPromise, StrOrPromise, str], ...] = (
    ("issued", _("issued"), _("Redemptions that were asked for a token."), "plain"),
    ("delivered", _("delivered"), _("Whose last message the provider accepted, and did not report as lost."), "plain"),
    ("confirmed", _("confirmed"), _("The right token came."), "good"),
    ("rejected", _("rejected"), _("Too many wrong tokens came."), "bad"),
    ("expired", _("expired"), _("The right token did not come in time."), "ended"),
)
"""What is drawn: name, label, what it means, and tone."""
COLUMNS: tuple[tuple[str, StrOrPromise], ...] = (
    *((name, label) for name, label, _meaning, _tone in MEASURES),
    ("cancelled", _("cancelled")),
    ("open", _("still open")),
)


class PeriodForm(forms.Form):
    """The last so many days."""

    days = forms.TypedChoiceField(choices=[(days, days) for days in PERIODS], coerce=int)


@dataclass(frozen=True)
class Row:
    """One measure: its name, its number, and its picture."""

    id: str
    label: StrOrPromise
    meaning: StrOrPromise
    total: str
    chart: charts.Bars


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    name: str
    cells: list[tuple[StrOrPromise, str]]


def page(model_admin: TwofaAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the figures of one campaign."""
    campaign = model_admin.get_object(request, object_id)
    if not isinstance(campaign, Campaign):
        raise Http404
    if not model_admin.has_view_permission(request, campaign):
        raise PermissionDenied
    days = chosen(request)
    found = of_campaign(campaign, days=days)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Figures of %(campaign)s") % {"campaign": campaign},
        "opts": model_admin.opts,
        "original": campaign,
        "back": model_admin.page("change", campaign.pk),
        "media": model_admin.media,
        "periods": [(offered, offered == days, _days(offered)) for offered in PERIODS],
        **shown(found),
        "costs": costs.sections(costs_of(campaign, days=days)),
        **reviewed(review_figures.queue(campaign), review_figures.decisions(campaign, days=days)),
    }
    return TemplateResponse(request, "twofa/admin/figures.html", context)


def chosen(request: HttpRequest) -> int:
    """Return the period that was asked for; what is none of those offered is the usual one, and shown as chosen."""
    form = PeriodForm(request.GET)
    return int(form.cleaned_data["days"]) if form.is_valid() else DEFAULT


def shown(found: Figures) -> dict[str, Any]:
    """Return what the page shows of the figures."""
    # Written once: to write a date as a language does takes longer than all else about a bar.
    days = [day(on) for on in found.days]
    return {
        "is_empty": not found.total.issued,
        "first": days[0],
        "last": days[-1],
        "headline": headline(found),
        "highest": number(_highest(found)),
        "rows": rows(found, days),
        "columns": [label for _name, label in COLUMNS] + [_("confirmed of those ended")],
        "lines": [line(*row) for row in zip(reversed(days), reversed(found.days.values()), strict=True)],
        "total": line(str(_("in all")), found.total),
        "messages_by_channel": [message_line(messages) for messages in found.messages],
    }


def reviewed(queue: Queue, decisions: Decisions) -> dict[str, Any]:
    """Return what the page shows of the review of identity documents."""
    reasons = dict(IdentityDocument.Reason.choices)
    return {
        "has_documents": bool(queue.documents or decisions.total),
        "review_headline": [
            (_("Waiting now"), number(queue.documents)),
            (_("The oldest has waited"), words.rough(queue.age)),
            (_("Decided"), number(decisions.total)),
            (_("Median time to the decision"), words.rough(decisions.median)),
        ],
        "review_outcomes": [
            (_("approved"), number(decisions.approved), rate(_part(decisions.approved, decisions.total))),
            (
                _("approved, and not valid any more"),
                number(decisions.voided),
                rate(_part(decisions.voided, decisions.total)),
            ),
            (_("rejected"), number(decisions.rejected), rate(_part(decisions.rejected, decisions.total))),
            *(
                (
                    _("rejected: %(reason)s") % {"reason": reasons.get(reason, reason)},
                    number(count),
                    rate(_part(count, decisions.total)),
                )
                for reason, count in decisions.reasons.most_common()
            ),
            (_("rejected for good"), number(decisions.final), rate(_part(decisions.final, decisions.total))),
        ],
    }


def _part(count: int, total: int) -> float | None:
    return count / total if total else None


def headline(found: Figures) -> list[tuple[StrOrPromise, str]]:
    """Return the numbers that are read first."""
    return [
        (_("Issued"), number(found.total.issued)),
        (_("Confirmed"), number(found.total.confirmed)),
        (_("Confirmed of those that ended"), rate(found.total.conversion)),
        (_("Median time to confirm"), words.duration(found.median)),
    ]


def rows(found: Figures, days: Sequence[str]) -> list[Row]:
    """Return each measure with its picture, all on the scale of the largest."""
    return [_row(found, days, _highest(found), *measure) for measure in MEASURES]


def _highest(found: Figures) -> int:
    return max((outcomes.issued for outcomes in found.days.values()), default=0)


def _row(
    found: Figures,
    days: Sequence[str],
    most: int,
    name: str,
    label: StrOrPromise,
    meaning: StrOrPromise,
    tone: str,
) -> Row:
    counts = [getattr(outcomes, name) for outcomes in found.days.values()]
    names = [f"{on}: {number(count)}" for on, count in zip(days, counts, strict=True)]
    total = number(getattr(found.total, name))
    said = {"total": total, "least": number(min(counts)), "most": number(max(counts))}
    description = _("%(total)s in all; on one day between %(least)s and %(most)s.") % said
    title = _("%(measure)s by day") % {"measure": label}
    bars = charts.Bars(title, description, charts.upright(counts, names, most=most), tone)
    return Row(f"twofa-{name}", label, meaning, total, bars)


def line(name: str, outcomes: Outcomes) -> Line:
    """Return one day's line of the table."""
    cells: list[tuple[StrOrPromise, str]] = [(label, number(getattr(outcomes, key))) for key, label in COLUMNS]
    return Line(name, [*cells, (_("confirmed of those ended"), rate(outcomes.conversion))])


def message_line(messages: Messages) -> dict[str, Any]:
    """Return one channel's line: what was accepted, what failed, how often and why."""
    reasons = messages.reasons.most_common()
    shown = [f"{words.reason(reason) or '—'}: {number(count)}" for reason, count in reasons[:_REASONS]]
    rest = sum(count for _reason, count in reasons[_REASONS:])
    if rest:
        shown.append(str(_("other reasons: %(count)s") % {"count": number(rest)}))
    return {
        "channel": dict(Channel.choices).get(messages.channel, messages.channel),
        "accepted": number(messages.accepted),
        "delivered": number(messages.delivered) if messages.delivered else "—",
        "failed": number(messages.failed),
        "expired": number(messages.expired),
        "waiting": number(messages.waiting),
        "rate": rate(messages.failure_rate),
        "filled": charts.percent(messages.failure_rate),
        "reasons": shown,
    }


def _days(count: int) -> str:
    return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}
