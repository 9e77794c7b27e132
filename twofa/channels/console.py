"""Development: messages printed where the server runs."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from twofa.channels.base import Channel, Message, Receipt
from twofa.exceptions import DeliveryError

_RULE = "-" * 72
_lock = threading.Lock()


class ConsoleChannel(Channel):
    """Print each message to ``stream`` (default: the standard output)."""

    development = True

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def send(self, message: Message) -> Receipt:
        head = f"{message.event} -> {message.recipient}"
        lines = [_RULE, head, message.subject, message.text, _RULE]
        failed = False
        with _lock:
            # Looked up now: a stream captured when the channel was built may have been replaced or closed since.
            stream = self._stream or sys.stdout
            try:
                stream.write("\n".join(line for line in lines if line) + "\n")
                stream.flush()
            except (OSError, ValueError):
                failed = True
        if failed:
            raise DeliveryError("stream_closed", retryable=True)
        return Receipt()
