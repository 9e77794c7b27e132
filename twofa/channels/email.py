"""E-mail, by Django's mail framework: any ``EMAIL_BACKEND``, any ``MAILERS`` (Django 6.1), any anymail backend."""

from __future__ import annotations

import smtplib
from email.utils import parseaddr
from hashlib import sha256
from typing import Any

from django.core import mail
from django.core.mail import EmailMultiAlternatives

from twofa import correlation
from twofa.channels.base import Channel, Message, Receipt
from twofa.exceptions import DeliveryError

logger = correlation.get_logger(__name__)
_MAX_ID = 200
_TEMPORARY_STATUSES = {408, 409, 421, 425, 429}
_NOBODY = {"invalid", "rejected", "failed"}
"""What anymail says of a recipient whom the provider will not serve."""


class EmailChannel(Channel):
    """Send a plain text with its HTML alternative.

    ``from_email``: the sender (default: ``DEFAULT_FROM_EMAIL``). ``timeout``: seconds that one step of the SMTP
    dialogue may take; a shorter one of the backend stays. ``using``: the alias in ``MAILERS``, from Django 6.1 on.
    """

    def __init__(self, *, from_email: str | None = None, timeout: float = 10.0, using: str = "default") -> None:
        self._from_email = from_email
        self._timeout = timeout
        self._using = using

    def send(self, message: Message) -> Receipt:
        letter: EmailMultiAlternatives | None = None
        failure: DeliveryError | None = None
        accepted: int | None = None
        try:
            letter = self._letter(message)
            accepted = self._connection().send_messages([letter])
        except Exception as error:  # noqa: BLE001 - EMAIL_BACKEND is anybody's code, and may raise anything
            failure = _failure(error, letter)
        # Raised out here, where no exception is being handled: smtplib's carry the address and the server's words,
        # and would travel in __context__ to whatever reports errors.
        if failure is not None:
            raise failure
        if letter is None or accepted == 0:
            raise DeliveryError("not_accepted", retryable=True)
        return Receipt(provider_message_id=_provider_id(letter))

    def _letter(self, message: Message) -> EmailMultiAlternatives:
        letter = EmailMultiAlternatives(
            subject=" ".join(message.subject.split()),
            body=message.text,
            from_email=self._from_email,
            to=[message.recipient],
        )
        letter.extra_headers = {
            # Made of the key: a message repeated after a lost answer is the same message to every server and reader
            # that drops duplicates.
            "Message-ID": f"<{sha256(message.idempotency_key.encode()).hexdigest()[:32]}@{_domain(letter.from_email)}>",
            # Asks mail programs not to answer, with out-of-office notes for instance (RFC 3834).
            "Auto-Submitted": "auto-generated",
        }
        if message.html:
            letter.attach_alternative(message.html, "text/html")
        return letter

    def _connection(self) -> Any:
        mailers: Any = getattr(mail, "mailers", None)
        connection: Any = mail.get_connection() if mailers is None else mailers[self._using]
        # On the instance and not in the constructor, whose arguments differ by backend and by Django's version.
        if hasattr(connection, "timeout"):
            connection.timeout = min(connection.timeout or self._timeout, self._timeout)
        return connection


def _domain(from_email: str) -> str:
    domain = parseaddr(from_email)[1].rpartition("@")[2]
    return domain if domain and domain.isascii() else "localhost"


def _provider_id(letter: EmailMultiAlternatives) -> str:
    given = getattr(getattr(letter, "anymail_status", None), "message_id", None)
    own: str = letter.extra_headers["Message-ID"].strip("<>")
    return (given if isinstance(given, str) and given else own)[:_MAX_ID]


def _failure(error: Exception, letter: EmailMultiAlternatives | None) -> DeliveryError:
    """Return the error, permanent or retryable. An unknown one is retryable: a repetition sends the same text."""
    if letter is None or (isinstance(error, ValueError) and not isinstance(error, OSError)):
        # Django refuses line breaks in headers, and addresses that no mail can have. (A bad certificate is both.)
        return DeliveryError("message_invalid", retryable=False)
    if isinstance(error, smtplib.SMTPException):
        return _smtp_failure(error)
    if _refused_by_provider(error, letter):
        return DeliveryError("recipient_refused", retryable=False)
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _api_failure(status)
    if isinstance(error, OSError):
        return DeliveryError("connection", retryable=True)
    # Its class only: its text may hold the address, or the message.
    logger.error("The mail backend failed with %s.", type(error).__name__)
    return DeliveryError("provider_error", retryable=True)


def _smtp_failure(error: smtplib.SMTPException) -> DeliveryError:
    match error:
        case smtplib.SMTPRecipientsRefused():
            permanent = all(code >= 500 for code, _reply in error.recipients.values())
            return DeliveryError("recipient_refused" if permanent else "recipient_deferred", retryable=not permanent)
        case smtplib.SMTPAuthenticationError() | smtplib.SMTPSenderRefused() if error.smtp_code >= 500:
            return DeliveryError("provider_denied", retryable=False)
        case smtplib.SMTPConnectError() | smtplib.SMTPHeloError():
            return DeliveryError("provider_unavailable", retryable=True)
        case smtplib.SMTPResponseException() if error.smtp_code >= 500:
            return DeliveryError("message_refused", retryable=False)
        case smtplib.SMTPNotSupportedError():
            return DeliveryError("provider_misconfigured", retryable=False)
        case smtplib.SMTPServerDisconnected():
            return DeliveryError("connection", retryable=True)
        case _:
            return DeliveryError("provider_unavailable", retryable=True)


def _refused_by_provider(error: Exception, letter: EmailMultiAlternatives) -> bool:
    # anymail says it in the status that it leaves on the message, and raises an error without a code of its own.
    statuses = set(getattr(getattr(letter, "anymail_status", None), "status", None) or ())
    return bool(statuses) and statuses <= _NOBODY and getattr(error, "status_code", None) is None


def _api_failure(status: int) -> DeliveryError:
    """Judge the HTTP status of a mail provider's API, as anymail reports it."""
    if status in (401, 402, 403):
        return DeliveryError("provider_denied", retryable=False)
    if 400 <= status < 500 and status not in _TEMPORARY_STATUSES:
        return DeliveryError("message_refused", retryable=False)
    return DeliveryError("provider_unavailable", retryable=True)
