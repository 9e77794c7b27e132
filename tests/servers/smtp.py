"""A real SMTP server in a thread: what it received, and what it refuses next."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers.process import free_port


class SmtpServer:
    """Listens on a free port of the loopback interface from `start` to `stop`."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        # Chosen beforehand: the controller dials the port that it was given, and nobody answers at 0.
        self.port = free_port()
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self._refusals: list[str] = []
        self._controller = Controller(self, hostname=self.host, port=self.port)

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def refuse_next(self, reply: str = "451 try again later") -> None:
        """Answer the next message with this reply (4xx: temporary, 5xx: permanent). Repeat for more."""
        self._refusals.append(reply)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._refusals:
            return self._refusals.pop(0)
        # The line ends of the wire are not the message's: Python versions differ in whether they leave them in.
        content = cast("bytes", envelope.content).replace(b"\r\n", b"\n")
        self.envelopes.append(envelope)
        self.messages.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"
