"""What is stuck: what waits for a person, or for a worker that does not come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.admin import words
from twofa.admin.actions import Tool
from twofa.admin.base import TwofaAdmin, may_view
from twofa.admin.sections import BAD, OPEN, Cell, Section, cells, moment
from twofa.flows import stuck
from twofa.flows.stuck import MOST, Stuck
from twofa.models import Case, Challenge, Delivery, DocumentFile, Redemption, RedemptionBatch

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Row = TypeVar("Row")
Points = Redemption.Points
MAY_SEE = (Redemption, Delivery)
_CALLS: dict[str, StrOrPromise] = {
    Points.NONE: _("setting the points aside"),
    Points.RESERVED: _("spending the points"),
}
_GIVING_BACK = _("giving the points back")
_ITS: dict[type[Model], StrOrPromise] = {Redemption: _("Its redemption"), RedemptionBatch: _("Its batch")}


def may_see(request: HttpRequest) -> bool:
    """Tell whether a member may open this page: it shows redemptions and deliveries."""
    return all(may_view(request, model) for model in MAY_SEE)


def tools(model_admin: TwofaAdmin, request: HttpRequest) -> list[Tool]:
    """Return the button that leads here, for a list."""
    if not may_see(request):
        return []
    url = reverse("admin:twofa_redemption_stuck", current_app=model_admin.admin_site.name)
    return [Tool(_("What is stuck"), url)]


def page(model_admin: TwofaAdmin, request: HttpRequest) -> HttpResponse:
    """Show what is stuck now."""
    if not may_see(request):
        raise PermissionDenied
    found = stuck.find()
    sections = _Page(model_admin, request).sections(found)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("What is stuck"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "at": moment(found.at),
        "is_empty": not any(section.rows for section in sections),
        "sections": [section for section in sections if section.rows],
        "nothing_in": [section.title for section in sections if not section.rows],
    }
    return TemplateResponse(request, "twofa/admin/stuck.html", context)


class _Page:
    """The tables, with links for this member."""

    def __init__(self, model_admin: TwofaAdmin, request: HttpRequest) -> None:
        self._way = model_admin.way(request)
        self._site = model_admin.admin_site.name
        self._request = request

    def sections(self, found: Stuck) -> list[Section]:
        cases = [self._cases(found.cases)] if may_view(self._request, Case) else []
        return [
            *cases,
            self._parked(found.parked),
            self._undelivered(found.undelivered),
            self._waiting(found.waiting),
            self._overdue(found.overdue),
            self._undriven(found.undriven),
            self._failing(found.failing),
            self._unsettled(found.unsettled),
            self._unerased(found.unerased),
        ]

    def _cases(self, rows: Sequence[Case]) -> Section:
        return _section(
            _("Cases: somebody said that it was not them"),
            _("A device is held until somebody has asked the participant and decided."),
            (_("since"), _("case"), _("redemption"), _("participant"), _("campaign"), _("what was stopped")),
            rows,
            lambda row: cells(
                moment(row.opened_at),
                self._link(row, _("Look into it")),
                row.redemption or "—",
                row.participant,
                row.campaign,
                Cell(_("nothing: it was approved"), tone=BAD) if row.too_late else Cell(_("it was stopped in time")),
            ),
        )

    def _parked(self, rows: Sequence[Redemption]) -> Section:
        return _section(
            _("Completions that wait for staff"),
            _("The points system was called and never answered clearly. Look there, then decide."),
            (_("since"), _("redemption"), _("participant"), _("campaign"), _("why"), _("what to do")),
            rows,
            lambda row: cells(
                moment(row.parked_at),
                self._link(row, row),
                row.participant,
                row.campaign,
                Cell(_unclear(row.completion_tries), tone=BAD),
                self._link(row, _("Try again, or fail it")),
            ),
        )

    def _undelivered(self, rows: Sequence[Delivery]) -> Section:
        return _section(
            _("Messages that never left, and whose participant still waits"),
            _("The last message of an open challenge failed or came too late, on every channel that was left."),
            (_("since"), _("message"), _("participant"), _("campaign"), _("why"), _("what to do")),
            rows,
            lambda row: cells(
                moment(row.created_at),
                self._link(row, row),
                row.participant or "—",
                row.campaign,
                Cell(words.reason(row.reason) or row.get_status_display(), tone=BAD),
                self._resend(row),
            ),
        )

    def _waiting(self, rows: Sequence[Delivery]) -> Section:
        return _section(
            _("Messages that no worker takes"),
            _("They have been due for minutes. Does a worker run, and reach the broker? Does the sweeper run?"),
            (_("since"), _("message"), _("participant"), _("campaign"), _("why"), _("what to do")),
            rows,
            lambda row: cells(
                moment(row.due_since),
                self._link(row, row),
                row.participant or "—",
                row.campaign,
                Cell(row.get_status_display(), tone=OPEN),
                self._challenge(row),
            ),
        )

    def _overdue(self, rows: Sequence[Challenge]) -> Section:
        return _section(
            _("Past their deadline and still open"),
            _("Nobody can confirm them any more, and points may still be set aside for them. Does the sweeper run?"),
            (_("since"), _("challenge"), _("campaign"), _("participant"), _("what to do")),
            rows,
            lambda row: cells(
                moment(row.deadline),
                self._link(row, row.purpose_label),
                row.campaign,
                row.participant or "—",
                self._order_of(row),
            ),
        )

    def _undriven(self, rows: Sequence[Redemption]) -> Section:
        return _section(
            _("Calls of the points system that nobody makes"),
            _("They have been due for minutes. Does the sweeper run?"),
            (_("since"), _("redemption"), _("campaign"), _("why")),
            rows,
            lambda row: cells(moment(row.due_at), self._link(row, row), row.campaign, Cell(_call(row), tone=OPEN)),
        )

    def _failing(self, rows: Sequence[Redemption]) -> Section:
        return _section(
            _("Calls of the points system that keep failing"),
            _("They are tried again by themselves. If there are many, look whether the points system is up."),
            (_("last tried"), _("redemption"), _("campaign"), _("why"), _("next try")),
            rows,
            lambda row: cells(
                moment(row.updated_at),
                self._link(row, row),
                row.campaign,
                Cell(_call(row), tone=BAD),
                moment(row.due_at),
            ),
        )

    def _unsettled(self, rows: Sequence[RedemptionBatch]) -> Section:
        return _section(
            _("Batches whose lines have all ended"),
            _("Whoever ended the last line stopped before it was told. Does the sweeper run?"),
            (_("since"), _("batch"), _("participant"), _("campaign"), _("lines")),
            rows,
            lambda row: cells(
                moment(row.updated_at), self._link(row, row), row.participant, row.campaign, Cell(row.count)
            ),
        )

    def _unerased(self, rows: Sequence[DocumentFile]) -> Section:
        return _section(
            _("Files of documents that the storage did not erase"),
            _("Nobody can read them: their keys are gone. They are tried again by themselves. Is the storage up?"),
            (_("sent"), _("document"), _("participant"), _("campaign"), _("why"), _("next try")),
            rows,
            lambda row: cells(
                moment(row.created_at),
                Cell("—") if row.document is None else self._link(row.document, row.document),
                row.participant,
                row.participant.campaign,
                Cell(_tries(row.erase_tries), tone=BAD),
                moment(row.erase_due_at),
            ),
        )

    def _link(self, row: Model, text: object) -> Cell:
        return Cell(text, url=self._way(row))

    def _resend(self, row: Delivery) -> Cell:
        order = None if row.challenge is None else _order(row.challenge)
        if order is None:
            return self._challenge(row)
        if self._request.user.has_perm("twofa.resend_token") and self._way(order):
            return self._action(order, "resend", _("Send a new token"))
        return self._link(order, _ITS[type(order)])

    def _challenge(self, row: Delivery) -> Cell:
        return self._link(row.challenge, _("Its challenge")) if row.challenge is not None else Cell("—")

    def _order_of(self, challenge: Challenge) -> Cell:
        order = _order(challenge)
        return Cell("—") if order is None else self._link(order, _ITS[type(order)])

    def _action(self, order: Model, name: str, label: StrOrPromise) -> Cell:
        url = reverse(f"admin:twofa_{order._meta.model_name}_{name}", args=(order.pk,), current_app=self._site)
        return Cell(label, url=url)


def _order(challenge: Challenge) -> Redemption | RedemptionBatch | None:
    """Return what a challenge is about, as far as a link to it needs it."""
    if challenge.redemption_id is not None:
        return Redemption(pk=challenge.redemption_id)
    return None if challenge.batch_id is None else RedemptionBatch(pk=challenge.batch_id)


def _call(row: Redemption) -> str:
    name = _GIVING_BACK if row.is_final else _CALLS.get(row.points, row.get_points_display())
    said = {"call": name, "tries": row.completion_tries}
    return ngettext("%(call)s: %(tries)d failed call", "%(call)s: %(tries)d failed calls", row.completion_tries) % said


def _tries(tries: int) -> str:
    return ngettext("%(tries)d failed try", "%(tries)d failed tries", tries) % {"tries": tries}


def _unclear(tries: int) -> str:
    return ngettext("%(tries)d call, no clear answer", "%(tries)d calls, no clear answer", tries) % {"tries": tries}


def _section(
    title: StrOrPromise,
    note: StrOrPromise,
    headers: tuple[StrOrPromise, ...],
    rows: Sequence[Row],
    line: Callable[[Row], list[Cell]],
) -> Section:
    """Return one table with its number in the title; where there are more than are shown, the number says so."""
    count = f"{MOST}+" if len(rows) > MOST else str(len(rows))
    lines = [line(row) for row in rows[:MOST]]
    return Section(f"{title}: {count}" if rows else title, headers, lines, note=note)
