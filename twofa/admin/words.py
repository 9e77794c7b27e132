"""What keys, codes and numbers are called on the pages of staff."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import DurationField
from django.utils import formats
from django.utils.text import Truncator, format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from twofa.admin.sections import moment
from twofa.models import (
    LOCALES,
    MESSAGES,
    WEBHOOKS,
    Campaign,
    Case,
    Channel,
    CompletionMode,
    Failure,
    IdentityDocument,
    Method,
    Participant,
    Reason,
    Scope,
    Storefront,
    TokenAlphabet,
    TwoFactorMode,
    Verdict,
    WebhookEndpoint,
)
from twofa.models.webhook_endpoint import SUBJECTS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_MOST_CHARACTERS = 160
_AMOUNTS = ("amount", "approver_threshold", "max_amount", "threshold", "total_of_24_hours")
_MAY: dict[str, StrOrPromise] = {
    "view": _("Can see %(what)s"),
    "add": _("Can add %(what)s"),
    "change": _("Can change %(what)s"),
    "delete": _("Can delete %(what)s"),
}
_CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")

KEYS: dict[str, StrOrPromise] = {
    **{
        column.name: column.verbose_name
        for model in (Storefront, Participant, Campaign)
        for column in model._meta.fields
        if not column.is_relation
    },
    "added": _("added"),
    "application": _("application"),
    "approver": _("approver"),
    "attempts": _("attempts used"),
    "basis": _("why"),
    "batch": _("batch"),
    "campaigns": _("campaigns"),
    "case": _("case"),
    "cause": _("why"),
    "channel": _("channel"),
    "columns": _("changed"),
    "completed": _("completed"),
    "deputy": _("deputy"),
    "description": _("description"),
    "confirmations": _("confirmed"),
    "destination": _("destination"),
    "entitlement": _("entitlement"),
    "document": _("document"),
    "documents": _("documents"),
    "endpoint_id": _("endpoint"),
    "events": _("events"),
    "failed": _("failed"),
    "file": _("file"),
    "files_left": _("files that are still in the storage"),
    "filters": _("filters"),
    "outcome": _("outcome"),
    "too_late": _("after the approval"),
    "internal_comments": _("with internal comments"),
    "is_final": _("final"),
    "kind": _("kind"),
    "generation": _("token number"),
    "html": _("HTML"),
    "is_on": _("switched on"),
    "message": _("message"),
    "max_amount": _("up to"),
    "mode": _("two-factor"),
    "number": _("number"),
    "page": _("page"),
    "paused_until": _("paused until"),
    "participants": _("participants"),
    "decision": _("decision"),
    "sends": _("messages"),
    "side": _("side"),
    "subject": pgettext_lazy("e-mail", "subject"),
    "text": _("text"),
    "answer": _("answer"),
    "expired_because": _("why"),
    "prefix": _("prefix"),
    "proof": _("proof"),
    "provider": _("provider"),
    "proposal": _("proposal"),
    "proposed_by": _("proposed by"),
    "reason": _("reason"),
    "redaction": _("redaction"),
    "removed": _("removed"),
    "requester": _("requester"),
    "role": _("role"),
    "rows": _("rows"),
    "scheduled_for": _("scheduled for"),
    "scopes": _("scopes"),
    "total_of_24_hours": _("redeemed within 24 hours, with this one"),
    "told": _("what it is told"),
    "tries": _("tries"),
    "valid_until": _("valid until"),
    "url": _("URL"),
    "verdict": _("typed"),
    "webhook_id": _("webhook"),
}
"""What is kept with an event or a decision, by the name of its key."""

_KINDS, _SIDES = IdentityDocument.Kind, IdentityDocument.Side
DOCUMENTS: dict[str, StrOrPromise] = {
    name: label
    for kind in _KINDS
    for name, label in (
        (kind.value, kind.label),
        *(
            (f"{kind}:{side}", format_lazy("{}, {}", kind.label, side.label))
            for side in (_SIDES.FRONT, _SIDES.BACK)
            if kind in (_KINDS.CPF, _KINDS.RG, _KINDS.CNH)
        ),
    )
}
"""What a campaign may ask for, by the names that the documents themselves have."""

APPROVERS: dict[str, StrOrPromise] = {
    "named": _("named by the storefront"),
    "demanded": _("demanded by the campaign"),
}
"""How an approver comes in."""

BASES: dict[str, StrOrPromise] = {
    "retention": _("the time to keep them is over"),
    "erasure": _("a participant was erased"),
}
"""Why something was taken out of the audit trail."""

CAUSES: dict[str, StrOrPromise] = {
    "resent": _("another one was asked for"),
    "reminted": _("the one before would have come too late"),
    "failed_over": _("the message before could not be sent"),
}
"""Why a token was renewed."""

REASONS: dict[str, StrOrPromise] = {
    **dict(Reason.choices),
    # Why a document was rejected, or lost its approval.
    **dict(IdentityDocument.Reason.choices),
    "erased": _("the participant was erased"),
    "device_reset": _("staff reset the participant's last device"),
    "abandoned": _("nobody ever proved the contact"),
    "details_changed": _("the participant changed their name or document number"),
    # Why an endpoint of webhooks was disabled.
    **dict(WebhookEndpoint.Disabled.choices),
    # Why a message was not sent.
    "number_at_risk": _("the number may not be its owner's any more: its SIM or its carrier changed"),
    "number_unchecked": _("the check of numbers did not answer"),
    "prefix_paused": _("messages to these numbers are paused: hardly a token came back"),
    "answer_unreadable": _("the provider's answer could not be read"),
    "channel_error": _("the channel broke down: see the log"),
    "channel_unavailable": _("the channel is not set up"),
    "connection": _("no connection to the provider"),
    "file_not_written": _("the file could not be written"),
    "lease_lost": _("the worker stopped while sending, each time"),
    "message_invalid": _("the message could not be built for this channel"),
    "message_not_rendered": _("the template of the message is broken: see the log"),
    "message_refused": _("the provider refused the message"),
    "not_accepted": _("the mail server did not take the message"),
    "provider_busy": _("the provider is busy"),
    "provider_denied": _("the provider did not accept our credentials"),
    "provider_error": _("the provider failed"),
    "provider_misconfigured": _("the provider's address or settings are wrong"),
    "provider_unavailable": _("the provider is down"),
    "not_delivered": _("the provider could not deliver the message"),
    "message_filtered": _("the carrier blocked the message"),
    "recipient_opted_out": _("the recipient has opted out of messages"),
    "recipient_unreachable": _("the recipient's phone cannot be reached"),
    "region_not_allowed": _("the provider's account may not send to this region"),
    "template_required": _("WhatsApp takes approved templates only"),
    "recipient_deferred": _("the recipient cannot be reached for now"),
    "recipient_refused": _("the provider refused the recipient"),
    "reminted": _("it would have come too late: a new token was made"),
    "stream_closed": _("the console is closed"),
    "superseded": _("superseded by a newer one"),
    "overdue": _("nobody decided on it for a week"),
    "policy_changed": _("the policy was changed meanwhile"),
    "timeout": _("the provider did not answer in time"),
    "tls": _("no secure connection to the provider"),
    "token_key_unknown": _("the key of the token is not installed any more"),
    "send_budget": _("a budget of messages is used up"),
    "too_late": _("it would have come too late"),
    # Why a redemption or a batch ended, or was refused by the host's points.
    **dict(Failure.choices),
    "insufficient_points": _("not enough points"),
    "not_reserved": _("the points were not set aside"),
    "refused": _("refused by the loyalty programme"),
}


def duration(value: timedelta | None) -> str:
    """Return a duration in words: "1 minute 30 seconds", "2 days"."""
    if value is None:
        return "—"
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = []
    if days:
        parts.append(ngettext("%(count)d day", "%(count)d days", days) % {"count": days})
    if hours:
        parts.append(ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours})
    if minutes:
        parts.append(ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes})
    if seconds or not parts:
        parts.append(ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds})
    return " ".join(parts)


def rough(age: timedelta | None) -> str:
    """Return an age as it matters: days, or hours and minutes."""
    if age is None:
        return "—"
    seconds = int(age.total_seconds())
    step = 86_400 if seconds >= 86_400 else 60
    return duration(timedelta(seconds=seconds - seconds % step)) if seconds >= 60 else str(_("under a minute"))


def points(amount: Decimal, unit: str) -> str:
    """Return an amount with its unit."""
    return f"{formats.number_format(amount, 2, use_l10n=True, force_grouping=True)} {unit}"


def number(count: int) -> str:
    """Return a count as people of the page's language write it."""
    return str(formats.number_format(count, use_l10n=True, force_grouping=True))


def rate(part: float | None) -> str:
    """Return a part as a percentage, rounded: Django's formats cut off."""
    if part is None:
        return "—"
    return _("%(number)s%%") % {"number": formats.number_format(round(100 * part, 1), 1, use_l10n=True)}


def chosen(values: Iterable[str], labels: Iterable[tuple[str, Any]] = ()) -> str:
    """Return a list in one line, in its order."""
    known = dict(labels)
    return ", ".join(str(known.get(value, value)) for value in values) or "—"


def masked(text: str) -> str:
    """Return a document number with its last two characters only."""
    return "•" * max(len(text) - 2, 0) + text[-2:] if len(text) > 2 else "•" * len(text)


def permissions(codenames: Iterable[str]) -> str:
    """Return permissions as they are read: what Django calls them is in the database, in one language."""
    return chosen(map(permission, codenames))


def permission(codename: str) -> str:
    """Return one permission in words. One that is no more loses its underscores: this is told of the past."""
    action, _underscore, name = codename.partition("_")
    for options in (model._meta for model in apps.get_app_config("twofa").get_models()):
        own = dict(options.permissions)
        if codename in own:
            return str(own[codename])
        if name == options.model_name and action in _MAY:
            return str(_MAY[action]) % {"what": options.verbose_name_plural}
    return codename.replace("_", " ")


def mode(value: str) -> str:
    """Return the short name of a campaign's toggle."""
    return str(dict(TwoFactorMode.choices).get(value, value)).partition(":")[0]


def reason(text: str) -> str:
    """Return a reason in words. A host's own code loses its underscores; what staff wrote stays as it is."""
    if text in REASONS:
        return str(REASONS[text])
    return text.replace("_", " ") if _CODE.fullmatch(text) else text


def label(key: str) -> str:
    """Return what a key is called."""
    return str(KEYS.get(key, key.replace("_", " ")))


def details(data: Mapping[str, Any], *, unit: str = "") -> str:
    """Return an event's data, or a decision's, in one line; ``unit`` is what its amounts count."""
    lines = listed(data, unit=unit)
    return "; ".join(lines) if "after" in data else Truncator(" · ".join(lines)).chars(_MOST_CHARACTERS)


def listed(data: Mapping[str, Any], *, unit: str = "") -> list[str]:
    """Return one line for each thing that is told; a change as "column: before → after"."""
    before, after = data.get("before"), data.get("after")
    lines = []
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key, value in after.items():
            lines.append(f"{label(key)}: {told(key, before.get(key), unit)} → {told(key, value, unit)}")
    flat = {**_mapping(data.get("policy")), **data}
    for key, value in flat.items():
        if key not in ("before", "after", "policy") and value not in ("", None):
            lines.append(f"{label(key)}: {told(key, value, unit)}")
    return lines


def told(key: str, value: Any, unit: str = "") -> str:
    """Return the value of a key in words."""
    if key in _AMOUNTS and isinstance(value, str):
        return points(Decimal(value), unit)
    read = _READ.get(key)
    return plain(value) if read is None or value is None else read(value)


def plain(value: Any) -> str:
    """Return a value as it is read best."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return chosen(map(str, value)) if isinstance(value, list) else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _among(choices: Iterable[tuple[str, Any]]) -> Callable[[Any], str]:
    """Return how one or several of ``choices`` are read."""
    known = list(choices)
    return lambda value: chosen(value if isinstance(value, list) else [str(value)], known)


_METHOD, _CHANNEL = _among(Method.choices), _among(Channel.choices)
_READ: dict[str, Callable[[Any], str]] = {
    "added": lambda codenames: permissions(codenames),
    "removed": lambda codenames: permissions(codenames),
    **{
        column.name: lambda seconds: duration(timedelta(seconds=seconds))
        for column in Campaign._meta.fields
        if isinstance(column, DurationField)
    },
    "allowed_channels": _CHANNEL,
    "approver": lambda value: str(APPROVERS.get(value, value)),
    "scheduled_for": lambda text: moment(datetime.fromisoformat(text)),
    "valid_until": lambda text: moment(datetime.fromisoformat(text)),
    "allowed_countries": lambda codes: chosen(codes) if codes else str(_("all")),
    "basis": _among(BASES.items()),
    "cause": _among(CAUSES.items()),
    "channel": _CHANNEL,
    "columns": _among(KEYS.items()),
    "decision": _among(IdentityDocument.Decision.choices),
    "kind": _among(IdentityDocument.Kind.choices),
    "side": _among(IdentityDocument.Side.choices),
    "completion_mode": _among(CompletionMode.choices),
    "default_method": _METHOD,
    "expired_because": reason,
    "locale": _among(LOCALES),
    "message": _among(MESSAGES.items()),
    "mode": mode,
    "outcome": _among(Case.Outcome.choices),
    "paused_until": lambda text: moment(datetime.fromisoformat(text)),
    "reason": reason,
    "scopes": lambda scopes: chosen(scopes, Scope.choices) if scopes else str(_("all")),
    "required_documents": _among(DOCUMENTS.items()),
    "told": lambda types: chosen(types, {**SUBJECTS, **WEBHOOKS}.items()) if types else str(_("all")),
    "token_alphabet": _among(TokenAlphabet.choices),
    "two_factor_method": _METHOD,
    "two_factor_mode": mode,
    "verdict": _among(Verdict.choices),
}
