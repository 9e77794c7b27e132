"""What codes and numbers are called on the pages of staff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils import formats
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_MOST_CHARACTERS = 300

EVENTS: dict[str, StrOrPromise] = {
    "campaign.opened": _("Campaign opened"),
    "campaign.changed": _("Campaign changed"),
    "campaign.policy_changed": _("Policy changed"),
    "storefront.opened": _("Storefront opened"),
    "storefront.changed": _("Storefront changed"),
    "storefront.key_issued": _("Key issued"),
    "storefront.key_revoked": _("Key revoked"),
    "participant.enrolled": _("Participant enrolled"),
    "participant.updated": _("Participant changed"),
    "participant.switched_off": _("Two-factor switched off by the participant"),
    "device.registered": _("Device registered"),
    "device.activated": _("Device verified"),
    "device.made_default": _("Device made the default"),
    "device.revoked": _("Device revoked"),
    "device.reset": _("Device reset by staff"),
    "redemption.pending": _("Opened: waits for its token"),
    "redemption.exempted": _("Opened: needs no token"),
    "redemption.approved": _("Approved by the right token"),
    "redemption.scheduled": _("Scheduled"),
    "redemption.completed": _("Completed: the points are spent"),
    "redemption.completion_postponed": _("Completion failed: will be tried again"),
    "redemption.completion_retried": _("Completion tried again by staff"),
    "redemption.parked": _("Completion parked: waits for staff"),
    "redemption.failed": _("Failed"),
    "redemption.rejected": _("Rejected"),
    "redemption.expired": _("Expired"),
    "redemption.cancelled": _("Cancelled"),
    "redemption.cancel_explained": _("Cancelled by staff: the reason"),
    "redemption.tampered": _("The stored row is not what the token was issued for"),
    "points.reserved": _("Points set aside"),
    "points.reserve_postponed": _("Setting points aside failed: will be tried again"),
    "points.released": _("Points given back"),
    "points.release_postponed": _("Giving points back failed: will be tried again"),
    "challenge.issued": _("Token issued"),
    "challenge.renewed": _("Token renewed"),
    "challenge.attempt_failed": _("Wrong token"),
    "challenge.approved": _("Right token"),
    "challenge.rejected": _("Too many wrong tokens"),
    "challenge.expired": _("Time to confirm is over"),
    "challenge.cancelled": _("Challenge cancelled"),
    "delivery.queued": _("Message will be tried again"),
    "delivery.sent": _("Message accepted by the provider"),
    "delivery.delivered": _("Message delivered"),
    "delivery.failed": _("Message failed"),
    "delivery.superseded": _("Message superseded by a newer one"),
    "delivery.expired": _("Message not sent: it came too late"),
}


def event(type_: str) -> StrOrPromise:
    """Return what an event is called; one without a name is shown by its type."""
    return EVENTS.get(type_, type_)


def duration(value: timedelta | None) -> str:
    """Return a duration in words: "1 minute 30 seconds"."""
    if value is None:
        return "—"
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    parts = []
    if minutes:
        parts.append(ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes})
    if seconds or not minutes:
        parts.append(ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds})
    return " ".join(parts)


def points(amount: Decimal, unit: str) -> str:
    """Return an amount with its unit."""
    return f"{formats.number_format(amount, 2, use_l10n=True, force_grouping=True)} {unit}"


def chosen(values: Iterable[str], labels: Iterable[tuple[str, Any]] = ()) -> str:
    """Return a list in one line, in its order."""
    known = dict(labels)
    return ", ".join(str(known.get(value, value)) for value in values) or "—"


def masked(text: str) -> str:
    """Return a document number with its last two characters only."""
    return "•" * max(len(text) - 2, 0) + text[-2:] if len(text) > 2 else "•" * len(text)


def details(data: Mapping[str, Any]) -> str:
    """Return an event's data in one line; a change as "column: before → after"."""
    before, after = data.get("before"), data.get("after")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return "; ".join(f"{name}: {plain(before.get(name))} → {plain(after[name])}" for name in after)
    parts = (f"{name}: {plain(value)}" for name, value in data.items() if value not in ("", None))
    return Truncator(" · ".join(parts)).chars(_MOST_CHARACTERS)


def plain(value: Any) -> str:
    """Return a value of an event as it is read best."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(inner)}" for name, inner in value.items())
    return str(value)
