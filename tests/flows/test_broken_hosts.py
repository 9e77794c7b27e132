"""Hosts that break what they are called in: the process, the connection, the transaction, the row, the very refusal."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend, RemoteBackend
from tests.stories import confirm, points, travel
from twofa.exceptions import RedemptionRefused
from twofa.flows import completions, sweeps
from twofa.models import Event, Redemption

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1, minutes=20)
BACKENDS = pytest.mark.parametrize("backend", [RecordingBackend, RemoteBackend], ids=["local", "remote"])


class Vanished(BaseException):
    """What a worker's end looks like to its code: no Exception at all."""


def sweep_for(hours: int) -> None:
    for _ in range(hours):
        travel(HOUR)
        with contextlib.suppress(Vanished):
            sweeps.sweep()


@BACKENDS
def test_host_that_kills_its_process_each_time_is_parked(shop, settings, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    settings.TWOFA_COMPLETION_MAX_TRIES = 3
    redemption = shop.open()
    RecordingBackend.failures["complete"] = (Vanished() for _ in itertools.count())
    with pytest.raises(Vanished):
        confirm(shop, redemption, token_of(redemption.challenge))
    sweep_for(8)
    assert points(redemption) == ("approved", "reserved")
    assert Redemption.objects.get().parked_at is not None
    assert RecordingBackend.count("complete") <= 5
    assert Event.objects.filter(type="redemption.parked").count() == 1


@pytest.mark.parametrize("call", ["reserve", "release"])
def test_host_that_kills_its_process_keeps_nobody_else_waiting(settings, call):
    """The sweeper takes the oldest first, and would come to no other one if it died in that each time."""
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    shop = factories.Shop(two_factor_mode="off")
    RecordingBackend.failures["reserve"] = (TimeoutError() for _ in range(2))
    for _ in range(2):
        shop.open()
    if call == "release":
        Redemption.objects.update(status="failed", points="reserved")
    RecordingBackend.failures[call] = iter([Vanished()])
    travel(timedelta(minutes=1))
    with pytest.raises(Vanished):
        sweeps.sweep()
    RecordingBackend.failures[call] = iter([Vanished()] * 9)
    first = RecordingBackend.calls[-1]
    with pytest.raises(Vanished):
        sweeps.sweep()
    assert RecordingBackend.calls[-1] != first


def execute(sql: str) -> None:
    with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute(sql)


def terminate(redemption: Redemption) -> None:
    execute("SELECT pg_terminate_backend(pg_backend_pid())")


def roll_back(redemption: Redemption) -> None:
    execute("ROLLBACK")


def break_at_commit(redemption: Redemption) -> None:
    execute("SET CONSTRAINTS ALL DEFERRED")
    Redemption.objects.filter(pk=redemption.pk).update(storefront_id=10**9)


def take_the_row(redemption: Redemption) -> None:
    Redemption.objects.filter(pk=redemption.pk).update(version=99)


@pytest.mark.postgres
@BACKENDS
@pytest.mark.parametrize("harm", [terminate, roll_back, break_at_commit, take_the_row])
def test_host_that_breaks_its_transaction_is_an_unknown_outcome(shop, settings, monkeypatch, backend, harm):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    settings.TWOFA_COMPLETION_MAX_TRIES = 2
    redemption = shop.open()
    token = token_of(redemption.challenge)
    monkeypatch.setattr(backend, "complete", lambda self, row: harm(row))
    assert confirm(shop, redemption, token).status == "approved"
    sweep_for(3)
    assert points(redemption) == ("approved", "reserved")
    assert Redemption.objects.get().parked_at is not None


def test_completion_stands_whatever_the_host_does_after_the_commit(shop, monkeypatch):
    redemption = shop.open()

    def fail() -> None:
        raise KeyError

    monkeypatch.setattr(RecordingBackend, "complete", lambda self, row: transaction.on_commit(fail))
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"
    assert points(redemption) == ("completed", "completed")


@BACKENDS
def test_refusal_noted_late_gives_back_nothing_that_another_call_may_have_spent(shop, settings, monkeypatch, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    redemption = shop.open()
    RecordingBackend.failures["complete"] = iter([RedemptionRefused("no"), TimeoutError()])
    record: Callable[..., Redemption] = completions._record_failure

    def after_another(*args: object, **options: object) -> Redemption:
        monkeypatch.setattr(completions, "_record_failure", record)
        completions.complete(redemption.pk)
        return record(*args, **options)

    monkeypatch.setattr(completions, "_record_failure", after_another)
    confirm(shop, redemption, token_of(redemption.challenge))
    completions.complete(redemption.pk)
    called_once = RecordingBackend.count("complete") == 1
    assert RecordingBackend.count("release") == called_once
    assert points(redemption) in [("failed", "released"), ("completed", "completed"), ("approved", "reserved")]


@pytest.mark.parametrize(
    ("reason", "code"), [("a\0b", "ab"), ("a\ud800b", "a?b"), (404, "404"), (None, "refused"), ("", "refused")]
)
def test_any_reason_can_be_stored(shop, reason, code):
    redemption = shop.open()
    RecordingBackend.failures["complete"] = iter([RedemptionRefused(reason)])
    done = confirm(shop, redemption, token_of(redemption.challenge))
    assert (done.status, done.points, done.failure_code) == ("failed", "released", code)
