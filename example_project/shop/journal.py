"""Webhooks as they came: verified, dropped where they are old, and kept in files for the page that shows them.

A real shop has a table and a queue. Files are enough to look at, as for the messages of the phone.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

ACCEPTED, REPEATED, OUTDATED, REFUSED = "accepted", "repeated", "outdated", "refused"
_KEPT = 200
"""Files: whoever knows the address can post there, and fills no disk."""
_LONGEST = 128
"""Characters of a text that is shown: nothing is known of a webhook that was refused."""
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """One webhook; of one that was refused only the id that it gave itself, and when it came."""

    key: str
    verdict: str
    at: datetime
    message_id: str
    type: str = ""
    subject: str = ""
    version: int = 0
    status: str = ""
    order_id: str = ""
    batch: str = ""


def secret() -> str:
    """Return the secret of the shop's endpoint, or an empty text where it has none."""
    path = Path(settings.SHOP_WEBHOOK_SECRET_FILE)
    return settings.SHOP_WEBHOOK_SECRET or (path.read_text().strip() if path.is_file() else "")


def take(body: bytes, headers: Mapping[str, str]) -> Entry:
    """Verify a webhook, and keep what came of it."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    given = {name: headers.get(name, "") for name in names}
    with _one_at_a_time:
        entry = _judged(body, given)
        _keep(entry)
    return entry


def entries() -> list[Entry]:
    """Return what came, newest first."""
    return [_read(path) for path in sorted(settings.SHOP_WEBHOOK_DIRECTORY.glob("*.json"), reverse=True)]


def _judged(body: bytes, headers: dict[str, str]) -> Entry:
    at = datetime.now(UTC)
    key, message_id = f"{at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}", headers["webhook-id"][:_LONGEST]
    try:
        webhook = _verified(body, headers)
        data = webhook["data"]
        subject, version = f"{data.get('campaign', '')}:{data['id']}", int(data["version"])
    except (WebhookVerificationError, ValueError, KeyError, TypeError, AttributeError):
        return Entry(key, REFUSED, at, message_id)
    return Entry(
        key,
        _verdict(message_id, subject, version),
        at,
        message_id,
        type=str(webhook.get("type", ""))[:_LONGEST],
        subject=subject,
        version=version,
        status=_text(data, "status"),
        order_id=_text(data, "order_id"),
        batch=_text(data, "batch"),
    )


def _verified(body: bytes, headers: dict[str, str]) -> Any:
    """Return what was said, once it is known who says it: over the very bytes that came, before anybody reads them."""
    known = secret()
    if not known:
        raise WebhookVerificationError("there is no secret")
    Webhook(known).verify(body, headers)
    return json.loads(body)


def _verdict(message_id: str, subject: str, version: int) -> str:
    """Tell whether it is news: webhooks come more than once, and in any order."""
    known = [entry for entry in entries() if entry.verdict == ACCEPTED]
    if any(entry.message_id == message_id for entry in known):
        return REPEATED
    latest = max((entry.version for entry in known if entry.subject == subject), default=0)
    return ACCEPTED if version > latest else OUTDATED


def _text(data: Mapping[str, Any], name: str) -> str:
    return str(data.get(name) or "")[:_LONGEST]


def _keep(entry: Entry) -> None:
    directory: Path = settings.SHOP_WEBHOOK_DIRECTORY
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = directory / f".{entry.key}"
    # Written aside and then renamed: the page never reads half of one.
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({**asdict(entry), "at": entry.at.isoformat()}, file)
    aside.rename(directory / f"{entry.key}.json")
    for old in sorted(directory.glob("*.json"), reverse=True)[_KEPT:]:
        old.unlink(missing_ok=True)


def _read(path: Path) -> Entry:
    content = json.loads(path.read_text())
    return Entry(**{**content, "at": datetime.fromisoformat(content["at"])})
