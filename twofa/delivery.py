"""One message: compose it, render it, hand it over. Nothing is written here: the outcome is the caller's to record."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.template import Context, loader
from django.template.backends.django import Template as DjangoTemplate
from django.utils import translation
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_variables

from twofa import alerts, channels, contents, correlation, texts, tokens, wording
from twofa.alerts import Alert
from twofa.channels import DeliveryError, Message, Receipt
from twofa.conf import conf
from twofa.models import Campaign, Challenge, Channel, Delivery, MessageTemplate, Redemption
from twofa.models.delivery import MOST_COST
from twofa.models.message_template import own_text

logger = correlation.get_logger(__name__)

TRANSACTION_CHANGED = "transaction_changed"
AT_RISK = "number_at_risk"
UNCHECKED = "number_unchecked"
_MAX_ID = 200
_MAX_PROVIDER = 64
_BY_NUMBER = frozenset({Channel.SMS.value, Channel.WHATSAPP.value})
"""Both are bound to a number, and whoever holds its SIM registers WhatsApp anew."""


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


def ensure_trusted(delivery: Delivery) -> bool:
    """Ask the host whether a number is still its owner's, before a token goes there; tell whether anybody was asked.

    Whoever talks a carrier into another SIM gets each token that is sent to the number, and the number looks as it
    always did: only carriers know (NIST SP 800-63B-4, 3.1.3.3). What is neither yes nor no, or fails, counts as not
    asked, and nothing is sent to a number that nobody was asked about: else whoever can make the check fail has
    switched it off. Raises: DeliveryError.
    """
    is_of_token = delivery.challenge is not None and not delivery.campaign.test
    if conf.given("NUMBER_CHECK") is None or not is_of_token or delivery.channel not in _BY_NUMBER:
        return False
    answer = _answer_about(delivery.address)
    ids = {"campaign": delivery.campaign_id, "participant": delivery.participant_id}
    if answer is False:
        alerts.sound(Alert.NUMBER_AT_RISK, **ids)
        raise DeliveryError(AT_RISK, retryable=False)
    if answer is not True:
        alerts.sound(Alert.NUMBER_UNCHECKED)
        raise DeliveryError(UNCHECKED, retryable=True)
    return True


def _answer_about(number: str) -> object:
    """Return what the host's check says, or None where it says nothing of use."""
    try:
        check = conf.number_check
        answer = None if check is None else check(number)
    except Exception as error:  # noqa: BLE001 - the host's code, whose error may quote the number
        logger.error("The check of numbers failed (TWOFA_NUMBER_CHECK): %s.", type(error).__name__)
        return None
    if not isinstance(answer, bool):
        logger.error("The check of numbers gave a %s, not True or False (TWOFA_NUMBER_CHECK).", type(answer).__name__)
    return answer


@sensitive_variables()
def compose(delivery: Delivery) -> Message:
    """Build a delivery's message, and derive its token. The same delivery gives the same text each time.

    Raises: DeliveryError where there is no such token any more, or no such text.
    """
    token = _token(delivery)
    locale = contents.locale_of(delivery)
    with translation.override(locale):
        context = {**contents.of(delivery, locale), "token": token}
        parts = _own(delivery, locale, context) or _default(delivery, context)
    # A host's own template may have lost it, and a message without its token is worse than none: nobody would know.
    if token not in parts["text"] or (parts.get("html") and token not in parts["html"]):
        logger.error("The templates of %s for %s leave the token out.", delivery.event, delivery.channel)
        raise DeliveryError("message_not_rendered", retryable=False)
    return Message(
        recipient=delivery.address,
        token=token,
        locale=locale,
        event=delivery.event,
        challenge_id=delivery.challenge_id,
        idempotency_key=delivery.idempotency_key,
        expires_at=delivery.challenge.live_until if delivery.challenge is not None else None,
        token_ttl=delivery.challenge.token_ttl if delivery.challenge is not None else None,
        **_bound_to_origin(parts, delivery.campaign, delivery.channel, token),
    )


def preview(campaign: Campaign, event: str, channel: str, locale: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of a message as they would be sent, with examples for values; ``own`` are a campaign's own.

    Without any it is the host's file, or ours. ``body`` is the HTML that staff wrote, without the frame of all e-mails.
    Raises: texts.Fault; DeliveryError where a file cannot be rendered.
    """
    with translation.override(locale):
        context = contents.sample(campaign, event, channel, locale)
        of_files = Delivery(campaign=campaign, event=event, channel=channel)
        if not own.get("text"):
            return _bound_to_origin(_default(of_files, context), campaign, channel, context["token"])
        words = _words(of_files, own, context)
        parts = {**_framed(of_files, words, context), "body": words.get("html", "")}
    return _bound_to_origin(parts, campaign, channel, context["token"])


def source(campaign: Campaign, event: str, channel: str, locale: str) -> str:
    """Return the text that the host's file or ours makes, with the names of variables in their places: to begin with.

    Raises: DeliveryError.
    """
    with translation.override(locale):
        known = contents.sample(campaign, event, channel, locale)
        named = {name: "{{ " + name + " }}" if name in texts.known(event) else value for name, value in known.items()}
        context: dict[str, Any] = {
            **named,
            "items": [],
            "items_left": 0,
            "action": "add",
            "requester": "",
            "not_me": "",
            "locale": locale,
        }
        return _default(Delivery(campaign=campaign, event=event, channel=channel), context)["text"]


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
    elif challenge.batch is not None:
        digest = challenge.batch.digest(Redemption.objects.filter(batch=challenge.batch))
    elif challenge.subject is not None:
        digest = challenge.subject.digest(challenge.action)
    elif challenge.stands_alone:
        digest = challenge.digest()
    if digest is not None and not tokens.is_sealed([bytes(challenge.transaction_digest)], digest):
        logger.error("The row of challenge %s is not what its token was issued for.", challenge.pk)
        raise DeliveryError(TRANSACTION_CHANGED, retryable=False)


def _own(delivery: Delivery, locale: str, context: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the parts of the campaign's own text, or None where it has none, or one that cannot be sent.

    It was looked through when it was saved, but by the release of then. A message must go: the default takes its place.
    """
    known = getattr(delivery.campaign, "known_templates", None)
    row = own_text(delivery.campaign, delivery.event, delivery.channel, locale, known)
    if row is None:
        return None
    try:
        return _framed(delivery, _words(delivery, row.parts, context), context)
    except (texts.Fault, DeliveryError):
        _report(row)
    except Exception as error:  # noqa: BLE001 - a filter may stumble over a value, and its error quote it
        logger.error("The text %s failed with %s.", row.pk, type(error).__name__)
        _report(row)
    return None


def _report(row: MessageTemplate) -> None:
    logger.error("The text %s of campaign %s cannot be sent: the default was.", row.pk, row.campaign_id)
    alerts.sound(Alert.MESSAGE_TEXT_FAILED, campaign=row.campaign_id, message=row.event, channel=row.channel)


def _words(delivery: Delivery, own: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of a message that staff wrote, with their values. Raises: texts.Fault."""
    made = {}
    for part in _parts(delivery.channel):
        if part in own:
            text = texts.read(own[part], event=delivery.event, channel=delivery.channel, part=part)
            if part != "subject" and context.get(texts.REQUESTER) and texts.REQUESTER not in text.shown_to_approver:
                # Whoever approves for another one must read for whom: a text that does not say it is not for them.
                raise texts.Fault(texts.NAMES_NOBODY)
            made[part] = _laid_out(text.render(context, as_html=part == "html"), part, delivery.channel)
            if delivery.channel != Channel.EMAIL:
                texts.ensure_no_link(made[part], context)
    fault = texts.html_fault(made.get("html", ""))
    if fault:
        raise texts.Fault(texts.NOT_AN_ELEMENT, what=fault, allowed=", ".join(sorted(texts.ELEMENTS)))
    return made


def _framed(delivery: Delivery, words: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, str]:
    """Return all parts of a message: of an e-mail with a subject, and HTML in the frame of all e-mails.

    Where staff wrote no HTML it is the lines of the text. Raises: DeliveryError.
    """
    if delivery.channel != Channel.EMAIL:
        return dict(words)
    # Safe: its values were escaped, and no element of it hides, leads elsewhere or runs.
    body = {"html": mark_safe(words.get("html", "")), "text": words["text"]}  # noqa: S308
    return {
        "subject": words.get("subject") or _render(delivery, "subject", context),
        "text": words["text"],
        "html": _rendered(["twofa/messages/own.html"], {**context, **body}, "html", delivery.channel),
    }


def _bound_to_origin(parts: Mapping[str, str], campaign: Campaign, channel: str, token: str) -> dict[str, str]:
    """Return the parts, an SMS with the last line by which a phone offers the token on the campaign's domain alone.

    A page of another domain, which a person was lured to, is not filled in (WICG, origin-bound one-time codes).
    """
    if channel != Channel.SMS or not token or not campaign.autofill_domain:
        return dict(parts)
    return {**parts, "text": f"{parts['text']}\n@{campaign.autofill_domain} #{token}"}


def _parts(channel: str) -> Mapping[str, str]:
    """Map the fields of a message to their template's file names."""
    if channel == Channel.EMAIL:
        return {"text": "email.txt", "subject": "subject.txt", "html": "email.html"}
    return {"text": f"{channel}.txt"}


def _default(delivery: Delivery, context: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of a message by the host's files, or ours. Raises: DeliveryError."""
    return {part: _render(delivery, part, context) for part in _parts(delivery.channel)}


def _render(delivery: Delivery, part: str, context: Mapping[str, Any]) -> str:
    names = template_names(delivery.event, _parts(delivery.channel)[part], campaign=delivery.campaign.slug)
    return _rendered(names, context, part, delivery.channel)


def _rendered(names: list[str], context: Mapping[str, Any], part: str, channel: str) -> str:
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
    return _laid_out(text, part, channel)


def _laid_out(text: str, part: str, channel: str) -> str:
    one_line = part == "subject" or channel == Channel.SMS
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
