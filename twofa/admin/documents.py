"""Identity documents: the queue of those that wait, a document's facts, the doors to its review and its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.contrib import admin
from django.db import transaction  # noqa: TID251 - only to stay out of the host's
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_http_methods

from twofa.admin import dossiers, pictures, reviews, words
from twofa.admin.actions import FlowAction, Tool
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import DateFilter, SomeRelatedFilter
from twofa.admin.sections import BAD, ENDED, OPEN, Cell, Section, badge, cells, moment
from twofa.admin.timelines import LATEST_EVENTS, timeline
from twofa.flows import review_figures
from twofa.flows.reviews import reopen, revoke
from twofa.models import DocumentFile, Event, IdentityDocument

if TYPE_CHECKING:
    from twofa.models.identity_document import IdentityDocumentQuerySet

Status = IdentityDocument.Status
WAITING, REPLACED, ALL = "waiting", "replaced", "all"
STATE = "state"
LATEST = 50


def state_of(given: Mapping[str, Any]) -> str:
    """Return which state a list's address asks for. What waits is the queue; a search, or a reason, is of all."""
    return str(given.get(STATE) or (ALL if given.get("q") or given.get("reason__exact") else WAITING))


class StateFilter(admin.SimpleListFilter):
    """By state; without a choice the list is the queue."""

    title = _("state")
    parameter_name = STATE

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self._fallback = state_of(request.GET)
        super().__init__(request, *args)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        states = [(state.value, state.label) for state in Status if state != Status.PENDING]
        return [
            (WAITING, pgettext_lazy("document", "waiting for a decision")),
            *states,
            (REPLACED, pgettext_lazy("document", "replaced by another picture")),
            (ALL, _("all")),
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        chosen = self.value() or self._fallback
        for state, label in self.lookup_choices:
            query = changelist.get_query_string({STATE: state})
            yield {"selected": chosen == state, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value() or self._fallback
        if chosen == WAITING:
            return cast("IdentityDocumentQuerySet", queryset).waiting()
        if chosen == REPLACED:
            return queryset.filter(replaced_at__isnull=False)
        return queryset.filter(status=chosen) if chosen in Status.values else queryset


@admin.register(IdentityDocument)
class IdentityDocumentAdmin(ReadOnlyAdmin):
    """No picture on the list, and none on a document's page: each is looked at by a step of its own, with a name."""

    change_list_template = "twofa/admin/queue.html"
    list_display = (
        "shown_document",
        "shown_participant",
        "campaign",
        "shown_status",
        "sent",
        "reviewer",
        "decided_by",
    )
    sortable_by = ("sent",)
    list_filter = (StateFilter, ("campaign", SomeRelatedFilter), "kind", "reason", ("created_at", DateFilter))
    list_select_related = ("participant", "campaign", "claimed_by", "decided_by")
    linked_lookups = ("participant",)
    search_fields = ("participant__external_id__exact",)
    search_help_text = _("The participant's external id or the document's id, exactly.")
    uuid_fields = ("id",)
    fieldsets = (
        (None, {"fields": ("kind", "side", "pages", "source", "participant", "campaign", "storefront")}),
        (
            _("Decision"),
            {"fields": ("shown_status", "decided_by", "reason", "comment", "internal_comment", "is_final")},
        ),
        (_("Review"), {"fields": ("claimed_by", "claimed_until")}),
        (_("Times"), {"fields": ("created_at", "decided_at", "replaced_at", "purged_at")}),
        (_("Trace"), {"fields": ("id", "correlation_id")}),
    )
    flow_actions = (
        FlowAction(
            name="revoke",
            label=_("Take the approval back"),
            permissions=pictures.PERMISSIONS,
            explanation=_(
                "The document counts no longer. Where the campaign demands it, the participant cannot redeem until "
                "another one is approved."
            ),
            done=_("The approval was taken back."),
            run=revoke,
            offered=lambda document: document.is_valid,
            is_destructive=True,
        ),
        FlowAction(
            name="reopen",
            label=_("Allow another picture"),
            permissions=pictures.PERMISSIONS,
            explanation=_(
                "This refusal was final: no other picture of this kind was taken. From now on the participant may send "
                "one, and staff decide about it. The refusal itself stays as it is."
            ),
            done=_("The participant may send another picture now."),
            run=reopen,
            offered=lambda document: document.is_refused_for_good,
        ),
    )

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> Any:
        return cast("IdentityDocumentQuerySet", super().get_queryset(request)).with_duplicates()

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # The queue is worked off from its oldest end; of what has ended the latest is looked for.
        return ("created_at", "id") if state_of(request.GET) == WAITING else ("-id",)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        # Of what waits all have one status, and nobody has decided; of the rest nobody is at it.
        left_out = ("shown_status", "decided_by") if state_of(request.GET) == WAITING else ("reviewer",)
        door = {"shown_participant": "door"} if pictures.may_look(request) else {}
        return [door.get(name, name) for name in shown if name not in left_out]

    @admin.display(description=_("document"))
    def shown_document(self, document: Any) -> str:
        """Show kind and side, and whether another participant of the campaign sent the same picture."""
        if not getattr(document, "is_duplicate", False):
            return str(document)
        return format_html("{}<br>{}", document, badge(BAD, _("sent for others too")))

    @admin.display(description=_("participant"))
    def shown_participant(self, document: IdentityDocument) -> str:
        """Show whose it is."""
        return str(document.participant)

    @admin.display(description=_("status"))
    def shown_status(self, document: IdentityDocument) -> str:
        """Show the state; what another picture took the place of waits for nobody, whatever its state says."""
        shown = dossiers.standing(document)
        return badge(shown.tone, str(shown.text))

    @admin.display(description=_("sent"), ordering="id")
    def sent(self, document: IdentityDocument) -> str:
        """Show when it was sent, and for how long it has waited."""
        if not document.is_waiting:
            return moment(document.created_at)
        age = words.rough(timezone.now() - document.created_at)
        return format_html("{}<br>{}", moment(document.created_at), age)

    @admin.display(description=_("being reviewed by"))
    def reviewer(self, document: IdentityDocument) -> str:
        """Show who has begun the review and has time left."""
        held = document.claimed_by is not None and document.holder(timezone.now()) is not None
        return str(document.claimed_by) if held and document.is_waiting else "—"

    @admin.display(description=_("participant"))
    def door(self, document: IdentityDocument) -> str:
        """Show whose it is, with the way to their review."""
        url = self.page("review", document.participant_id)
        return format_html('{}<br><a class="twofa-door" href="{}">{}</a>', document.participant, url, _("Review"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        campaign = request.GET.get("campaign__id__exact", "")
        found = review_figures.queue()
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "headline": _headline(found),
            "next_url": self.page("next") if found.documents and pictures.may_look(request) else "",
            "next_campaign": campaign if campaign.isdecimal() else "",
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    # --- one document ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what reviewers write to one another: for those who may review, and not about themselves."""
        shown = super().get_fieldsets(request, obj)
        if obj is None or (pictures.may_look(request) and obj.participant.user_id != request.user.pk):
            return shown
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "internal_comment"]})
            for title, options in shown
        ]

    def get_tools(self, request: HttpRequest, row: IdentityDocument) -> list[Tool]:
        tools = super().get_tools(request, row)
        if not pictures.may_look(request):
            return tools
        return [Tool(_("Review of the participant"), self.page("review", row.participant_id)), *tools]

    def get_sections(self, request: HttpRequest, row: IdentityDocument) -> list[Section]:
        about = Event.objects.filter(participant=row.participant_id, type__startswith="document.")
        events = list(about.filter(data__document=str(row.pk)).order_by("-created_at", "-pk")[:LATEST])
        shown = timeline(events, title=LATEST_EVENTS, newest_first=True, way=self.way(request))
        return [self._files(request, row), shown]

    def _files(self, request: HttpRequest, document: IdentityDocument) -> Section:
        may_look = pictures.may_look(request) and document.participant.user_id != request.user.pk
        headers = (_("page"), _("size"), _("file"), _("picture"))
        files = document.files.order_by("page")
        lines = [self._file(document, file, may_look=may_look) for file in files]
        note = _("Each look is kept in the audit trail, with your name.") if may_look else ""
        return Section(_("Pictures"), headers, lines, note=note, anchor="pictures")

    def _file(self, document: IdentityDocument, file: DocumentFile, *, may_look: bool) -> list[Cell]:
        if file.erased_at is not None:
            state = Cell(_("erased at %(time)s") % {"time": moment(file.erased_at)}, tone=ENDED)
        elif file.erase_due_at is not None:
            state = Cell(_("cannot be read any more; will be erased"), tone=OPEN)
        else:
            state = Cell(_("kept"))
        is_kept = file.erase_due_at is None
        look = Cell(_("Look at it"), url=self.page("page", document.pk, file.page)) if may_look and is_kept else "—"
        return cells(file.page, f"{file.width} x {file.height}", state, look)

    def arguments(self, request: HttpRequest, action: FlowAction) -> dict[str, Any]:
        return {"reviewer": request.user}

    def is_offered(self, request: HttpRequest, action: FlowAction, row: IdentityDocument) -> bool:
        is_own = row.participant.user_id == request.user.pk
        return super().is_offered(request, action, row) and not is_own

    # --- doors ---

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("next/", wrap(self.next_view), name="twofa_identitydocument_next"),
            path("participant/<int:pk>/review/", wrap(self.review_view), name="twofa_identitydocument_review"),
            path("<uuid:pk>/page/<int:number>/", wrap(self.page_view), name="twofa_identitydocument_page"),
        ]
        return [*own, *super().get_urls()]

    # Outside of the host's transactions: a look, and a refusal of one's own documents, is an event that stays.

    @method_decorator(require_http_methods(["POST"]))
    @transaction.non_atomic_requests
    def next_view(self, request: HttpRequest) -> HttpResponse:
        """Begin the review of who has waited longest."""
        return reviews.next_one(self, request)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    @transaction.non_atomic_requests
    def review_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show and do the review of a participant."""
        return reviews.page(self, request, pk)

    @method_decorator(require_http_methods(["GET", "HEAD"]))
    @transaction.non_atomic_requests
    def page_view(self, request: HttpRequest, pk: UUID, number: int) -> HttpResponse:
        """Give out one picture."""
        return pictures.page(self, request, pk, number)


def _headline(found: review_figures.Queue) -> list[tuple[Any, str]]:
    """Return the numbers that are read first."""
    return [
        (_("Documents waiting"), words.number(found.documents)),
        (_("Participants waiting"), words.number(found.participants)),
        (_("The oldest has waited"), words.rough(found.age)),
    ]
