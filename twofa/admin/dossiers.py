"""What the page of a review shows: papers, what was declared, what the campaign asks for, what was decided before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext, pgettext_lazy
from django.views.decorators.debug import sensitive_variables
from stdnum.br import cnpj, cpf

from twofa.admin import vocabulary, words
from twofa.admin.base import may_view
from twofa.admin.sections import BAD, ENDED, GOOD, OPEN, Cell, Section, cells, moment, tone_of
from twofa.flows import dossiers, onboarding
from twofa.flows.dossiers import Dossier, Paper
from twofa.flows.onboarding import Step
from twofa.models import IdentityDocument, Participant

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from twofa.admin.base import TwofaAdmin

_FORMATS = {11: cpf.format, 14: cnpj.format}
_STEPS: dict[str, tuple[str, StrOrPromise]] = {
    onboarding.MISSING: (ENDED, _("missing")),
    onboarding.UNDER_REVIEW: (OPEN, pgettext_lazy("document", "waiting for a decision")),
    onboarding.REJECTED: (BAD, _("rejected")),
    onboarding.APPROVED: (GOOD, _("approved")),
}


@dataclass(frozen=True)
class Picture:
    """One page of a document."""

    number: int
    label: str
    alt: str
    url: str


@dataclass(frozen=True)
class Card:
    """One document as the page shows it."""

    document: IdentityDocument
    url: str
    status: Cell
    pictures: list[Picture]
    facts: list[tuple[StrOrPromise, object]]
    twins: str
    twin_links: list[Cell]
    form: forms.Form | None
    is_new: bool
    """Whether it arrived during this member's review, and is not part of it yet."""
    way: Cell | None
    """To what staff may take back of the decision."""


def shown(
    model_admin: TwofaAdmin,
    request: HttpRequest,
    participant: Participant,
    form: Callable[[IdentityDocument], forms.Form],
) -> dict[str, Any]:
    """Return what the page shows of a participant to this member."""
    dossier = dossiers.read(participant)
    is_mine = dossier.is_held_by(request.user)
    page = _Page(model_admin, request, dossier, is_mine)
    held = dossier.held
    return {
        "participant": participant,
        "participant_url": model_admin.way(request)(participant),
        "is_own": page.is_own,
        "is_mine": is_mine,
        "is_waiting": bool(dossier.waiting),
        "has_new": any(dossier.has_come_since(document, request.user) for document in dossier.waiting),
        "may_begin": bool(dossier.waiting) and held is None and not page.is_own,
        "holder": "" if held is None or is_mine or held.claimed_by is None else held.claimed_by.get_username(),
        "until": "" if held is None else moment(held.claimed_until),
        "left": "" if held is None or held.claimed_until is None else _left(held.claimed_until - dossier.at),
        "declared": page.declared(),
        "steps": [_step(step) for step in dossier.steps],
        "cards": [page.card(paper, form) for paper in dossier.papers],
        "earlier": page.earlier(),
    }


def standing(document: IdentityDocument) -> Cell:
    """Return how a document stands: what was decided, whether or not its file is still there, or that it waits."""
    if document.is_waiting:
        return Cell(pgettext("document", "waiting for a decision"), tone=OPEN)
    if document.status == IdentityDocument.Status.PENDING:
        return Cell(pgettext("document", "replaced by another picture"), tone=ENDED)
    told = [document.get_decision_display()]
    if document.status == IdentityDocument.Status.PURGED:
        told.append(document.get_status_display())
    return Cell(", ".join(told), tone=tone_of(document.decision))


def number(text: str) -> str:
    """Return a document number as it is printed on the card: a CPF with its dots."""
    write = _FORMATS.get(len(text)) if text.isascii() and text.isdigit() else None
    return write(text) if write is not None else text


def _left(time: Any) -> str:
    minutes = max(int(time.total_seconds() // 60), 0)
    return ngettext("%(count)d minute left", "%(count)d minutes left", minutes) % {"count": minutes}


def _step(step: Step) -> Cell:
    kind = step.requirement.partition(":")[2]
    tone, state = _STEPS[step.status]
    if step.requirement == "device":
        name = str(_("a device for tokens"))
    else:
        name = str(vocabulary.DOCUMENTS.get(kind, kind)) if kind else str(_("any document"))
    return Cell(f"{name}: {state}", tone=tone)


class _Page:
    """The parts, for one member and one dossier."""

    def __init__(self, model_admin: TwofaAdmin, request: HttpRequest, dossier: Dossier, is_mine: bool) -> None:
        # What staff write to one another about an applicant is not for the applicant, whoever else they are.
        self.is_own = dossier.participant.user_id == request.user.pk
        self._admin = model_admin
        self._way = model_admin.way(request)
        self._dossier = dossier
        self._is_mine = is_mine
        self._reviewer = request.user
        self._may_see_others = may_view(request, Participant)

    @sensitive_variables("digits", "shown")
    def declared(self) -> list[tuple[StrOrPromise, object]]:
        """Return what the pictures are compared with; the number is whole for who has begun the review."""
        participant = self._dossier.participant
        digits = participant.document_number
        shown = number(digits) if self._is_mine else words.masked(digits)
        return [
            (_("Name"), participant.name),
            (_("Document number"), shown or _("none was declared")),
            (_("Language"), participant.get_locale_display() or "—"),
            (_("Campaign"), participant.campaign),
        ]

    def card(self, paper: Paper, form: Callable[[IdentityDocument], forms.Form]) -> Card:
        """Return one document; its pictures and its form are for who has begun the review."""
        document = paper.document
        is_new = self._dossier.has_come_since(document, self._reviewer)
        may_look = self._is_mine and not is_new
        return Card(
            document=document,
            url=self._admin.page("change", document.pk),
            status=standing(document),
            pictures=self._pictures(paper) if may_look else [],
            facts=self._facts(document),
            twins="" if self.is_own else _twins(paper),
            twin_links=[] if self.is_own else [self._twin(twin) for twin in paper.twins],
            form=form(document) if may_look and document.is_waiting else None,
            is_new=is_new,
            way=self._way_back(document),
        )

    def _way_back(self, document: IdentityDocument) -> Cell | None:
        if self.is_own:
            return None
        if document.is_valid:
            return Cell(_("Take the approval back"), url=self._admin.page("revoke", document.pk))
        if document.is_refused_for_good:
            return Cell(_("Allow another picture"), url=self._admin.page("reopen", document.pk))
        return None

    def _pictures(self, paper: Paper) -> list[Picture]:
        return [self._picture(paper.document, page, len(paper.pages)) for page in paper.pages]

    def _picture(self, document: IdentityDocument, page: int, pages: int) -> Picture:
        said = {"document": document, "page": page, "pages": pages}
        name = str(_("%(document)s, page %(page)d of %(pages)d")) % said if pages > 1 else str(document)
        # Where there is no picture this stands in its place, so it says what to do.
        alt = str(_("%(name)s. If you see no picture, load the page again; opened in a new tab it says why.")) % {
            "name": name
        }
        return Picture(page, name, alt, self._admin.page("page", document.pk, page))

    def _facts(self, document: IdentityDocument) -> list[tuple[StrOrPromise, object]]:
        sent: list[tuple[StrOrPromise, object]] = [(_("Sent"), moment(document.created_at))]
        if document.decided_at is None:
            return sent
        told = [
            (_("Decided"), moment(document.decided_at)),
            (_("By"), document.decided_by or "—"),
            (_("Reason"), document.get_reason_display()),
            (_("Comment for the applicant"), document.comment),
            (_("Internal comment"), "" if self.is_own else document.internal_comment),
            (_("Another picture"), _("not taken: final") if document.is_final else ""),
        ]
        return [*sent, *((name, value) for name, value in told if value)]

    def _twin(self, twin: Participant) -> Cell:
        if not self._may_see_others:
            return Cell(twin.external_id)
        return Cell(twin.external_id, url=self._admin.page("review", twin.pk))

    def earlier(self) -> Section:
        """Return what was decided before, with its reasons."""
        headers = (_("sent"), _("document"), _("status"), _("reason"), _("comment"), _("internal comment"), _("who"))
        lines = [self._earlier(document) for document in self._dossier.earlier]
        return Section(_("Earlier documents, the newest first"), headers, lines, anchor="earlier")

    def _earlier(self, document: IdentityDocument) -> list[Cell]:
        return cells(
            moment(document.created_at),
            Cell(document, url=self._admin.page("change", document.pk)),
            standing(document),
            document.get_reason_display() or "—",
            document.comment or "—",
            (not self.is_own and document.internal_comment) or "—",
            document.decided_by or "—",
        )


def _twins(paper: Paper) -> str:
    if not paper.twin_count:
        return ""
    return ngettext(
        "The same picture was sent for %(count)d other participant of this campaign.",
        "The same picture was sent for %(count)d other participants of this campaign.",
        paper.twin_count,
    ) % {"count": paper.twin_count}
