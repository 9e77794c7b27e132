"""Twilio: SMS and WhatsApp by its HTTP API, without its SDK.

Twilio's Messages API takes no idempotency key: where its answer is lost, nobody knows whether the message left, and
the repetition may make the same text arrive twice. It is the same token, so that neither does harm.
"""

from __future__ import annotations

import base64
import hmac
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from twofa.channels import bodies, twilio_codes
from twofa.channels.base import DELIVERED, FAILED, Callback, Channel, Message, Receipt, Report
from twofa.channels.exchange import Answer, Exchange, ensure_fixed_url, failure_of, id_of
from twofa.channels.signatures import NOT_DELIVERED, matches
from twofa.exceptions import DeliveryError, NotFound, ReceiptRefused, ReceiptUnreadable

_SID = re.compile(r"[A-Za-z0-9]+\Z")
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}\Z")
_SHORTEST_VALIDITY, _LONGEST_VALIDITY = 10, 36_000
"""Seconds of ``ValidityPeriod``: less is not worth a try, and more is refused by Twilio (error 90007)."""
_MOST_FIELDS = 100
_STATUSES = {"delivered": DELIVERED, "read": DELIVERED, "failed": FAILED, "undelivered": FAILED, "canceled": FAILED}
"""What Twilio calls the end of a message; everything else is on its way."""
_DEFAULT_PORTS = {"https": 443, "http": 80}


class TwilioChannel(Channel):
    """Send each message by Twilio.

    ``account_sid``, with ``auth_token`` or with ``api_key_sid`` and ``api_key_secret``: the credentials.
    ``from_``: the sender's number, ``messaging_service_sid``: a Messaging Service; one of them, or both.
    ``whatsapp``: whether numbers are WhatsApp's. ``content_sid``: the approved template, which WhatsApp demands outside
    of the 24 hours after a participant wrote to you: one for all messages, or a mapping from event and locale
    (``redemption.token/pt-br``), event, locale, or ``*``. ``content_variables``: its variables, texts with the
    placeholders of ``twofa.channels.bodies.NAMES``. A message without a template is sent as plain text.
    ``status_callback``: the public address of this channel's receipts, as Twilio will call it; needs ``auth_token``,
    with which Twilio signs them. ``other_auth_tokens``: also accepted there, while one replaces the other.
    ``base_url``: of the API. ``connect_timeout``, ``read_timeout``, ``total_timeout``: seconds. ``ca_certs``: a file of
    certificates to trust instead of the system's.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str = "",
        api_key_sid: str = "",
        api_key_secret: str = "",
        from_: str = "",
        messaging_service_sid: str = "",
        whatsapp: bool = False,
        content_sid: str | Mapping[str, str] = "",
        content_variables: Mapping[str, str] | None = None,
        status_callback: str = "",
        other_auth_tokens: Collection[str] = (),
        base_url: str = "https://api.twilio.com",
        connect_timeout: float = 3.0,
        read_timeout: float = 5.0,
        total_timeout: float = 10.0,
        ca_certs: str | None = None,
    ) -> None:
        if not _SID.match(account_sid):
            raise ValueError("account_sid is the account's id, such as AC0123...")
        if not (from_ or messaging_service_sid):
            raise ValueError("give from_ or messaging_service_sid")
        # Not refused: a fake Twilio, in a host's own tests, goes by any.
        self.has_plausible_account = bool(_ACCOUNT_SID.match(account_sid))
        ensure_fixed_url(base_url)
        self._authorization = _basic(account_sid, auth_token, api_key_sid, api_key_secret)
        self.provider_url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._prefix = "whatsapp:" if whatsapp else ""
        self._sender = _sender(from_, messaging_service_sid, self._prefix)
        self._content_sids = {"*": content_sid} if isinstance(content_sid, str) else dict(content_sid)
        self._variables = bodies.Template({"1": "{text}"} if content_variables is None else dict(content_variables))
        self._signing_tokens = _signing_tokens(auth_token, other_auth_tokens)
        self.callback_url = status_callback
        if status_callback:
            _ensure_callback(status_callback, self._signing_tokens)
        self.time_limit = total_timeout
        self._exchange = Exchange(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            total_timeout=total_timeout,
            ca_certs=ca_certs,
        )

    def send(self, message: Message) -> Receipt:
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        body = urlencode(self._fields(message), errors="replace").encode()
        outcome = self._exchange.ask("POST", self.provider_url, body=body, headers=headers)
        receipt = outcome if isinstance(outcome, DeliveryError) else _read(outcome)
        # Raised out here, where no exception is being handled: those of the libraries would travel in __context__.
        if isinstance(receipt, DeliveryError):
            raise receipt
        return receipt

    def read_receipt(self, callback: Callback) -> Report:
        if not self.callback_url:
            raise NotFound
        fields = self._signed_fields(callback)
        message_id = id_of(fields.get("MessageSid") or fields.get("SmsSid"))
        status = fields.get("MessageStatus") or fields.get("SmsStatus")
        if message_id is None or not isinstance(status, str) or not status:
            raise ReceiptUnreadable
        told = _STATUSES.get(status, status)
        return Report(
            status=told,
            provider_message_id=message_id,
            reference=_reference(callback.query),
            reason=twilio_codes.word(fields.get("ErrorCode"), NOT_DELIVERED) if told == FAILED else "",
        )

    def _fields(self, message: Message) -> dict[str, str]:
        fields = {"To": self._prefix + message.recipient, **self._sender}
        content_sid = self._content_sid(message)
        if content_sid:
            fields["ContentSid"] = content_sid
            fields["ContentVariables"] = self._content_variables(message)
        else:
            fields["Body"] = message.text
        if message.expires_at is not None:
            fields["ValidityPeriod"] = str(_validity(message.expires_at, message.token_ttl))
        if self.callback_url:
            fields["StatusCallback"] = _with_reference(self.callback_url, message.idempotency_key)
        return fields

    def _content_sid(self, message: Message) -> str:
        keys = (f"{message.event}/{message.locale}", message.event, message.locale, "*")
        return next((self._content_sids[key] for key in keys if self._content_sids.get(key)), "")

    def _content_variables(self, message: Message) -> str:
        # WhatsApp refuses variables with line breaks or rows of spaces.
        filled = self._variables.fill(message)
        return json.dumps({name: " ".join(str(value).split()) for name, value in filled.items()})

    def _signed_fields(self, callback: Callback) -> Mapping[str, Any]:
        """Return the fields of a receipt that Twilio signed. Raises: ReceiptRefused, ReceiptUnreadable."""
        digest = parse_qs(callback.query).get("bodySHA256", [])
        fields = [] if digest else _form(callback.body)
        is_signed = self._is_signed(callback, fields)
        if digest:
            is_signed &= matches(sha256(callback.body).hexdigest(), digest[0])
        if not is_signed:
            raise ReceiptRefused
        if not digest:
            return dict(fields)
        content = bodies.parse(callback.body)
        if not isinstance(content, dict):
            raise ReceiptUnreadable
        return content

    def _is_signed(self, callback: Callback, fields: list[tuple[str, str]]) -> bool:
        given = callback.header("X-Twilio-Signature")
        # The configured address and never that of the request, whose Host anybody may write: a signature that Twilio
        # made for another address of the same account is none for this one.
        signed = [url + _joined(fields) for url in _spellings(self.callback_url, callback.query)]
        # All are compared, each in constant time: the answer's time does not tell which one was nearly right.
        return any([matches(signature(text, key), given) for text in signed for key in self._signing_tokens])  # noqa: C419


def signature(signed: str, auth_token: str) -> str:
    """Return Twilio's signature of a text: base64 of its HMAC-SHA1 (https://www.twilio.com/docs/usage/security)."""
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), sha1).digest()).decode()


def _joined(fields: list[tuple[str, str]]) -> str:
    """Return form fields as they are signed: sorted by name, each name before its value; what is doubled once."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _spellings(url: str, query: str) -> Iterator[str]:
    """Return the addresses that Twilio may have signed: with and without its port, which differ by Twilio's product."""
    parts = urlsplit(url)._replace(query=query)
    host = parts.netloc.removesuffix(f":{parts.port}")
    yield urlunsplit(parts)
    yield urlunsplit(parts._replace(netloc=host))
    yield urlunsplit(parts._replace(netloc=f"{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"))


def _form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form. Raises: ReceiptRefused, because what cannot be read cannot be signed."""
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise ReceiptRefused from None


def _validity(expires_at: datetime, token_ttl: timedelta | None) -> int:
    """Return for how many seconds Twilio may try: a token that arrives after its expiry is of no use.

    Its life counts from the hand-off, which is now, and is cut by ``expires_at`` where that comes first.
    """
    left = expires_at - datetime.now(UTC)
    life = left if token_ttl is None else min(left, token_ttl)
    return min(max(math.ceil(life.total_seconds()), _SHORTEST_VALIDITY), _LONGEST_VALIDITY)


def _with_reference(url: str, key: str) -> str:
    """Return the address with the message's key, in letters that nothing on the way encodes otherwise."""
    if not key:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}reference={quote(key.replace(':', '.'), safe='')}"


def _reference(query: str) -> str:
    return parse_qs(query).get("reference", [""])[0].replace(".", ":")


def _read(answer: Answer) -> Receipt | DeliveryError:
    content = bodies.parse(answer.body) if answer.whole else None
    known = content if isinstance(content, dict) else {}
    if not 200 <= answer.status < 300:
        return twilio_codes.error(known.get("code")) or failure_of(answer.status)
    if answer.is_too_long:
        # Twilio's have a thousand bytes: this is the page of a portal between us, which says yes to everything, and
        # would swallow each message that was taken as sent.
        return DeliveryError("answer_unreadable", retryable=True)
    if not answer.whole:
        # Taken: only its id is lost.
        return Receipt()
    sid = id_of(known.get("sid"))
    code = known.get("error_code")
    if code or _STATUSES.get(str(known.get("status"))) == FAILED:
        return twilio_codes.error(code) or DeliveryError("provider_unavailable", retryable=True)
    if sid is None:
        # Not Twilio's answer: a proxy on the way may answer every request with 200.
        return DeliveryError("answer_unreadable", retryable=True)
    return Receipt(provider_message_id=sid)


def _basic(account_sid: str, auth_token: str, api_key_sid: str, api_key_secret: str) -> str:
    if bool(api_key_sid) != bool(api_key_secret):
        raise ValueError("api_key_sid and api_key_secret belong together")
    if not (auth_token or api_key_sid):
        raise ValueError("give auth_token, or api_key_sid and api_key_secret")
    pair = f"{api_key_sid}:{api_key_secret}" if api_key_sid else f"{account_sid}:{auth_token}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _sender(from_: str, messaging_service_sid: str, prefix: str) -> dict[str, str]:
    sender = {}
    if from_:
        sender["From"] = prefix + from_.removeprefix(prefix)
    if messaging_service_sid:
        sender["MessagingServiceSid"] = messaging_service_sid
    return sender


def _signing_tokens(auth_token: str, others: Collection[str]) -> list[str]:
    if isinstance(others, str):
        raise ValueError("other_auth_tokens is a list of texts")
    return [token for token in (auth_token, *others) if token]


def _ensure_callback(url: str, signing_tokens: list[str]) -> None:
    parts = urlsplit(url)
    # Reading the port makes urllib raise ValueError where it is not a number.
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.fragment or parts.username or parts.port == 0:
        raise ValueError("status_callback is a plain http or https address")
    if not signing_tokens:
        raise ValueError("status_callback needs auth_token: Twilio signs its receipts with it, not with API keys")
