"""The messages that the development channels wrote: what a participant would have on the phone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from twofa.models import Channel

ALIASES = (Channel.SMS.value, Channel.WHATSAPP.value, Channel.EMAIL.value)


@dataclass(frozen=True)
class PhoneMessage:
    """One message; ``key`` sorts by the time of writing."""

    key: str
    channel: str
    recipient: str
    subject: str
    text: str
    token: str
    at: datetime

    @property
    def channel_label(self) -> str:
        """Return the channel's name for people."""
        return str(Channel(self.channel).label)


def read_messages(directory: Path) -> list[PhoneMessage]:
    """Return the messages below ``directory``, one folder for each channel, newest first."""
    files = [(alias, path) for alias in ALIASES for path in (directory / alias).glob("*.json")]
    return sorted((_read(alias, path) for alias, path in files), key=lambda message: message.key, reverse=True)


def _read(alias: str, path: Path) -> PhoneMessage:
    content = json.loads(path.read_text())
    return PhoneMessage(
        key=path.stem,
        channel=alias,
        recipient=content["recipient"],
        subject=content["subject"],
        text=content["text"],
        token=content["token"],
        at=datetime.fromisoformat(content["created_at"]),
    )
