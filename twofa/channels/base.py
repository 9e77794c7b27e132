"""What every channel is, takes and gives. A channel knows no database, no campaign, no challenge: one message."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from twofa.exceptions import NotFound

ACCOUNT_REASONS = frozenset({"provider_denied", "provider_misconfigured", "region_not_allowed"})
"""Reasons of a permanent failure that are the fault of the account or of the settings: another
provider may take the same message."""

DELIVERED = "delivered"
FAILED = "failed"


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
    token_ttl: timedelta | None = None
    """How long its token lives from the hand-off to the provider. None for a notice."""


@dataclass(frozen=True)
class Receipt:
    """The provider took the message. ``provider_message_id`` is its name for it, at most 200 characters."""

    provider_message_id: str | None = None
    provider: str = ""
    """Which of several providers took it, at most 64 characters; empty where a channel has but one."""
    cost: Decimal | None = None
    """What it charged, in ``TWOFA_COST_CURRENCY``, where it tells; else the ``COST`` of the settings is taken."""


@dataclass(frozen=True, kw_only=True)
class Callback:
    """What was posted to the path of a channel's receipts, by whoever knows that path: nothing in it is trusted yet.

    Neither the host nor the scheme of the request is here. Proxies rewrite them and callers choose them: a signature
    over the address is checked with the address that was configured.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    """The query as it was sent, still encoded."""
    provider: str = ""
    """Which of the channel's providers the path named."""

    def header(self, name: str) -> str:
        """Return a header, whatever the case of its name; an absent one is empty."""
        wanted = name.lower()
        return next((value for given, value in self.headers.items() if given.lower() == wanted), "")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a provider says became of a message, its signature being checked.

    It names the message by ``provider_message_id``, ``reference`` or both: without either it is nobody's.
    """

    status: str
    """``delivered``, ``failed``, or anything else for a message that is still on its way."""
    provider_message_id: str = ""
    reference: str = ""
    """The message's ``idempotency_key``, where the provider gives it back: it is known before any id is."""
    reason: str = ""
    """Of a failure: a short stable word of ours."""


class Channel(ABC):
    """How a message is handed to a provider. Built from ``OPTIONS`` as keyword arguments, once per process."""

    development: ClassVar[bool] = False
    """Whether it shows tokens to whoever runs the server: a system check refuses it where DEBUG is off."""
    time_limit: float = 0.0
    """Seconds that ``send`` takes at most, as far as it knows; 0 where it does not."""
    provider_url: str = ""
    """The address that its messages are posted to, where it has one."""
    callback_url: str = ""
    """The public address of its receipts, where the channel has to know it."""
    providers: Collection[str] = ("",)
    """The names of its providers, for a channel that has several: each has a path of its own for receipts."""

    @abstractmethod
    def send(self, message: Message) -> Receipt:
        """Hand the message to the provider. Called by several threads at once, and repeated after a lost answer.

        Raises: DeliveryError, and nothing else; within a bounded time.
        """

    def read_receipt(self, callback: Callback) -> Report:
        """Check the signature of a delivery receipt, and read it. Optional: without it, receipts are answered by 404.

        Raises: ReceiptRefused where the provider did not sign it, ReceiptUnreadable where it did but said nothing that
        is understood, NotFound where none are taken.
        """
        raise NotFound

    def __repr__(self) -> str:
        # Not the options: they hold the provider's credentials.
        return f"<{type(self).__name__}>"
