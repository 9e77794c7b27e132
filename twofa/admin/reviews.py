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
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from twofa.admin import dossiers, pictures
from twofa.admin.actions import acting, explain
from twofa.admin.sections import moment
from twofa.exceptions import Invalid, NotFound, TwoFactorError, WrongState
from twofa.flows import reviews
from twofa.flows.reviews import Ruling
from twofa.models import Campaign, IdentityDocument, Participant

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from twofa.admin.base import TwofaAdmin

Reason = IdentityDocument.Reason
APPROVE, REJECT = "approve", "reject"
RETRY, FINAL = "retry", "final"
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
        label=_("Comment for the applicant"),
        max_length=IdentityDocument.comment.field.max_length,
        required=False,
        widget=forms.Textarea(_TEXT),
    )
    internal_comment = forms.CharField(
        label=_("Internal comment"),
        help_text=_("For staff only."),
        max_length=IdentityDocument.internal_comment.field.max_length,
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
        """Ask the flow whether a decision says enough, once each field can be read."""
        given = super().clean() or {}
        if not self.errors:
            try:
                reviews.ensure_explained(self.decision)
            except Invalid as error:
                for line in error.params["errors"]:
                    self.add_error(line["field"], line["detail"])
        return given

    @property
    def decision(self) -> Ruling:
        """Return what a form says whose fields can be read."""
        given = self.cleaned_data
        is_approved = given["verdict"] == APPROVE
        return Ruling(
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
        return _back(model_admin, request, participant)
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
        return _queue(model_admin, chosen.get("campaign"))
    if found is None:
        model_admin.message_user(request, _nobody(**chosen), messages.SUCCESS)
        return _queue(model_admin, chosen.get("campaign"))
    return HttpResponseRedirect(_address(model_admin, found, chosen.get("campaign")))


def _nobody(campaign: Campaign | None = None, leave: Participant | None = None) -> StrOrPromise:
    """Say that there is no next one, and no more than that: who was left waits, and so may another campaign."""
    if leave is not None and leave.documents.waiting().exists():
        return _("Nobody else waits for you here. Whom you left stays in the queue.")
    if campaign is not None:
        return _("Nothing of this campaign waits for you.")
    return _("Nothing waits for you. Well done.")


def _queue(model_admin: TwofaAdmin, campaign: Campaign | None) -> HttpResponse:
    listed = model_admin.page("changelist")
    return HttpResponseRedirect(listed if campaign is None else f"{listed}?campaign__id__exact={campaign.pk}")


def _address(model_admin: TwofaAdmin, participant: Participant, campaign: Campaign | None) -> str:
    """Return where a review is; of a queue of one campaign, so that its buttons stay in that campaign."""
    review = model_admin.page("review", participant.pk)
    return review if campaign is None else f"{review}?campaign={campaign.pk}"


def _campaign_of(request: HttpRequest, participant: Participant) -> Campaign | None:
    """Return the campaign whose queue is worked through, or None where it is the queue of all."""
    asked = request.GET.get("campaign")
    return participant.campaign if asked == str(participant.campaign_id) else None


def _claim(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    try:
        with acting(request) as actor:
            until = reviews.claim(participant, reviewer=request.user, actor=actor)
    except TwoFactorError as error:
        model_admin.message_user(request, explain(error), messages.ERROR)
    else:
        if until is None:
            model_admin.message_user(request, _("Nothing of this participant waits any more."), messages.INFO)
    return _back(model_admin, request, participant)


def _release(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    reviews.release(participant, reviewer=request.user)
    model_admin.message_user(request, _("Given back: others can review this participant now."), messages.SUCCESS)
    return _queue(model_admin, _campaign_of(request, participant))


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
        model_admin.message_user(request, _overtaken(pk, request.user), messages.ERROR)
        return _back(model_admin, request, participant)
    except TwoFactorError as error:
        model_admin.message_user(request, explain(error), messages.ERROR)
        # With what was typed, and with what the participant has declared now: as told, if that is why it was refused.
        participant.refresh_from_db()
        return _show(model_admin, request, participant, form, is_told=_is_about(error, "seen"))
    model_admin.message_user(request, _told(done), messages.SUCCESS)
    return _back(model_admin, request, participant)


def _is_about(error: TwoFactorError, field: str) -> bool:
    return any(line["field"] == field for line in error.params.get("errors", []))


_STEPS: dict[str, Callable[[Any, HttpRequest, Participant], HttpResponse]] = {
    "claim": _claim,
    "release": _release,
    "decide": _decide,
}


def _overtaken(pk: Any, reviewer: Any) -> str:
    """Say who was faster, and what became of the document; the form is of no use any more."""
    document = IdentityDocument.objects.select_related("decided_by").get(pk=pk)
    if document.decided_by is None or document.decided_at is None:
        if document.has_successor:
            return str(_("Your decision was not kept: the participant has replaced this picture by another one."))
        # After a reset or an erasure: there is no other one.
        return str(_("Your decision was not kept: nobody has to decide this document any more."))
    said = {
        "name": document.decided_by.get_username(),
        "state": document.get_decision_display(),
        "time": moment(document.decided_at),
    }
    if document.decided_by == reviewer:
        return str(_("You have decided this already, in another window (%(state)s, %(time)s).")) % said
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


def _back(model_admin: TwofaAdmin, request: HttpRequest, participant: Participant) -> HttpResponse:
    return HttpResponseRedirect(_address(model_admin, participant, _campaign_of(request, participant)))


@sensitive_variables("context")
def _show(
    model_admin: TwofaAdmin,
    request: HttpRequest,
    participant: Participant,
    form: DecisionForm | None = None,
    *,
    is_told: bool = False,
) -> HttpResponse:
    campaign = _campaign_of(request, participant)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Review of %(participant)s") % {"participant": participant},
        "opts": model_admin.opts,
        "media": model_admin.media + forms.Media(css={"all": ["twofa/review.css"]}, js=["twofa/review.js"]),
        "back": model_admin.page("changelist"),
        # The pictures need the width.
        "is_nav_sidebar_enabled": False,
        "next_url": model_admin.page("next"),
        "next_campaign": "" if campaign is None else str(campaign.pk),
        "has_errors": form is not None and bool(form.errors),
        **dossiers.shown(
            model_admin, request, participant, lambda document: _form(document, participant, form, is_told=is_told)
        ),
    }
    response = TemplateResponse(request, "twofa/admin/review.html", context)
    # Every page of the admin says so as well (``admin_view``); with a whole document number it must not depend on it.
    response["Cache-Control"] = "no-store, private"
    # Nor must it depend on a middleware of the host's that no other site lays *Approve* under a button of its own.
    response["X-Frame-Options"] = "DENY"
    return response


def _form(
    document: IdentityDocument, participant: Participant, bound: DecisionForm | None, *, is_told: bool
) -> DecisionForm:
    """Return the form of one document: the one that was sent and not taken, or an empty one.

    The one that was sent keeps the mark of what its reviewer saw, until they are told that it has changed: otherwise a
    slip in another field would have them approve a name that nobody compared.
    """
    auto_id = f"id_{document.pk}_%s"
    seen = reviews.declared(participant)
    if bound is not None and str(bound.data.get("document")) == str(document.pk):
        renewed = {"seen": seen} if is_told else {}
        form = DecisionForm({**bound.data.dict(), **renewed}, auto_id=auto_id)  # type: ignore[attr-defined]
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
