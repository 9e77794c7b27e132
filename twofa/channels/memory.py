"""Tests: messages kept in this process, read through ``twofa.testing.outbox``."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from twofa.channels.base import Channel, Message, Receipt


class Outbox:
    """What the memory channels of this process sent, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[Message] = []

    def append(self, message: Message) -> int:
        """Keep a message, and return how many there are."""
        with self._lock:
            self._messages.append(message)
            return len(self._messages)

    def clear(self) -> None:
        """Forget everything: do it before each test."""
        with self._lock:
            self._messages.clear()

    def to(self, recipient: str) -> list[Message]:
        """Return what was sent to one address."""
        return [message for message in self if message.recipient == recipient]

    def __iter__(self) -> Iterator[Message]:
        with self._lock:
            return iter(list(self._messages))

    def __len__(self) -> int:
        with self._lock:
            return len(self._messages)

    def __getitem__(self, index: int) -> Message:
        with self._lock:
            return self._messages[index]

    def __repr__(self) -> str:
        return f"<Outbox of {len(self)}>"


outbox = Outbox()


class MemoryChannel(Channel):
    """Keep each message in the one outbox of this process."""

    development = True

    def send(self, message: Message) -> Receipt:
        return Receipt(provider_message_id=f"memory-{outbox.append(message)}")
