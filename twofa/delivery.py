"""One message: compose it, render it, hand it over. Nothing is written here: the outcome is the caller's to record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.template import Context, loader
from django.template.backends.django import Template as DjangoTemplate
from django.utils import translation
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from twofa import channels, correlation, tokens, wording
from twofa.channels import DeliveryError, Message, Receipt
from twofa.conf import conf
from twofa.models import LOCALES, TOKEN_LIFE_CAP, Challenge, Channel, Delivery, Redemption
from twofa.models.delivery import MOST_COST

logger = correlation.get_logger(__name__)

TRANSACTION_CHANGED = "transaction_changed"
_LANGUAGES = tuple(locale for locale, _name in LOCALES)
_DEFAULT_UNIT = "points"
_LINES_SHOWN = 10
_MAX_ID = 200
_MAX_PROVIDER = 64
_MASKED = re.compile(rf"[ {wording.HIDDEN}-]*{wording.HIDDEN}")
# An SMS of one segment has 160 characters: these leave room for the sentence around them.
_LIMITS = {Channel.SMS: {"campaign": 24, "item": 32}}
_AMPLE = {"campaign": 150, "item": 120}


def is_available(alias: str) -> bool:
    """Tell whether the host configured this channel."""
    return channels.is_configured(alias)


# Also of a channel that lets a BaseException through (a worker told to stop): its frames hold the message.
@sensitive_variables()
def send(delivery: Delivery) -> Receipt:
    """Compose a delivery's message and hand it to its channel; test campaigns' go to the sandbox.

    The caller has loaded the delivery's challenge with its redemption, the participant and the campaign.
    Raises: DeliveryError, and nothing else.
    """
    alias = channels.SANDBOX if delivery.campaign.test else delivery.channel
    if not is_available(alias):
        raise DeliveryError("channel_unavailable", retryable=False)
    outcome = _attempt(delivery, alias)
    # Raised out here and anew, so that no library's error hangs on it as __context__: its text, and the variables of
    # its frames, hold what no log may.
    if isinstance(outcome, DeliveryError):
        raise DeliveryError(outcome.reason, retryable=outcome.retryable)
    return outcome


@sensitive_variables()
def compose(delivery: Delivery) -> Message:
    """Build a delivery's message, and derive its token. The same delivery gives the same text each time.

    Raises: DeliveryError where there is no such token any more, or no such text.
    """
    token = _token(delivery)
    locale = _locale(delivery)
    with translation.override(locale):
        context = {**_context(delivery, locale), "token": token}
        texts = {part: _render(delivery, part, context) for part in _parts(delivery.channel)}
    message = Message(
        recipient=delivery.address,
        token=token,
        locale=locale,
        event=delivery.event,
        challenge_id=delivery.challenge_id,
        idempotency_key=delivery.idempotency_key,
        expires_at=delivery.challenge.live_until if delivery.challenge is not None else None,
        token_ttl=delivery.challenge.token_ttl if delivery.challenge is not None else None,
        **texts,
    )
    # A host's own template may have lost it, and a message without its token is worse than none: nobody would know.
    if token not in message.text or (message.html and token not in message.html):
        logger.error("The templates of %s for %s leave the token out.", delivery.event, delivery.channel)
        raise DeliveryError("message_not_rendered", retryable=False)
    return message


def _attempt(delivery: Delivery, alias: str) -> Receipt | DeliveryError:
    try:
        message = compose(delivery)
        receipt = channels.get_channel(alias).send(message)
        return Receipt(
            provider_message_id=_kept_id(getattr(receipt, "provider_message_id", None), message),
            provider=(_kept_id(getattr(receipt, "provider", ""), message) or "")[:_MAX_PROVIDER],
            cost=_cost(alias, message, getattr(receipt, "cost", None)),
        )
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a channel is anybody's code, and no bug in it may stop the worker
        # Its class and nothing more, not even its traceback: the text of an HTTP or SMTP library's error often quotes
        # the request, and with it the token or the address (I8).
        logger.error("Channel %s failed with %s.", alias, type(error).__name__)
        # Unknown is not "no": it is tried again, with the same text and key.
        return DeliveryError("channel_error", retryable=True)


def _cost(alias: str, message: Message, told: object) -> Decimal | None:
    """Return what the provider charged, or the price of the list; None where nobody knows."""
    if isinstance(told, Decimal) and told.is_finite() and 0 <= told < MOST_COST:
        return told
    price = conf.cost_of(alias)
    if price is None or alias != Channel.SMS:
        return price
    return price * wording.segments(message.text).segments


def _kept_id(given: str | None, message: Message) -> str | None:
    """Return a provider's id as it may be stored: a text of one line, and not one that quotes the token."""
    if not isinstance(given, str) or not given.isprintable() or len(given) > _MAX_ID:
        return None
    return None if message.token and message.token in given else given or None


def _token(delivery: Delivery) -> str:
    challenge = delivery.challenge
    if challenge is None:
        return ""
    # One generation, one contact, one text: a delivery that was overtaken must not carry its successor's token to the
    # old address (I14).
    present = (challenge.generation, challenge.channel, challenge.address)
    if challenge.is_final or present != (delivery.generation, delivery.channel, delivery.address):
        raise DeliveryError("superseded", retryable=False)
    _ensure_unchanged(challenge)
    try:
        return challenge.derive_token()
    except tokens.UnknownKey:
        logger.error("The key %s, which sealed this token, is not in TWOFA_TOKEN_KEYS.", challenge.kid)
    raise DeliveryError("token_key_unknown", retryable=False)


def _ensure_unchanged(challenge: Challenge) -> None:
    """Raise where the row is not what the token was issued for.

    Whoever writes to the table, sends, and writes back would have a person approve another purchase than the one they
    were told of: the digest at confirm would find nothing amiss (I4). Raises: DeliveryError.
    """
    digest = None
    if challenge.redemption is not None:
        digest = challenge.redemption.digest()
    elif challenge.subject is not None:
        digest = challenge.subject.digest(challenge.action)
    if digest is not None and not tokens.is_sealed([bytes(challenge.transaction_digest)], digest):
        logger.error("The row of challenge %s is not what its token was issued for.", challenge.pk)
        raise DeliveryError(TRANSACTION_CHANGED, retryable=False)


def _locale(delivery: Delivery) -> str:
    """Return the language of the participant, else of the host, among those that there are texts for."""
    participant = delivery.participant
    chosen = delivery.context.get("locale") or (participant.locale if participant else "") or conf.language_code
    base = str(chosen).lower().split("-")[0]
    return next((language for language in _LANGUAGES if language.split("-")[0] == base), "en")


def _context(delivery: Delivery, locale: str) -> dict[str, Any]:
    """Return what templates may show. All of it comes from stored rows; nothing from a request."""
    limits = _LIMITS.get(Channel(delivery.channel), _AMPLE)
    context: dict[str, Any] = {
        "campaign": wording.plain(delivery.campaign.name, limit=limits["campaign"]),
        "channel": delivery.channel,
        "locale": locale,
        "sequence": delivery.generation,
        "destination": delivery.context.get("destination", ""),
    }
    if delivery.challenge is not None:
        context |= _about_challenge(delivery.challenge)
        if delivery.challenge.redemption is not None:
            context |= _about_redemption(delivery.challenge.redemption, locale, limits)
    return _for_sms(context) if delivery.channel == Channel.SMS else context


def _about_challenge(challenge: Challenge) -> dict[str, Any]:
    # Not the time left: the text of one generation is the same whenever it is sent.
    life = min(challenge.token_ttl, TOKEN_LIFE_CAP, challenge.deadline - challenge.issued_at)
    about: dict[str, Any] = {
        "purpose": challenge.purpose,
        "action": challenge.action,
        "minutes": max(life // timedelta(minutes=1), 1),
    }
    if challenge.subject is not None:
        about["destination"] = challenge.subject.destination
    return about


def _about_redemption(redemption: Redemption, locale: str, limits: Mapping[str, int]) -> dict[str, Any]:
    return {
        "amount": wording.amount(Decimal(redemption.amount), locale),
        "unit": _unit(redemption),
        "item": wording.safe(redemption.description, limit=limits["item"]),
        "items": [_line(item, locale, limits) for item in redemption.items[:_LINES_SHOWN]],
        "items_left": max(len(redemption.items) - _LINES_SHOWN, 0),
    }


def _unit(redemption: Redemption) -> str:
    """Return what the amount counts, in the language of the message where the unit is the default one.

    Any other is the campaign's own word. The digest holds the stored one, whatever it is called here.
    """
    if redemption.unit != _DEFAULT_UNIT:
        return wording.plain(redemption.unit, limit=20)
    amount = Decimal(redemption.amount)
    # "1 point", and "1.50 points": what is not whole is more than one.
    return ngettext("point", "points", int(amount) if amount == amount.to_integral_value() else 2)


def _line(item: Mapping[str, Any], locale: str, limits: Mapping[str, int]) -> dict[str, Any]:
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


def _parts(channel: str) -> Mapping[str, str]:
    """Map the fields of a message to their template's file names."""
    if channel == Channel.EMAIL:
        return {"text": "email.txt", "subject": "subject.txt", "html": "email.html"}
    return {"text": f"{channel}.txt"}


def _render(delivery: Delivery, part: str, context: Mapping[str, Any]) -> str:
    names = template_names(delivery.event, _parts(delivery.channel)[part], campaign=delivery.campaign.slug)
    failed = ""
    text = ""
    try:
        text = _render_first(names, context, as_html=part == "html")
    except Exception as error:  # noqa: BLE001 - templates may be the host's, with tags of its own
        # Again its class only: a template's error may quote the value that it stumbled over.
        failed = type(error).__name__
    if failed:
        logger.error("Rendering %s failed with %s.", names[-1], failed)
        raise DeliveryError("message_not_rendered", retryable=False)
    one_line = part == "subject" or delivery.channel == Channel.SMS
    return " ".join(text.split()) if one_line else text.strip()


def template_names(event: str, filename: str, *, campaign: str) -> list[str]:
    """Return where a message's template is looked for: first among the campaign's own, then among everybody's."""
    folder = event.replace(".", "_")
    return [f"twofa/messages/{campaign}/{folder}/{filename}", f"twofa/messages/{folder}/{filename}"]


def _render_first(names: list[str], context: Mapping[str, Any], *, as_html: bool) -> str:
    template = loader.select_template(names)
    if not isinstance(template, DjangoTemplate):
        return str(template.render(dict(context)))
    # By what is made and not by the engine's setting: an SMS never says "&amp;", and an e-mail always does.
    return str(template.template.render(Context(dict(context), autoescape=as_html)))
