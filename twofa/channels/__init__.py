"""How a message leaves the building. Write your own channel: ``docs/howto/add-a-channel.md``."""

from __future__ import annotations

from twofa.channels.base import Channel, Message, Receipt
from twofa.channels.registry import SANDBOX, get_channel, is_configured
from twofa.exceptions import DeliveryError

__all__ = ["SANDBOX", "Channel", "DeliveryError", "Message", "Receipt", "get_channel", "is_configured"]
