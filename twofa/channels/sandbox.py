"""Test campaigns: messages that go nowhere."""

from __future__ import annotations

from hashlib import sha256

from twofa.channels.base import Channel, Message, Receipt
from twofa.exceptions import DeliveryError


class SandboxChannel(Channel):
    """Accept each message and keep nothing of it.

    A sandbox that stored its messages would be a table of tokens, the very thing that sealed seeds avoid, and test
    campaigns live in the same database as real ones. Staff see a message rendered anew from its delivery, while its
    challenge is open (``twofa.delivery.compose``).
    """

    def send(self, message: Message) -> Receipt:
        if not message.recipient or not message.text or message.token not in message.text:
            raise DeliveryError("message_invalid", retryable=False)
        # Made of the key, so that a repetition is seen to be one, as with a good provider.
        return Receipt(f"sandbox-{sha256(message.idempotency_key.encode()).hexdigest()[:16]}")
