"""What messages may show: taken from stored rows, made safe, and written as the participant reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twofa import tokens, wording
from twofa.conf import conf
from twofa.models import (
    STEP_UP,
    TOKEN_LIFE_CAP,
    Agreement,
    Campaign,
    Challenge,
    Channel,
    Delivery,
    DocumentKind,
    IdentityDocument,
    Redemption,
    RedemptionBatch,
    is_token,
    spoken,
)

_DEFAULT_UNIT = "points"
_LINES_SHOWN = 10
_MASKED = re.compile(rf"[ {wording.HIDDEN}-]*{wording.HIDDEN}")
# An SMS of one segment has 160 characters: these leave room for the sentence around them.
_SMS = {"campaign": 24, "item": 32, "requester": 16}
# A second name and the tail of a notice take room of their own, and a time with its zone takes more.
_SMS_LONG = {"campaign": 20, "item": 24, "requester": 16}
_SMS_TIMED = {"campaign": 16, "item": 24, "requester": 16}
_AMPLE = {"campaign": 150, "item": 120, "requester": 80}

Limits = Mapping[str, int]


def locale_of(delivery: Delivery) -> str:
    """Return the language of whom a message goes to, else of the host, among those that there are texts for."""
    participant = delivery.participant
    of_challenge = "" if delivery.challenge is None else delivery.challenge.locale
    chosen = delivery.context.get("locale") or (participant.locale if participant else of_challenge)
    chosen = chosen or conf.language_code
    return spoken(str(chosen))


def of(delivery: Delivery, locale: str) -> dict[str, Any]:
    """Return what templates may show, but for the token. All of it comes from stored rows; nothing from a request.

    Called in the language of the message.
    """
    challenge = delivery.challenge
    is_plain = challenge is not None and not _asks_another(delivery, challenge)
    limits = _limits(delivery.channel, delivery.event, is_plain=is_plain)
    context = _common(delivery.campaign, delivery.channel, locale, limits)
    # Of an app it is what its owner called it, or whoever let theirs in.
    destination = wording.safe(delivery.context.get("destination", ""), limit=_AMPLE["requester"])
    context |= {"sequence": delivery.generation, "destination": destination, "not_me": ""}
    if challenge is None:
        context |= _about_notice(delivery, locale, limits)
    else:
        context["not_me"] = not_me(delivery, challenge)
        context |= _about_challenge(challenge, limits)
        if challenge.redemption is not None:
            context |= about_redemption(challenge.redemption, locale, limits)
            context["requester"] = _requester(delivery, challenge, limits)
        if challenge.batch is not None:
            context |= about_batch(challenge.batch, challenge, locale)
            context["requester"] = _requester(delivery, challenge, limits)
    return _for_sms(context) if delivery.channel == Channel.SMS else context


def _limits(channel: str, event: str, *, is_plain: bool) -> Limits:
    if channel != Channel.SMS:
        return _AMPLE
    if event == "schedule.token":
        return _SMS_TIMED
    return _SMS if is_plain else _SMS_LONG


def _common(campaign: Campaign, channel: str, locale: str, limits: Limits) -> dict[str, Any]:
    return {
        "campaign": wording.plain(campaign.name, limit=limits["campaign"]),
        "channel": channel,
        "locale": locale,
    }


def _asks_another(delivery: Delivery, challenge: Challenge) -> bool:
    """Tell whether the message goes to somebody else than whoever asked for it: to who approves for them."""
    return delivery.participant_id != challenge.participant_id


def _requester(delivery: Delivery, challenge: Challenge, limits: Limits) -> str:
    """Return who asks, where the message goes to somebody else who approves for them; else an empty text."""
    if challenge.participant is None or not _asks_another(delivery, challenge):
        return ""
    return _name(challenge.participant.name, limits)


def _name(of_whom: str, limits: Limits) -> str:
    # As unsafe as an item: it comes from a storefront. In quotes, which nothing in it can end, because it stands before
    # the amount: whoever is called "5 points! Lucas" would have the approver read another one first.
    return f'"{wording.safe(of_whom, limit=limits["requester"])}"'


def not_me(delivery: Delivery, challenge: Challenge) -> str:
    """Return the link by which whoever gets this message says "it was not me", or nothing where there is none.

    It holds the challenge's id and a seal, and nothing of the person: links end up in logs and histories. In an SMS or
    a WhatsApp message only where the campaign says so, for whoever is used to links from us follows those of thieves.
    """
    has_link = _has_link(delivery.campaign, delivery.channel)
    if not has_link or delivery.device_id is None or challenge.participant_id is None:
        return ""
    try:
        seal = challenge.denial_seal(delivery.device_id)
    except tokens.UnknownKey:  # of a notice about a challenge that ended long ago
        return ""
    return f"{conf.public_url}/not-me/{challenge.pk}/{seal}/"


def _has_link(campaign: Campaign, channel: str) -> bool:
    return bool(conf.public_url) and (channel == Channel.EMAIL or campaign.links_in_messages)


def _about_challenge(challenge: Challenge, limits: Limits) -> dict[str, Any]:
    # Not the time left: the text of one generation is the same whenever it is sent.
    life = min(challenge.token_ttl, TOKEN_LIFE_CAP, challenge.deadline - challenge.issued_at)
    about: dict[str, Any] = {
        "purpose": challenge.purpose,
        "action": challenge.action,
        "minutes": max(life // timedelta(minutes=1), 1),
    }
    if challenge.purpose in Agreement.values:
        about["description"] = str(Agreement(challenge.purpose).label)
    elif challenge.purpose.startswith(STEP_UP):
        # As unsafe as an item, and before the token as well.
        said = challenge.description
        about["description"] = wording.safe(said, limit=limits["item"]) if said else ""
    if challenge.subject is not None:
        about["destination"] = challenge.subject.destination
    return about


def about_redemption(redemption: Redemption, locale: str, limits: Limits = _AMPLE) -> dict[str, Any]:
    """Return what a message says of a redemption: the page behind its link says the same."""
    about = {
        **_about_order(redemption.amount, redemption.unit, redemption.description, locale, limits),
        "items": [_line(item, locale, limits) for item in redemption.items[:_LINES_SHOWN]],
        "items_left": max(len(redemption.items) - _LINES_SHOWN, 0),
    }
    if redemption.scheduled_for is not None:
        about["when"] = _moment(redemption.scheduled_for, locale)
    return about


def _moment(at: datetime, locale: str) -> str:
    # In the host's zone, and not in one that a request has activated: one generation has one text.
    return wording.moment(timezone.localtime(at, timezone.get_default_timezone()), locale)


def _about_order(amount: Any, unit: str, description: str, locale: str, limits: Limits) -> dict[str, Any]:
    return {
        "amount": wording.amount(Decimal(amount), locale),
        "unit": _unit(unit, Decimal(amount)),
        "item": wording.safe(description, limit=limits["item"]),
    }


def about_batch(batch: RedemptionBatch, challenge: Challenge, locale: str) -> dict[str, Any]:
    """Return what a message says of a batch. Storefront and participant compare its short digest, where they do."""
    return {
        "count": batch.count,
        "total": wording.amount(Decimal(batch.total), locale),
        "unit": _unit(batch.unit, Decimal(batch.total)),
        "digest": challenge.short_digest,
    }


def _about_notice(delivery: Delivery, locale: str, limits: Limits) -> dict[str, Any]:
    told = delivery.context
    if "amount" in told:
        return _about_order(told["amount"], told.get("unit", ""), told.get("item", ""), locale, limits)
    if "document" in told:
        return {"document": _document(told["document"]), **_because(told)}
    return {}


def _document(kind: str) -> str:
    return str(DocumentKind(kind).label) if kind in DocumentKind.values else ""


def _because(told: Mapping[str, str]) -> dict[str, str]:
    reason = told.get("reason")
    if not reason:
        return {}
    known = reason in IdentityDocument.Reason.values
    return {"reason": str(IdentityDocument.Reason(reason).label) if known else ""}


def _unit(unit: str, amount: Decimal) -> str:
    """Return what the amount counts, in the language of the message where the unit is the default one.

    Any other is the campaign's own word. The digest holds the stored one, whatever it is called here.
    """
    if unit != _DEFAULT_UNIT:
        return wording.plain(unit, limit=20)
    # "1 point", and "1.50 points": what is not whole is more than one.
    return ngettext("point", "points", int(amount) if amount == amount.to_integral_value() else 2)


def _line(item: Mapping[str, Any], locale: str, limits: Limits) -> dict[str, Any]:
    return {
        "name": wording.safe(str(item["name"]), limit=limits["item"]),
        "quantity": int(item["quantity"]),
        "amount": wording.amount(Decimal(item["amount"]), locale),
    }


def _for_sms(context: dict[str, Any]) -> dict[str, Any]:
    # What we mask by is not in the alphabet of SMS, and is not worth the second segment.
    destination = _MASKED.sub("*", context["destination"])
    folded = {name: wording.gsm7(value) for name, value in context.items() if isinstance(value, str)}
    return {**context, **folded, "destination": destination}


# --- what a preview shows ---------------------------------------------------------------------------------------------

_TOKEN = "7K2M9Q"
_WHEN = datetime(2026, 11, 27, 12, tzinfo=UTC)


def sample(campaign: Campaign, event: str, channel: str, locale: str, *, approving: bool = False) -> dict[str, Any]:
    """Return an example of what a message shows, for those who write its text; called in the language of the message.

    ``approving``: as it goes to somebody who approves for another one. The token is none that was ever issued.
    """
    limits = _limits(channel, event, is_plain=is_token(event) and not approving)
    order = _about_order("15000.00", campaign.unit, _("Wireless headphones"), locale, limits)
    context: dict[str, Any] = {
        **_common(campaign, channel, locale, limits),
        **order,
        "token": _TOKEN[: campaign.token_length] if is_token(event) else "",
        "sequence": 2,
        "minutes": max(campaign.token_ttl // timedelta(minutes=1), 1),
        "destination": "+55 •• •••••-••34",
        "not_me": f"{conf.public_url}/not-me/…/" if _has_link(campaign, channel) else "",
        "purpose": "step_up:transfer",
        "description": wording.safe(_("Change of address"), limit=limits["item"]),
        "action": "add",
        "items": [_line(item, locale, limits) for item in _sample_items()],
        "items_left": 0,
        "requester": _name("Ana Souza", limits) if approving else "",
        "when": _moment(_WHEN, locale),
        "count": 3,
        "total": order["amount"],
        "digest": "4F1A09C2",
        "document": _document(DocumentKind.CNH),
        "reason": str(IdentityDocument.Reason.UNREADABLE.label),
    }
    return _for_sms(context) if channel == Channel.SMS else context


def _sample_items() -> list[dict[str, str]]:
    return [
        {"name": _("Wireless headphones"), "quantity": "1", "amount": "14000.00"},
        {"name": _("Phone case"), "quantity": "2", "amount": "1000.00"},
    ]
