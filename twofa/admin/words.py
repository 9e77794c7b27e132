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
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.admin.sections import moment
from twofa.admin.vocabulary import APPROVERS, BASES, CAUSES, DOCUMENTS, KEYS, PROOFS, REASONS
from twofa.models import (
    LOCALES,
    MESSAGES,
    WEBHOOKS,
    Campaign,
    Case,
    Channel,
    CompletionMode,
    IdentityDocument,
    Method,
    Scope,
    TokenAlphabet,
    TwoFactorMode,
    Unbound,
    Verdict,
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


def labelled(kind: Any, name: str) -> str:
    """Return what something is, with the name that its owner gave it."""
    return f"{kind}: {name}" if name else str(kind)


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


_METHOD, _CHANNEL = _among(Method.choices), _among([*Channel.choices, *Unbound.choices])
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
    "proved_by": _among(PROOFS.items()),
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
