"""How a message is handed to a provider. Write your own channel: ``docs/howto/add-a-channel.md``."""

from __future__ import annotations

from twofa.channels.base import Callback, Channel, Message, Receipt, Report
from twofa.channels.registry import SANDBOX, get_channel, is_configured
from twofa.exceptions import DeliveryError, ReceiptRefused, ReceiptUnreadable

__all__ = [
    "SANDBOX",
    "Callback",
    "Channel",
    "DeliveryError",
    "Message",
    "Receipt",
    "ReceiptRefused",
    "ReceiptUnreadable",
    "Report",
    "get_channel",
    "is_configured",
]
