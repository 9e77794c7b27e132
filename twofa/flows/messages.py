"""Messages of a campaign: its own texts, and the switches by which they go out; each change with who, and what.

An own text can only add words: what it must show was proved when it was saved (``twofa.texts``). So neither a text nor
a switch loosens the policy, and neither waits for a second person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from twofa import delivery, texts
from twofa.exceptions import DeliveryError, Invalid, PolicyRefused
from twofa.flows.history import Actor, Trail
from twofa.models import KINDS, LOCALES, Campaign, Channel, MessageTemplate
from twofa.models.clock import now
from twofa.models.message import is_switched_on, switch_name

PARTS = {"sms": ("text",), "whatsapp": ("text",), "email": ("subject", "text", "html")}
"""The parts of a message on each channel."""
_LANGUAGES = tuple(locale for locale, _label in LOCALES)


def faults(campaign: Campaign, event: str, channel: str, locale: str, parts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return all that is wrong with each part of a text, in words; nothing where all may be sent."""
    found: dict[str, list[str]] = {}
    for part in PARTS[channel]:
        if parts.get(part):
            wrong = texts.faults(parts[part], event=event, channel=channel, part=part)
            if wrong:
                found[part] = [str(fault) for fault in wrong]
        elif part == "text" and any(parts.values()):
            found[part] = [str(texts.NO_TEXT)]
    if not found and parts.get("text"):
        # All that may go wrong with the whole: HTML is judged as it comes out.
        try:
            delivery.preview(campaign, event, channel, locale, parts)
        except texts.Fault as fault:
            found["html" if parts.get("html") else "text"] = [str(fault)]
        except DeliveryError:
            found["text"] = [str(texts.CANNOT_BE_MADE)]
    return found


def mark(parts: Mapping[str, str]) -> str:
    """Return the mark of a text: of two that differ the marks do."""
    return sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()[:16]


def write(
    campaign: Campaign,
    *,
    actor: Actor,
    event: str,
    channel: str,
    locale: str,
    parts: Mapping[str, str],
    seen: str | None = None,
) -> MessageTemplate | None:
    """Store a campaign's own text of one message, or take it away where ``parts`` are empty: the default goes again.

    Nothing is written where nothing changes. ``seen`` is the mark of the text that this one shall take the place of:
    of two who edit at once, the second is told so. Raises: Invalid, PolicyRefused.
    """
    _ensure_known(event, channel, locale)
    after = {part: parts[part].strip() for part in PARTS[channel] if parts.get(part, "").strip()}
    found = faults(campaign, event, channel, locale, after)
    if found:
        each = ((part, said) for part, faults_ in found.items() for said in faults_)
        raise Invalid(errors=[{"field": part, "code": "invalid", "detail": said} for part, said in each])
    with transaction.atomic():
        # Two who save at once save one after the other: the row that both would make is not there to be locked.
        Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        row = MessageTemplate.objects.filter(campaign=campaign, event=event, channel=channel, locale=locale).first()
        before = row.parts if row is not None else {}
        if before == after:
            return row
        if seen is not None and seen != mark(before):
            raise PolicyRefused(
                _("Somebody else changed this text meanwhile, so yours was not saved. Look at it again.")
            )
        trail = Trail(actor, now())
        kept = _store(row, after, campaign, trail, event=event, channel=channel, locale=locale)
        trail.add(
            "message_template.changed" if after else "message_template.removed",
            campaign,
            message=event,
            channel=channel,
            locale=locale,
            before=before,
            after=after,
        )
        trail.write()
    return kept


def _store(
    row: MessageTemplate | None, parts: Mapping[str, str], campaign: Campaign, trail: Trail, **key: str
) -> MessageTemplate | None:
    if not parts:
        if row is not None:
            row.delete()
        return None
    kept = row or MessageTemplate(campaign=campaign, **key)
    for part in MessageTemplate.PARTS:
        setattr(kept, part, parts.get(part, ""))
    kept.updated_at = trail.at
    kept.save()
    return kept


def switch(campaign: Campaign, *, actor: Actor, event: str, channel: str, is_on: bool) -> Campaign:
    """Switch one message on or off on one channel; nothing is written where it is so already. Raises: Invalid."""
    _ensure_known(event, channel, _LANGUAGES[0])
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        if locked.sends(event, channel) == is_on:
            return locked
        # Only what differs from the default is kept: a default of a later release reaches whoever never chose.
        others = {name: kept for name, kept in locked.message_switches.items() if name != switch_name(event, channel)}
        is_default = is_switched_on({}, event, channel) == is_on
        locked.message_switches = others if is_default else {**others, switch_name(event, channel): is_on}
        locked.save(update_fields=["message_switches"])
        trail = Trail(actor, now())
        trail.add("campaign.message_switched", locked, message=event, channel=channel, is_on=is_on)
        trail.write()
    return locked


def own_texts(campaign: Campaign) -> dict[tuple[str, str], list[str]]:
    """Return of each message and channel the languages in which the campaign has a text of its own."""
    found: dict[tuple[str, str], list[str]] = {}
    rows = MessageTemplate.objects.filter(campaign=campaign).values_list("event", "channel", "locale")
    for event, channel, locale in rows:
        found.setdefault((event, channel), []).append(locale)
    return found


def texts_of(campaign: Campaign, event: str, channel: str) -> dict[str, dict[str, str]]:
    """Return a campaign's own texts of one message by language, each by its parts."""
    rows = MessageTemplate.objects.filter(campaign=campaign, event=event, channel=channel)
    return {row.locale: row.parts for row in rows}


def _ensure_known(event: str, channel: str, locale: str) -> None:
    known: dict[str, tuple[str, Any]] = {
        "event": (event, KINDS),
        "channel": (channel, Channel.values),
        "locale": (locale, _LANGUAGES),
    }
    for field, (given, choices) in known.items():
        if given not in choices:
            raise Invalid.field(field, "invalid", texts.UNKNOWN)
