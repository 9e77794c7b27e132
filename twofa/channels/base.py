"""What every channel is, takes and gives. A channel knows no database, no campaign, no challenge: one message."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message to one address.

    The token and everything that holds it, and the address, are left out of the ``repr``: that is what ends up in
    logs, tracebacks and error reports (OWASP ASVS 16.2.5).
    """

    recipient: str = field(repr=False)
    """E.164 number (``+5511999990034``) or e-mail address."""
    text: str = field(repr=False)
    """What the participant reads; for an e-mail, its plain part."""
    token: str = field(default="", repr=False)
    """Already in ``text``; here for gateways whose templates take it apart. Empty for a notice."""
    subject: str = field(default="", repr=False)
    """E-mail only."""
    html: str = field(default="", repr=False)
    """E-mail only."""
    locale: str = "en"
    """``pt-br``, ``es`` or ``en``."""
    event: str = ""
    """What it is about, like ``redemption.token``."""
    challenge_id: UUID | None = None
    """None for a notice."""
    idempotency_key: str = ""
    """The same on every repetition of this message, and only then."""
    expires_at: datetime | None = None
    """When its token dies at the latest."""


@dataclass(frozen=True)
class Receipt:
    """The provider took the message. ``provider_message_id`` is its name for it, at most 200 characters."""

    provider_message_id: str | None = None


class Channel(ABC):
    """How a message leaves the building. Built from ``OPTIONS`` as keyword arguments, once per process."""

    development: ClassVar[bool] = False
    """Whether it shows tokens to whoever runs the server: a system check refuses it where DEBUG is off."""

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Hand the message to the provider. Called by several threads at once, and repeated after a lost answer.

        Raises: DeliveryError, and nothing else; within a bounded time.
        """

    def __repr__(self) -> str:
        # Not the options: they hold the provider's credentials.
        return f"<{type(self).__name__}>"
