"""A storefront's backend, as the tests have it; what must hold for every answer is checked on every answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import Client

from tests.fulfillment import RecordingBackend
from twofa.models import (
    AccessToken,
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    Event,
    IdempotencyRecord,
    IdentityDocument,
    Participant,
    Redemption,
    RedemptionBatch,
)

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"
_numbers = itertools.count(1)


class Api:
    """JSON in, JSON out, with a key."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)

    def send(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> Any:
        """Send ``body`` as JSON, or as it is where it is bytes. Headers by names in Python: ``accept_language``."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            named.setdefault("Authorization", f"Bearer {self.key}")
        full = path if path.startswith(PREFIX) else PREFIX + path
        response = self._client.generic(method, full, data, content_type=content_type, headers=named)
        check(response)
        return response


def check(response: Any) -> None:
    """What holds for every answer."""
    assert response["X-Correlation-Id"]
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Language"]
    assert "Accept-Language" in response["Vary"]
    if response.status_code < 400:
        return
    problem = response.json()
    assert response["Content-Type"] == PROBLEM
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:twofa:problem:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["correlation_id"]


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that the answer is that problem, and return it."""
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem.get("code")) == (status, code), problem
    return problem


def order(shop: Any, **changes: Any) -> dict[str, Any]:
    """The body of a checkout."""
    body = {
        "participant": shop.participant.external_id,
        "order_id": f"A-{next(_numbers)}",
        "amount": "150.00",
        "description": "Headphones",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not ...}


def checkouts(shop: Any) -> str:
    return f"/campaigns/{shop.campaign.slug}/redemptions/"


def batch_order(shop: Any, *amounts: str, **changes: Any) -> dict[str, Any]:
    """The body that opens a batch with a line for each of ``amounts``; three where none are given."""
    lines = [
        {"order_id": f"L-{next(_numbers)}", "amount": amount, "description": "Mug"}
        for amount in amounts or ("100.00", "150.00", "200.00")
    ]
    return {
        "request_id": f"R-{next(_numbers)}",
        "participant": shop.participant.external_id,
        "redemptions": lines,
        **changes,
    }


def batches(shop: Any) -> str:
    return f"/campaigns/{shop.campaign.slug}/redemption-batches/"


def member(shop: Any, external_id: str | None = None) -> str:
    return f"/campaigns/{shop.campaign.slug}/participants/{external_id or shop.participant.external_id}/"


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Nothing is stored, changed, sent or asked of the host's points inside the block."""
    before = _state()
    yield
    assert _state() == before


def _state() -> Any:
    tables = (
        AccessToken, Challenge, Delivery, Device, DocumentFile, Event, IdempotencyRecord, IdentityDocument, Participant,
        Redemption, RedemptionBatch,
    )  # fmt: skip
    rows = {model.__name__: sorted(_shown(row) for row in model._base_manager.values_list()) for model in tables}
    return rows, list(RecordingBackend.calls)


def _shown(row: tuple[Any, ...]) -> str:
    """A row as text; a driver's view of bytes would show where they lie, and not what they are."""
    return repr([bytes(value) if isinstance(value, memoryview) else value for value in row])
