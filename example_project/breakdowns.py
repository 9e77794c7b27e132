"""A provider that fails on purpose, so that people see what becomes of a token then."""

from __future__ import annotations

from twofa.channels import DeliveryError, Message, Receipt
from twofa.channels.file import FileChannel

ENDING = "500"
"""Of the numbers for which it fails: what such a provider answers."""
_ORDERS = frozenset({"redemption.token", "batch.token", "schedule.token"})


class FailingChannel(FileChannel):
    """Writes messages to files, and takes no token of an order for numbers that end in ``ENDING``.

    Only those: by the token that proves a number it works, so that anybody can add such a number and then see it fail.
    """

    def send(self, message: Message) -> Receipt:
        if message.event in _ORDERS and message.recipient.endswith(ENDING):
            # Word for word what the HTTP channel makes of an answer of 500.
            raise DeliveryError("provider_unavailable", retryable=True)
        return super().send(message)
