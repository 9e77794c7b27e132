"""Development: one JSON file a message, for demos and for tests across processes."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twofa.channels.base import Channel, Message, Receipt
from twofa.exceptions import DeliveryError


class FileChannel(Channel):
    """Write each message to a file of its own in ``directory``, readable by its owner alone.

    File names sort by the time of writing. Two sendings of one message make two files.
    """

    development = True

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)

    def send(self, message: Message) -> Receipt:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        written = self._write(name, json.dumps(_content(message, now), ensure_ascii=False, indent=2))
        if not written:
            raise DeliveryError("file_not_written", retryable=True)
        return Receipt(provider_message_id=name)

    def _write(self, name: str, text: str) -> bool:
        # Written aside and then renamed: whoever watches the directory never reads half a message.
        aside = self._directory / f".{name}"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                # A lone surrogate is some caller's broken text, not a reason to lose the message.
                file.write(text.encode("utf-8", "backslashreplace"))
            aside.rename(self._directory / f"{name}.json")
        except OSError:
            return False
        return True


def _content(message: Message, now: datetime) -> dict[str, Any]:
    return {
        "recipient": message.recipient,
        "token": message.token,
        "text": message.text,
        "subject": message.subject,
        "html": message.html,
        "locale": message.locale,
        "event": message.event,
        "challenge_id": str(message.challenge_id) if message.challenge_id else None,
        "idempotency_key": message.idempotency_key,
        "expires_at": message.expires_at.isoformat() if message.expires_at else None,
        "created_at": now.isoformat(),
    }
