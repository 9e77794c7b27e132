"""Channels of the tests: one that does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from twofa.channels import Channel, DeliveryError, Message, Receipt
from twofa.channels.memory import outbox


class ScriptedChannel(Channel):
    """Raises, or gives, what ``script`` holds next; sends like the memory channel where it holds nothing more."""

    script: ClassVar[Iterator[Exception | Receipt | None]] = iter(())
    calls: ClassVar[int] = 0

    def send(self, message: Message) -> Receipt:
        ScriptedChannel.calls += 1
        step = next(ScriptedChannel.script, None)
        if isinstance(step, Exception):
            raise step
        number = outbox.append(message)
        return step or Receipt(f"scripted-{number}")

    @classmethod
    def follow(cls, *steps: Exception | Receipt | None) -> None:
        cls.script, cls.calls = iter(steps), 0


SETTING = {
    alias: {"BACKEND": "tests.flows.channels.ScriptedChannel"} for alias in ("sms", "whatsapp", "email", "sandbox")
}

BUSY = DeliveryError("provider_busy", retryable=True)
REFUSED = DeliveryError("message_refused", retryable=False)
