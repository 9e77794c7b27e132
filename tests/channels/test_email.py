from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from pytest_django import Settings

from tests.channels.rawserver import playing
from tests.servers.smtp import SmtpServer
from twofa.channels import DeliveryError, Message
from twofa.channels.email import EmailChannel
from twofa.testing import ChannelContract

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class TestEmailChannel(ChannelContract):
    seconds = 5.0
    other_loggers = ("mail",)

    @pytest.fixture(autouse=True)
    def _provider(self, smtp_server: SmtpServer, settings: Settings) -> Iterator[None]:
        settings.EMAIL_BACKEND = SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_server.host, smtp_server.port
        self.server, self.settings = smtp_server, settings
        with playing([]) as silent:
            self.silent = silent
            yield

    def make_channel(self) -> EmailChannel:
        return EmailChannel(timeout=1.0)

    def make_message(self, **changes: Any) -> Message:
        return super().make_message(**{"recipient": "ana@example.com", **changes})

    def make_failing_channel(self, *, retryable: bool) -> EmailChannel:
        self.server.refuse_next("451 later, ana@example.com" if retryable else "554 never, ana@example.com")
        return self.make_channel()

    def make_hanging_channel(self) -> EmailChannel:
        # It accepts, and waits for a first request that an SMTP client does not make before it was greeted.
        self.settings.EMAIL_PORT = self.silent.port
        return self.make_channel()

    def delivered(self) -> list[str]:
        return [_text(letter) for letter in self.server.messages]


def _text(letter: Any) -> str:
    # Python's versions differ in the line ends that they read.
    return "\n".join(letter.get_body(("plain",)).get_content().splitlines())


@pytest.fixture
def message() -> Message:
    return ChannelContract().make_message(recipient="ana@example.com", idempotency_key="0197:2")


@pytest.fixture
def server(smtp_server: SmtpServer, settings: Settings) -> SmtpServer:
    settings.EMAIL_BACKEND = SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_server.host, smtp_server.port
    return smtp_server


def test_letter_has_both_parts_and_says_that_it_is_automatic(server: SmtpServer, message: Message):
    receipt = EmailChannel(from_email="Pontos <pontos@example.net>").send(message)

    letter = server.messages[0]
    assert (letter["From"], letter["To"]) == ("Pontos <pontos@example.net>", "ana@example.com")
    assert letter["Subject"] == message.subject
    assert letter["Auto-Submitted"] == "auto-generated"
    assert _text(letter) == message.text
    html = letter.get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == message.html
    assert letter["Message-ID"] == f"<{receipt.provider_message_id}>"
    assert letter["Message-ID"].endswith("@example.net>")


def test_letter_without_html_is_plain(server: SmtpServer):
    EmailChannel().send(ChannelContract().make_message(recipient="ana@example.com", html=""))

    assert server.messages[0].get_content_type() == "text/plain"


def test_sender_defaults_to_that_of_the_host(server: SmtpServer, message: Message):
    EmailChannel().send(message)

    assert server.messages[0]["From"] == "points@example.org"


def test_repetition_is_recognised_by_its_message_id(server: SmtpServer, message: Message):
    channel = EmailChannel()
    for sent in (message, message, ChannelContract().make_message(recipient="ana@example.com")):
        channel.send(sent)

    first, again, other = (letter["Message-ID"] for letter in server.messages)
    assert first == again != other


def test_subject_is_one_line(server: SmtpServer):
    message = ChannelContract().make_message(recipient="ana@example.com", subject="Redemption\r\nBcc: eve@example.com")
    EmailChannel().send(message)

    assert server.messages[0]["Subject"] == "Redemption Bcc: eve@example.com"
    assert server.envelopes[0].rcpt_tos == ["ana@example.com"]


def test_address_with_a_header_in_it_is_refused(server: SmtpServer):
    message = ChannelContract().make_message(recipient="ana@example.com\r\nBcc: eve@example.com")
    with pytest.raises(DeliveryError) as caught:
        EmailChannel().send(message)

    assert (caught.value.reason, caught.value.retryable) == ("message_invalid", False)
    assert server.messages == []


def test_server_that_is_down_is_a_temporary_failure(settings: Settings, message: Message):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = SMTP, "127.0.0.1"
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = unheard.getsockname()[1]
        with pytest.raises(DeliveryError) as caught:
            EmailChannel(timeout=1).send(message)

    assert (caught.value.reason, caught.value.retryable) == ("connection", True)


def test_shorter_timeout_of_the_backend_stays(settings: Settings, message: Message):
    settings.EMAIL_BACKEND, settings.EMAIL_TIMEOUT = f"{__name__}.RecordingBackend", 3
    EmailChannel(timeout=10).send(message)
    EmailChannel(timeout=2).send(message)
    settings.EMAIL_TIMEOUT = None
    EmailChannel(timeout=4).send(message)

    assert RecordingBackend.timeouts[-3:] == [3, 2, 4]


ADDRESS = "ana@example.com"
REFUSED = smtplib.SMTPRecipientsRefused
RESPONSE = smtplib.SMTPResponseException


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (REFUSED({ADDRESS: (550, b"unknown ana@example.com")}), "recipient_refused", False),
        (REFUSED({ADDRESS: (450, b"greylisted")}), "recipient_deferred", True),
        (smtplib.SMTPSenderRefused(550, b"not you", "a@b.com"), "provider_denied", False),
        (smtplib.SMTPSenderRefused(451, b"later", "a@b.com"), "provider_unavailable", True),
        (smtplib.SMTPAuthenticationError(535, b"bad"), "provider_denied", False),
        (smtplib.SMTPAuthenticationError(454, b"later"), "provider_unavailable", True),
        (smtplib.SMTPConnectError(554, b"go away"), "provider_unavailable", True),
        (smtplib.SMTPHeloError(501, b"what"), "provider_unavailable", True),
        (smtplib.SMTPDataError(554, b"spam"), "message_refused", False),
        (smtplib.SMTPDataError(452, b"full"), "provider_unavailable", True),
        (smtplib.SMTPNotSupportedError("SMTPUTF8"), "provider_misconfigured", False),
        (smtplib.SMTPServerDisconnected("gone"), "connection", True),
        (smtplib.SMTPException("odd"), "provider_unavailable", True),
        (TimeoutError("timed out"), "connection", True),
        (ValueError("ana@example.com is no address"), "message_invalid", False),
        (RuntimeError("ana@example.com"), "provider_error", True),
    ],
)
def test_error_tells_permanent_from_temporary(
    settings: Settings, message: Message, error: Exception, reason: str, retryable: bool
):
    settings.EMAIL_BACKEND = f"{__name__}.RaisingBackend"
    RaisingBackend.error, RaisingBackend.status = error, None
    with pytest.raises(DeliveryError) as caught:
        EmailChannel().send(message)

    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert caught.value.__context__ is None


class ApiError(Exception):
    """Shaped as anymail's: the status of the provider's answer, or None."""

    def __init__(self, status_code: int | None) -> None:
        self.status_code = status_code
        super().__init__("400 Bad Request: ana@example.com")


@pytest.mark.parametrize(
    ("status_code", "status", "reason", "retryable"),
    [
        (401, None, "provider_denied", False),
        (400, None, "message_refused", False),
        (422, None, "message_refused", False),
        (429, None, "provider_unavailable", True),
        (500, None, "provider_unavailable", True),
        (None, {"rejected"}, "recipient_refused", False),
        (None, {"invalid", "queued"}, "provider_error", True),
        (None, None, "provider_error", True),
    ],
)
def test_error_of_a_mail_api_tells_permanent_from_temporary(
    settings: Settings, message: Message, status_code: int, status: set[str] | None, reason: str, retryable: bool
):
    settings.EMAIL_BACKEND = f"{__name__}.RaisingBackend"
    RaisingBackend.error, RaisingBackend.status = ApiError(status_code), status
    with pytest.raises(DeliveryError) as caught:
        EmailChannel().send(message)

    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)


def test_id_of_a_mail_api_is_kept(settings: Settings, message: Message):
    settings.EMAIL_BACKEND = f"{__name__}.RecordingBackend"

    assert EmailChannel().send(message).provider_message_id == "esp-1"


def test_backend_that_accepts_nothing_is_a_temporary_failure(settings: Settings, message: Message):
    settings.EMAIL_BACKEND = f"{__name__}.LazyBackend"
    with pytest.raises(DeliveryError) as caught:
        EmailChannel().send(message)

    assert (caught.value.reason, caught.value.retryable) == ("not_accepted", True)


def test_any_backend_of_django_will_do(settings: Settings, message: Message):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    EmailChannel(from_email="só-nome@exämple.org").send(message)

    assert mail.outbox[-1].body == message.text


class RecordingBackend(BaseEmailBackend):
    timeouts: list[float | None] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        from django.conf import settings  # noqa: PLC0415 - as a backend does

        self.timeout = settings.EMAIL_TIMEOUT

    def send_messages(self, email_messages: Any) -> int:
        self.timeouts.append(self.timeout)
        email_messages[0].anymail_status = SimpleNamespace(message_id="esp-1", status={"queued"})
        return 1


class RaisingBackend(BaseEmailBackend):
    error: Exception
    status: set[str] | None = None

    def send_messages(self, email_messages: Any) -> int:
        if self.status is not None:
            email_messages[0].anymail_status = SimpleNamespace(message_id=None, status=self.status)
        raise self.error


class LazyBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Any) -> int:
        return 0
