"""The client: a few threads in a process of their own, each driving one flow after another.

It learns tokens as a worker would, from the row and the key, with a connection of its own: neither the web server's
processors nor any measured time pay for that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from threading import Barrier
from typing import Any
from uuid import UUID

from django.db import connection

from tests.bench import floor, otp
from tests.bench.seed import Seeded, external_id
from twofa.models import Challenge

WRONG_FIRST_EVERY = 5
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True)
class Round:
    """What the client is to do; ``first`` numbers the flows, so that no order id comes twice."""

    side: str
    port: int
    seeded: Seeded
    first: int
    flows: int
    threads: int


@dataclass
class Times:
    """Seconds: of the whole round, of each flow's requests together, and of each request by its kind."""

    wall: float = 0.0
    flows: list[float] = field(default_factory=list)
    requests: dict[str, list[float]] = field(default_factory=dict)

    def merge(self, other: Times) -> None:
        self.flows += other.flows
        for kind, seconds in other.requests.items():
            self.requests.setdefault(kind, []).extend(seconds)


@dataclass(frozen=True)
class Side:
    """How one of the contestants is talked to."""

    checkout_path: str
    confirm_path: str
    headers: dict[str, str]
    token_of: Callable[[Any], str]


def side(name: str, seeded: Seeded) -> Side:
    """Return ``floor``, ``django-otp`` or ``ours``."""
    if name == "floor":
        return Side("/floor/redemptions/", "/floor/redemptions/{}/confirm/", _JSON, floor.token_of)
    if name == "django-otp":
        return Side("/otp/redemptions/", "/otp/redemptions/{}/confirm/", _JSON, otp.token_of)
    path = f"/api/v1/campaigns/{seeded.campaign}/redemptions/"
    headers = {**_JSON, "Authorization": f"Bearer {seeded.key}"}
    return Side(path, "/api/v1/redemptions/{}/confirm/", headers, _token_of)


def order(seeded: Seeded, number: int) -> bytes:
    """Return the body of one checkout."""
    body = {
        "participant": external_id(number % seeded.participants),
        "order_id": f"bench-{number}",
        "amount": "150.00",
        "description": "Noise-cancelling headphones",
    }
    return json.dumps(body).encode()


def run(work: Round) -> Times:
    """Drive the flows of one round."""
    start = Barrier(work.threads + 1)
    with ThreadPoolExecutor(work.threads) as pool:
        runs = [pool.submit(_drive, work, offset, start) for offset in range(work.threads)]
        start.wait()
        began = time.perf_counter()
        parts = [each.result() for each in runs]
        total = Times(wall=time.perf_counter() - began)
    for part in parts:
        total.merge(part)
    return total


def _drive(work: Round, offset: int, start: Barrier) -> Times:
    contestant = side(work.side, work.seeded)
    http = HTTPConnection("127.0.0.1", work.port, timeout=30)
    times = Times()
    connection.ensure_connection()
    start.wait()
    try:
        for number in range(work.first + offset, work.first + work.flows, work.threads):
            _flow(contestant, partial(_post, http, contestant.headers, times), work.seeded, number, times)
    finally:
        http.close()
        connection.close()
    return times


def _flow(contestant: Side, post: Callable[..., Any], seeded: Seeded, number: int, times: Times) -> None:
    opened, spent = post("checkout", contestant.checkout_path, order(seeded, number), expected=201)
    token = contestant.token_of(opened["id"])
    path = contestant.confirm_path.format(opened["id"])
    if number % WRONG_FIRST_EVERY == 0:
        spent += post("wrong confirm", path, confirmation(wrong(token)), expected=422)[1]
    done, seconds = post("right confirm", path, confirmation(token), expected=200)
    if done["status"] != "completed":
        raise RuntimeError(f"not completed: {done}")
    times.flows.append(spent + seconds)


def confirmation(token: str) -> bytes:
    """Return the body of a confirm."""
    return json.dumps({"token": token}).encode()


def wrong(token: str) -> str:
    """Return a well-formed token that is not this one."""
    return ("1" if token[0] == "0" else "0") + token[1:]


def _post(
    http: HTTPConnection, headers: dict[str, str], times: Times, kind: str, path: str, body: bytes, *, expected: int
) -> tuple[Any, float]:
    # The connection is kept where the server keeps it (gunicorn's sync workers do not), else opened anew by itself.
    began = time.perf_counter()
    http.request("POST", path, body, headers)
    response = http.getresponse()
    text = response.read()
    seconds = time.perf_counter() - began
    if response.status != expected:
        raise RuntimeError(f"{kind}: {response.status} instead of {expected}: {text.decode(errors='replace')}")
    times.requests.setdefault(kind, []).append(seconds)
    return json.loads(text), seconds


def _token_of(pk: str) -> str:
    return Challenge.objects.get(redemption=UUID(pk)).derive_token()
