"""Every page of the admin at a hundred thousand redemptions: how many statements, how many milliseconds.

The pages are found as staff find them: each list with each filter that it offers, each heading that it sorts by, a
search for each thing it says it finds, then a row's page, its history, and what else the pages link to. Requests run in
this process, on a warm cache; a time is the best of five, because whatever else the machine does only adds to it, and
holds everything but the network. Beside it stands the processor time of this process and of its database server.
"""

from __future__ import annotations

import json
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.bench import bulk
from tests.bench.figures import machine
from tests.bench.server import cpu_seconds
from tests.statements import record_statements
from twofa.models import Delivery, Device, Event, Participant, Redemption, StorefrontKey

TIMES = 5


@dataclass(frozen=True)
class Cost:
    """What one page costs."""

    name: str
    statements: int
    milliseconds: float
    cpu_milliseconds: float

    def __str__(self) -> str:
        return f"{self.statements:4} {self.milliseconds:8.1f} {self.cpu_milliseconds:8.1f}  {self.name}"


def run(options: Namespace) -> int:
    """Fill a database, visit every page, print what each costs, and return the exit code."""
    call_command("migrate", verbosity=0)
    bulk.fill(options.redemptions)
    costs = list(visit())
    if options.json:
        print(json.dumps({"machine": machine(), "pages": [vars(cost) for cost in costs]}, indent=2))
    else:
        print("\n".join(map(str, costs)))
    slow = [cost for cost in costs if options.assert_ms is not None and cost.milliseconds > options.assert_ms]
    print("\n".join(f"over {options.assert_ms:g} ms: {cost.name}" for cost in slow))
    return 1 if slow else 0


def visit(start: str = "") -> Iterator[Cost]:
    """Tell the cost of every page whose name begins with ``start``."""
    user = get_user_model()._default_manager.create(
        username=f"boss{time.time_ns()}", is_staff=True, is_superuser=True, is_active=True
    )
    client = Client()
    client.force_login(user)
    for name, address in _pages(client):
        if name.startswith(start):
            yield _cost(client, name, address)


def _cost(client: Client, name: str, address: str) -> Cost:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    taken, worked = [], []
    for _time in range(TIMES):
        with record_statements() as executed:
            began, before = time.perf_counter(), cpu_seconds(os.getpid()) + cpu_seconds(backend)
            response = client.get(address)
            taken.append(time.perf_counter() - began)
            worked.append(cpu_seconds(os.getpid()) + cpu_seconds(backend) - before)
        if response.status_code != 200:
            raise RuntimeError(f"{name}: {response.status_code} of {address}")
    return Cost(name, len(executed), 1000 * min(taken), 1000 * min(worked))


def _pages(client: Client) -> Iterator[tuple[str, str]]:
    yield "index", reverse("admin:index")
    seen = set()
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label != "twofa":
            continue
        name = str(model._meta.model_name)
        address = reverse(f"admin:twofa_{name}_changelist")
        yield from _lists(client, name, address, model_admin)
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            for page in ("change", "history"):
                yield f"{name} {page}", reverse(f"admin:twofa_{name}_{page}", args=(row.pk,))
        request = client.get(address).wsgi_request
        tools = [*model_admin.get_list_tools(request), *(model_admin.get_tools(request, row) if row else ())]
        for tool in tools:
            if tool.url not in seen:
                seen.add(tool.url)
                yield f"{name} button: {tool.label}", tool.url


def _lists(client: Client, name: str, address: str, model_admin: Any) -> Iterator[tuple[str, str]]:
    changes = model_admin.get_changelist_instance(client.get(address).wsgi_request)
    yield name, address
    if changes.multi_page:
        yield f"{name} page 2", f"{address}?p=2"
        yield f"{name} last page", f"{address}?p={changes.paginator.num_pages}"
    for spec in changes.filter_specs:
        for choice in spec.choices(changes):
            if not choice["selected"]:
                yield f"{name} {spec.title}: {choice['display']}", f"{address}{choice['query_string']}"
    for number, _column in enumerate(model_admin.list_display, 1):
        yield f"{name} sort {number}", f"{address}?o=-{number}"
    for what, term in _terms(name):
        yield f"{name} search: {what}", f"{address}?{urlencode({'q': term})}"


def _terms(name: str) -> Iterator[tuple[str, str]]:
    """What staff search for, wherever they search."""
    if not admin.site._registry[_model(name)].search_fields:
        return
    middle = Event.objects.filter(type="redemption.completed").order_by("pk")[5000]
    yield "nothing", "no-such-thing"
    yield "a redemption's id", str(middle.redemption_id)
    yield "a challenge's id", str(middle.challenge_id)
    yield "a correlation id", middle.correlation_id
    yield "an order id", Redemption.objects.values_list("order_id", flat=True).get(pk=middle.redemption_id)
    yield "a member", Participant.objects.values_list("external_id", flat=True).get(pk=middle.participant_id)
    yield "a provider's id", Delivery.objects.filter(challenge=middle.challenge_id).latest("pk").provider_message_id
    yield "a device's id", str(Device.objects.latest("pk").uuid)
    yield "a key's prefix", StorefrontKey.objects.latest("pk").prefix


def _model(name: str) -> Any:
    return next(model for model in admin.site._registry if model._meta.label_lower == f"twofa.{name}")
