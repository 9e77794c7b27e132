"""The review of one participant: their documents side by side, what they declared beside it, and a form for each.

Looking changes nothing: a review is begun by a button. From then on nobody else decides about this participant, the
pictures are shown, each with an event of its own, and so is the whole document number, covered by the event of the
beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from twofa.admin import dossiers, pictures
from twofa.admin.actions import acting, explain
from twofa.admin.sections import moment
from twofa.exceptions import NotFound, TwoFactorError, WrongState
from twofa.flows import reviews
from twofa.flows.reviews import Decision
from twofa.models import Campaign, IdentityDocument, Participant

if TYPE_CHECKING:
    from twofa.admin.base import TwofaAdmin

Reason = IdentityDocument.Reason
APPROVE, REJECT = "approve", "reject"
RETRY, FINAL = "retry", "final"
LONGEST = 500
_TEXT = {"rows": 2, "cols": 40, "class": "vLargeTextField"}


class DecisionForm(forms.Form):
    """Asks what the reviewer saw on one document."""

    document = forms.UUIDField(widget=forms.HiddenInput)
    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)
    verdict = forms.ChoiceField(
        label=_("Decision"), choices=[(APPROVE, _("Approve")), (REJECT, _("Reject"))], widget=forms.RadioSelect
    )
    reason = forms.ChoiceField(label=_("Reason"), choices=[("", "—"), *Reason.choices], required=False)
    comment = forms.CharField(
        label=_("Comment for the applicant"), max_length=LONGEST, required=False, widget=forms.Textarea(_TEXT)
    )
    internal_comment = forms.CharField(
        label=_("Internal comment"),
        help_text=_("For staff only."),
        max_length=LONGEST,
        required=False,
        widget=forms.Textarea(_TEXT),
    )
    further = forms.ChoiceField(
        label=_("After a rejection"),
        choices=[(RETRY, _("they may send another picture")), (FINAL, _("final: no other picture is taken"))],
        initial=RETRY,
        widget=forms.RadioSelect,
    )

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where something is rejected, and for words where the reason says nothing."""
        given = super().clean() or {}
        if given.get("verdict") == REJECT:
            if not given.get("reason"):
                self.add_error("reason", ValidationError(_("Say why: choose one of the reasons.")))
            elif given["reason"] == Reason.OTHER and not given.get("comment"):
                self.add_error("comment", ValidationError(_("Tell the applicant what to do: “other” says nothing.")))
        return given

    @property
    def decision(self) -> Decision:
        """Return what a valid form says."""
        given = self.cleaned_data
        is_approved = given["verdict"] == APPROVE
        return Decision(
            approve=is_approved,
            reason="" if is_approved else given["reason"],
            comment=given["comment"],
            internal_comment=given["internal_comment"],
            is_final=given["further"] == FINAL,
        )


class NextForm(forms.Form):
    """Asks for the next participant: of one campaign, or after the one that is left."""

    campaign = forms.ModelChoiceField(Campaign._default_manager.all(), required=False)
    leave = forms.ModelChoiceField(Participant._default_manager.all(), required=False)


@sensitive_variables("form")
def page(model_admin: TwofaAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the review of a participant, or do what its buttons ask for. Raises: PermissionDenied, Http404."""
    ensure_permitted(request)
    participant = Participant._default_manager.select_related("campaign").filter(pk=pk).first()
    if participant is None or not participant.documents.exists():
        raise Http404
    if request.method != "POST":
        return _show(model_admin, request, participant)
    step = _STEPS.get(request.POST.get("do", ""))
    if step is None:
        return _back(model_admin, participant)
    return step(model_admin, request, participant)


def ensure_permitted(request: HttpRequest) -> None:
    """Raise for who may not decide documents. Raises: PermissionDenied."""
    if not pictures.may_look(request):
        raise PermissionDenied


def next_one(model_admin: TwofaAdmin, request: HttpRequest) -> HttpResponse:
    """Begin the review of who has waited longest, and go there. Raises: PermissionDenied."""
    ensure_permitted(request)
    form = NextForm(request.POST)
    chosen = form.cleaned_data if form.is_valid() else {}
    try:
        with acting(request) as actor:
            found = reviews.claim_next(reviewer=request.user, actor=actor, **chosen)
    except TwoFactorError as error:
        model_admin.message_user(request, explain(error), messages.ERROR)
        return HttpResponseRedirect(model_admin.page("changelist"))
    if found is None:
        model_admin.message_user(request, _("Nothing waits for you. Well done."), messages.SUCCESS)
        return HttpResponseRedirect(model_admin.page("changelist"))
    return _back(model_admin, found)


def _claim(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    try:
        with acting(request) as actor:
            until = reviews.claim(participant, reviewer=request.user, actor=actor)
    except TwoFactorError as error:
        model_admin.message_user(request, explain(error), messages.ERROR)
    else:
        if until is None:
            model_admin.message_user(request, _("Nothing of this participant waits any more."), messages.INFO)
    return _back(model_admin, participant)


def _release(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    reviews.release(participant, reviewer=request.user)
    model_admin.message_user(request, _("Given back: others can review this participant now."), messages.SUCCESS)
    return HttpResponseRedirect(model_admin.page("changelist"))


@sensitive_variables("form")
def _decide(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _show(model_admin, request, participant, form)
    pk = form.cleaned_data["document"]
    if not participant.documents.filter(pk=pk).exists():
        raise Http404
    try:
        with acting(request) as actor:
            done = reviews.decide(pk, form.decision, seen=form.cleaned_data["seen"], reviewer=request.user, actor=actor)
    except NotFound:
        raise Http404 from None
    except WrongState:
        model_admin.message_user(request, _overtaken(pk), messages.ERROR)
        return _back(model_admin, participant)
    except TwoFactorError as error:
        model_admin.message_user(request, explain(error), messages.ERROR)
        # With what was typed, and with what the participant has declared now.
        participant.refresh_from_db()
        return _show(model_admin, request, participant, form)
    model_admin.message_user(request, _told(done), messages.SUCCESS)
    return _back(model_admin, participant)


_STEPS: dict[str, Callable[[Any, HttpRequest, Participant], HttpResponse]] = {
    "claim": _claim,
    "release": _release,
    "decide": _decide,
}


def _overtaken(pk: Any) -> str:
    """Say who was faster, and what became of the document; the other reviewer's form is of no use any more."""
    document = IdentityDocument._default_manager.select_related("decided_by").get(pk=pk)
    if document.decided_by is None or document.decided_at is None:
        return str(_("Your decision was not kept: the participant has replaced this picture by another one."))
    said = {
        "name": document.decided_by.get_username(),
        "state": document.get_decision_display(),
        "time": moment(document.decided_at),
    }
    return str(_("Your decision was not kept: %(name)s was faster (%(state)s, %(time)s).")) % said


def _told(document: IdentityDocument) -> str:
    said = {"document": document, "state": document.get_status_display()}
    line = str(_("%(document)s: %(state)s.")) % said
    left = IdentityDocument._default_manager.filter(participant=document.participant_id).waiting().count()
    if not left:
        # On its own, for makemessages does not look into an f-string.
        done = _("All documents of this participant are decided.")
        return f"{line} {done}"
    more = ngettext("%(count)d document is left.", "%(count)d documents are left.", left) % {"count": left}
    return f"{line} {more}"


def _back(model_admin: TwofaAdmin, participant: Participant) -> HttpResponse:
    return HttpResponseRedirect(model_admin.page("review", participant.pk))


@sensitive_variables("context")
def _show(
    model_admin: TwofaAdmin, request: HttpRequest, participant: Participant, form: DecisionForm | None = None
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Review of %(participant)s") % {"participant": participant},
        "opts": model_admin.opts,
        "media": model_admin.media + forms.Media(css={"all": ["twofa/review.css"]}, js=["twofa/review.js"]),
        "back": model_admin.page("changelist"),
        # The pictures need the width.
        "is_nav_sidebar_enabled": False,
        "next_url": model_admin.page("next"),
        "has_errors": form is not None and bool(form.errors),
        **dossiers.shown(model_admin, request, participant, lambda document: _form(document, participant, form)),
    }
    response = TemplateResponse(request, "twofa/admin/review.html", context)
    # Every page of the admin says so as well (``admin_view``); with a whole document number it must not depend on it.
    response["Cache-Control"] = "no-store, private"
    # Nor must it depend on a middleware of the host's that no other site lays *Approve* under a button of its own.
    response["X-Frame-Options"] = "DENY"
    return response


def _form(document: IdentityDocument, participant: Participant, bound: DecisionForm | None) -> DecisionForm:
    """Return the form of one document: the one that was sent and not taken, or an empty one."""
    auto_id = f"id_{document.pk}_%s"
    seen = reviews.declared(participant)
    if bound is not None and str(bound.data.get("document")) == str(document.pk):
        form = DecisionForm({**bound.data.dict(), "seen": seen}, auto_id=auto_id)  # type: ignore[attr-defined]
    else:
        form = DecisionForm(initial={"document": document.pk, "seen": seen}, auto_id=auto_id)
    form.fields["comment"].help_text = _language(participant)
    return form


def _language(participant: Participant) -> str:
    if not participant.locale:
        return str(_("The applicant reads this, in a language that we were not told."))
    return str(_("The applicant reads this. Their language: %(language)s.")) % {
        "language": participant.get_locale_display()
    }
