"""Ana's phone: messages in the order in which she reads them."""

from __future__ import annotations

import time
from pathlib import Path

from django.utils.translation import gettext as _

from example_project.loyalty.demo.failure import DemoFailed
from example_project.phone import PhoneMessage, read_messages

_PATIENCE = 15.0


class Inbox:
    """Reads each message once; remembers the tokens it saw."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: set[str] = set()
        self.tokens: list[str] = []

    def next(self) -> PhoneMessage:
        """Wait for the next message. Raises: DemoFailed where none comes."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            fresh = self._fresh()
            if fresh:
                return self._take(fresh[-1])
            time.sleep(0.05)
        raise DemoFailed(_("No message arrived within %(seconds)d seconds.") % {"seconds": _PATIENCE})

    def unread(self) -> int:
        """Return how many messages arrived that nobody has read."""
        return len(self._fresh())

    def _fresh(self) -> list[PhoneMessage]:
        return [message for message in read_messages(self._directory) if message.key not in self._read]

    def _take(self, message: PhoneMessage) -> PhoneMessage:
        self._read.add(message.key)
        if message.token:
            self.tokens.append(message.token)
        return message
