"""A campaign's messages: which go out, and what they say, in each language beside the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages as told
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, re_path
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from twofa import delivery, texts, wording
from twofa.admin.actions import acting, explain
from twofa.admin.base import TwofaAdmin
from twofa.exceptions import DeliveryError, TwoFactorError
from twofa.flows import messages
from twofa.models import KINDS, LOCALES, Campaign, Channel, Kind, is_token

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAY_CHANGE_MESSAGES = "twofa.change_messages"
_SEEN = "seen"
_TEXT_PAGE = rf"^(?P<object_id>\d+)/messages/(?P<event>[a-z_]+\.[a-z_]+)/(?P<channel>{'|'.join(Channel.values)})/\Z"
_LABELS: dict[str, StrOrPromise] = {"subject": _("Subject"), "text": _("Text"), "html": _("HTML")}
_HELP: dict[str, StrOrPromise] = {
    "html": _("Optional. Empty: the lines of the text, in the frame of all e-mails."),
    "subject": _("Empty: ours."),
}
_ROWS = {"subject": 1, "text": 6, "html": 10}
_VALUES: dict[str, StrOrPromise] = {
    "campaign": _("its name"),
    "sequence": _("the number of this token: the newest is the one that is valid"),
    "destination": _("the masked contact that it is about, where it is about one"),
    "locale": _("the language: pt-br, es or en"),
    "not_me": _("the link by which somebody says that it was not them; empty where messages have none"),
    "token": _("the token"),
    "minutes": _("how long it is valid"),
    "amount": _("how many points"),
    "unit": _("what they are called"),
    "item": _("what they are for"),
    "items": _("the single things, each with a name, a quantity and an amount"),
    "items_left": _("how many of them are not named"),
    "requester": _("who asks, where somebody else approves; else empty"),
    "when": _("for when it is scheduled"),
    "count": _("how many redemptions"),
    "total": _("how many points in all"),
    "digest": _("a short mark of the whole batch"),
    "action": _("what happens to the device: add, make_default, revoke or switch_off"),
    "purpose": _("what the storefront asks for"),
    "description": _("what it is for in the words of the storefront; empty where it says nothing"),
    "document": _("which document"),
    "reason": _("why it was not accepted"),
}
"""What staff read of each variable."""


class SwitchForm(forms.Form):
    """One switch, and where it shall stand: pressed twice it stands there still."""

    event = forms.ChoiceField(choices=[(event, event) for event in KINDS])
    channel = forms.ChoiceField(choices=Channel.choices)
    is_on = forms.TypedChoiceField(choices=[("on", "on"), ("off", "off")], coerce=lambda value: value == "on")


class TextForm(forms.Form):
    """A campaign's own text of one message in one language; empty it is ours."""

    def __init__(
        self, data: Any, *, known: Mapping[str, str], campaign: Campaign, event: str, channel: str, locale: str
    ) -> None:
        super().__init__(data, initial=dict(known), prefix=locale)
        self.known = known
        self.about = {"event": event, "channel": channel, "locale": locale}
        self.campaign = campaign
        self.fields[_SEEN] = forms.CharField(
            required=False, widget=forms.HiddenInput, initial=messages.mark(self.known)
        )
        for part in messages.PARTS[channel]:
            # What a text may be, the flow says, in one place and for each of its callers.
            look = {"rows": _ROWS[part], "class": "twofa-template", "spellcheck": "false", "lang": locale}
            self.fields[part] = forms.CharField(
                label=_LABELS[part],
                required=False,
                strip=True,
                help_text=_HELP.get(part, ""),
                widget=forms.Textarea(look),
            )

    @property
    def parts(self) -> dict[str, str]:
        """Return what was typed, with the line breaks of the database and not those of a browser."""
        typed = {part: self.cleaned_data.get(part, "") for part in messages.PARTS[self.about["channel"]]}
        return {part: text.replace("\r\n", "\n") for part, text in typed.items() if text}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for part, said in messages.faults(self.campaign, parts=self.parts, **self.about).items():
            self.add_error(part, ValidationError(said))
        return cleaned


@dataclass(frozen=True)
class Preview:
    """A message as it would arrive, and what it costs; or why it cannot be made."""

    language: StrOrPromise
    locale: str
    subject: str = ""
    text: str = ""
    body: SafeString | None = None
    size: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Cell:
    """One message on one channel: whether it goes out, and in which languages it is the campaign's own text."""

    channel: str
    label: StrOrPromise
    is_on: bool
    own: str
    url: str


@dataclass(frozen=True)
class Row:
    """One message, over all channels."""

    event: str
    kind: Kind
    cells: list[Cell]


def urls(model_admin: TwofaAdmin) -> list[URLPattern]:
    """Return the addresses of both pages."""

    def of(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def bound(request: HttpRequest, object_id: str, **kwargs: str) -> HttpResponse:
            return view(model_admin, request, _campaign(model_admin, request, object_id), **kwargs)

        wrapped: Callable[..., HttpResponse] = model_admin.admin_site.admin_view(bound)
        return wrapped

    return [
        path("<int:object_id>/messages/", of(page), name="twofa_campaign_messages"),
        re_path(_TEXT_PAGE, of(text_page), name="twofa_campaign_message"),
    ]


def _campaign(model_admin: TwofaAdmin, request: HttpRequest, object_id: str) -> Campaign:
    campaign = model_admin.get_object(request, object_id)
    if not isinstance(campaign, Campaign):
        raise Http404
    if not model_admin.has_view_permission(request, campaign):
        raise PermissionDenied
    if request.method == "POST" and not request.user.has_perm(MAY_CHANGE_MESSAGES):
        raise PermissionDenied
    return campaign


def page(model_admin: TwofaAdmin, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Show every message on every channel, with its switch; and turn one."""
    form = SwitchForm(request.POST) if request.method == "POST" else None
    if form is not None and form.is_valid():
        with acting(request) as actor:
            messages.switch(campaign, actor=actor, **form.cleaned_data)
        told.success(request, _("The message was switched on.") if form.cleaned_data["is_on"] else _OFF)
        return HttpResponseRedirect(model_admin.page("messages", campaign.pk))
    own = messages.own_texts(campaign)
    rows = [
        Row(event, kind, [_cell(model_admin, campaign, event, channel, own) for channel in Channel.values])
        for event, kind in KINDS.items()
    ]
    context = {
        **_common(model_admin, request, campaign, _("Messages of %(campaign)s") % {"campaign": campaign}),
        "tokens": [row for row in rows if is_token(row.event)],
        "notices": [row for row in rows if not is_token(row.event)],
        "channels": [label for _value, label in Channel.choices],
        "back": model_admin.page("change", campaign.pk),
    }
    return TemplateResponse(request, "twofa/admin/messages.html", context)


_OFF = _("The message was switched off.")


def _cell(
    model_admin: TwofaAdmin, campaign: Campaign, event: str, channel: str, own: Mapping[tuple[str, str], list[str]]
) -> Cell:
    return Cell(
        channel=channel,
        label=Channel(channel).label,
        is_on=campaign.sends(event, channel),
        own=", ".join(own.get((event, channel), ())),
        url=model_admin.page("message", campaign.pk, event, channel),
    )


def text_page(
    model_admin: TwofaAdmin, request: HttpRequest, campaign: Campaign, *, event: str, channel: str
) -> HttpResponse:
    """Show what one message says on one channel, in all languages; preview and save what is typed."""
    if event not in KINDS:
        raise Http404
    known = messages.texts_of(campaign, event, channel)
    given = request.POST if request.method == "POST" else None
    about: dict[str, Any] = {"campaign": campaign, "event": event, "channel": channel}
    forms_ = [TextForm(given, known=known.get(locale, {}), locale=locale, **about) for locale, _name in LOCALES]
    if given is not None and all(form.is_valid() for form in forms_) and "_save" in given:
        _save(request, campaign, forms_)
        return HttpResponseRedirect(model_admin.page("message", campaign.pk, event, channel))
    title = _("%(message)s, %(channel)s") % {"message": capfirst(KINDS[event].label), "channel": Channel(channel).label}
    context = {
        **_common(model_admin, request, campaign, title),
        "media": model_admin.media + forms.Media(js=["twofa/messages.js"]),
        "has_errors": any(form.errors for form in forms_) if given is not None else False,
        "languages": [(name, form, _ours(form)) for (_locale, name), form in zip(LOCALES, forms_, strict=True)],
        "previews": [_preview(name, form) for (_locale, name), form in zip(LOCALES, forms_, strict=True)],
        "variables": _variables(event),
        "condition": "{% if destination %} … {% else %} … {% endif %}",
        "loop": "{% for line in items %} {{ line.name }} {% endfor %}" if "items" in texts.known(event) else "",
        "back": model_admin.page("messages", campaign.pk),
    }
    return TemplateResponse(request, "twofa/admin/message.html", context)


def _variables(event: str) -> list[tuple[str, StrOrPromise, bool]]:
    needed = texts.required(event, part="text")
    return [("{{ " + name + " }}", _VALUES[name], name in needed) for name in texts.known(event)]


def _save(request: HttpRequest, campaign: Campaign, forms_: list[TextForm]) -> None:
    changed = [form for form in forms_ if form.parts != form.known]
    try:
        with acting(request) as actor:
            for form in changed:
                messages.write(campaign, actor=actor, parts=form.parts, seen=form.cleaned_data[_SEEN], **form.about)
    except TwoFactorError as error:
        told.error(request, explain(error))
        return
    if changed:
        told.success(request, _("The texts were saved. Messages that are sent from now on read like this."))
    else:
        told.info(request, _("Nothing was changed: it was like this already."))


def _ours(form: TextForm) -> str:
    """Return our own text, with the variables in their places: something to begin with."""
    try:
        return delivery.source(form.campaign, form.about["event"], form.about["channel"], form.about["locale"])
    except DeliveryError:
        return ""


def _preview(language: StrOrPromise, form: TextForm) -> Preview:
    if form.errors:
        return Preview(language, form.about["locale"], fault=str(_("What is wrong stands beside the text.")))
    about = form.about
    own = form.parts if form.is_bound else form.known
    try:
        made = delivery.preview(form.campaign, about["event"], about["channel"], about["locale"], own)
    except (texts.Fault, DeliveryError) as error:
        fault = str(error) if isinstance(error, texts.Fault) else str(texts.CANNOT_BE_MADE)
        return Preview(language, about["locale"], fault=fault)
    body = made.get("body", "")
    return Preview(
        language,
        about["locale"],
        subject=made.get("subject", ""),
        text=made["text"],
        # It was rendered with its values escaped, and looked through: elements without attributes, each one closed.
        body=mark_safe(body) if body else None,  # noqa: S308
        size=_size(made["text"]) if about["channel"] == Channel.SMS else "",
    )


def _size(text: str) -> str:
    """Return what an SMS costs, in words."""
    size = wording.segments(text)
    several = str(_("%(count)d SMS, each paid for")) % {"count": size.segments}
    count = _("one SMS") if size.segments == 1 else several
    counted = _("%(characters)d characters of %(encoding)s") % {
        "characters": size.characters,
        "encoding": size.encoding,
    }
    return f"{count}: {counted}"


def _common(model_admin: TwofaAdmin, request: HttpRequest, campaign: Campaign, title: str | Promise) -> dict[str, Any]:
    return {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "subtitle": str(campaign),
        "opts": model_admin.opts,
        "original": campaign,
        "may_change": request.user.has_perm(MAY_CHANGE_MESSAGES),
        "media": model_admin.media,
    }
