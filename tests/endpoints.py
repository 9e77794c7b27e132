"""Endpoints of webhooks for tests, with rows in their outbox, and a network that does as it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests import factories
from tests.stories import STAFF
from twofa.flows import webhook_endpoints
from twofa.models import Storefront, Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.models.ids import uuid7
from twofa.webhooks import Outcome, Sender

OK, BROKEN, GONE = Outcome(status=200), Outcome("broken", 500), Outcome("gone", 410)


class Wire:
    """Stands for the network: answers as it is told, and remembers what was posted."""

    def __init__(self) -> None:
        self.answers: list[Outcome] = []
        self.posted: list[dict[str, Any]] = []

    def post(self, _sender: Sender, url: str, **given: Any) -> Outcome:
        self.posted.append({"url": url, **given})
        return self.answers.pop(0) if self.answers else OK

    @property
    def ids(self) -> list[str]:
        return [posted["message_id"] for posted in self.posted]


def make_endpoint(
    path: str = "", *, of: Storefront | None = None, host: str = "shop.example", **columns: Any
) -> WebhookEndpoint:
    """An endpoint of a storefront, or of a new one."""
    row, _text = webhook_endpoints.open_endpoint(
        of or factories.storefront(), actor=STAFF, url=f"https://{host}/hooks{path}"
    )
    WebhookEndpoint.objects.filter(pk=row.pk).update(**columns)
    row.refresh_from_db()
    return row


def queue(of: WebhookEndpoint, number: int = 1, **columns: Any) -> list[Webhook]:
    """Webhooks that are due, unless `columns` say otherwise."""
    at = now() - timedelta(seconds=1)
    given = {
        "endpoint": of,
        "type": "redemption.completed",
        "subject": "redemption",
        "subject_id": str(uuid7()),
        "version": 3,
        "data": {"id": "x", "version": 3},
        "due_at": at,
        "correlation_id": "c-1",
        "created_at": at,
        **columns,
    }
    return [Webhook.objects.create(**given) for _number in range(number)]


def again(row: Any) -> Any:
    """The same row, as it is stored now."""
    row.refresh_from_db()
    return row
