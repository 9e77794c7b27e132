from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from tests import factories
from tests.stories import STAFF, travel, unchanged
from twofa import alerts
from twofa.flows import seals, sweeps
from twofa.flows.audits import Audit
from twofa.flows.history import Trail
from twofa.models import Event, EventSeal
from twofa.models.clock import now
from twofa.models.seal import SEALED_COLUMNS, runs_of

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(minutes=11)


def written(number: int, *, ago: timedelta = LONG_AGO) -> list[int]:
    """Ids of so many new events."""
    before = set(Event.objects.values_list("pk", flat=True))
    trail = Trail(STAFF, now() - ago)
    campaign = factories.campaign()
    for count in range(number):
        trail.add("campaign.changed", campaign, count=count)
    trail.write()
    return sorted(set(Event.objects.values_list("pk", flat=True)) - before)


def test_sweep_seals_what_is_of_age():
    ids = written(3)
    assert sweeps.sweep()["sealed"] == 3
    seal = EventSeal.objects.get()
    assert (seal.number, seal.first_event, seal.last_event, seal.count, seal.late) == (1, ids[0], ids[-1], 3, False)
    assert list(seal.ids()) == ids
    assert bytes(seal.digest) == seal.computed()
    with unchanged():
        assert sweeps.sweep()["sealed"] == 0


def test_young_event_waits_for_transactions_that_are_still_open():
    written(2, ago=timedelta(minutes=4, seconds=50))
    with unchanged():
        seals.seal(now())


def test_batch_that_is_not_full_waits_for_more():
    written(2, ago=timedelta(minutes=9))
    with unchanged():
        seals.seal(now())
    travel(timedelta(minutes=1, seconds=1))
    assert seals.seal(now()) == 2


def test_full_batches_are_sealed_as_soon_as_they_are_of_age(monkeypatch):
    monkeypatch.setattr(seals, "BATCH", 3)
    ids = written(8, ago=timedelta(minutes=6))
    assert seals.seal(now()) == 6
    first, second = EventSeal.objects.all()
    assert [list(first.ids()), list(second.ids())] == [ids[:3], ids[3:6]]
    assert bytes(second.previous) == bytes(first.digest)


def test_one_sweep_makes_a_bounded_number(monkeypatch):
    monkeypatch.setattr(seals, "BATCH", 2)
    monkeypatch.setattr(seals, "BATCHES", 3)
    written(20)
    assert [seals.seal(now()) for _ in range(5)] == [6, 6, 6, 2, 0]


def test_event_that_is_young_is_not_passed_over_for_an_older_one_behind_it():
    """Its id came first: sealing what is behind it would make it late."""
    old, young, behind = written(1), written(1, ago=timedelta(0)), written(1)
    assert seals.seal(now()) == 1
    assert list(EventSeal.objects.get().ids()) == old
    travel(LONG_AGO)
    assert seals.seal(now()) == 2
    assert list(EventSeal.objects.last().ids()) == young + behind


def test_event_that_is_committed_late_is_sealed_as_late(caplog):
    ids = written(5)
    hidden = Event.objects.filter(pk=ids[2]).values().get()
    Event._base_manager.filter(pk=ids[2])._raw_delete("default")
    assert seals.seal(now()) == 4
    assert seals.seal(now()) == 0
    Event(**hidden).save_base(raw=True, force_insert=True)
    with caplog.at_level(logging.WARNING, "twofa"):
        assert seals.seal(now()) == 1
    late = EventSeal.objects.last()
    assert (late.late, list(late.ids())) == (True, [ids[2]])
    assert "late" in caplog.text
    with unchanged():
        assert seals.seal(now()) == 0


def test_gaps_are_looked_at_for_an_hour():
    ids = written(3)
    hidden = Event.objects.filter(pk=ids[1]).values().get()
    Event._base_manager.filter(pk=ids[1])._raw_delete("default")
    seals.seal(now())
    travel(timedelta(minutes=61))
    Event(**hidden).save_base(raw=True, force_insert=True)
    with unchanged():
        seals.seal(now())


def hidden(pk: int) -> Event:
    """Take an event out of the table, as long as its transaction would be open."""
    row = Event.objects.filter(pk=pk).values().get()
    Event._base_manager.filter(pk=pk)._raw_delete("default")
    return Event(**row)


def test_late_events_on_both_sides_of_the_hour_are_sealed_once(caplog):
    """Their one link begins before the last regular link that is older than an hour ends."""
    began = now()
    first = written(4)
    early = hidden(first[1])
    seals.seal(began)
    second = written(4)
    later = hidden(second[1])
    seals.seal(began + timedelta(minutes=30))
    for event in (early, later):
        event.save_base(raw=True, force_insert=True)
    assert seals.seal(began + timedelta(minutes=50)) == 2
    caplog.clear()
    with unchanged(), caplog.at_level(logging.WARNING, "twofa"):
        assert seals.seal(began + timedelta(minutes=65)) == 0
    assert "late" not in caplog.text
    assert [(seal.late, seal.count) for seal in EventSeal.objects.all()] == [(False, 3), (False, 3), (True, 2)]
    audit = Audit()
    assert list(audit.findings()) == []
    assert audit.late == 2


def test_event_that_comes_after_a_late_link_across_the_hour_is_sealed_as_late():
    began = now()
    first = written(4)
    early = hidden(first[1])
    seals.seal(began)
    second = written(4)
    later, last = hidden(second[1]), hidden(second[2])
    seals.seal(began + timedelta(minutes=30))
    for event in (early, later):
        event.save_base(raw=True, force_insert=True)
    seals.seal(began + timedelta(minutes=50))
    last.save_base(raw=True, force_insert=True)
    assert seals.seal(began + timedelta(minutes=65)) == 1
    assert list(EventSeal.objects.last().ids()) == [second[2]]
    with unchanged():
        assert seals.seal(began + timedelta(minutes=66)) == 0


def test_batches_go_on_from_the_last_regular_link_after_a_late_one():
    ids = written(3)
    event = hidden(ids[1])
    seals.seal(now())
    event.save_base(raw=True, force_insert=True)
    assert seals.seal(now()) == 1
    more = written(2)
    assert seals.seal(now()) == 2
    assert list(EventSeal.objects.last().ids()) == more


def test_idle_sweep_reads_no_seals_older_than_the_hour(sql, monkeypatch):
    """A chain only grows, and the sweeper looks every few seconds."""
    monkeypatch.setattr(seals, "BATCH", 1)
    written(15)
    seals.seal(now())
    travel(timedelta(minutes=61))
    monkeypatch.setattr(seals, "BATCH", 500)
    written(1)
    seals.seal(now())
    with sql() as idle:
        assert seals.seal(now()) == 0
    of_seals = [statement for statement in idle.counted if "twofa_eventseal" in statement]
    assert all("WHERE" in statement or "LIMIT 1" in statement for statement in of_seals)
    assert not any(word in statement for statement in of_seals for word in ("SUM(", "MAX(", "COUNT("))


def test_sealing_costs_few_statements_whatever_the_number_of_events(sql):
    written(3)
    with sql() as few:
        seals.seal(now())
    travel(LONG_AGO)
    written(300)
    with sql() as many:
        seals.seal(now())
    with sql() as idle:
        seals.seal(now())
    assert (len(few), len(many), len(idle)) == (6, 9, 7)


def test_other_sealer_of_the_same_moment_wins(monkeypatch, caplog):
    written(2)
    seals.seal(now())
    last = EventSeal.objects.get()
    written(2)
    build = seals.build

    def overtaken(*args, **kwargs):
        mine = build(*args, **kwargs)
        build(*args, **kwargs).save(force_insert=True)
        return mine

    monkeypatch.setattr(seals, "build", overtaken)
    assert seals.seal(now()) == 0
    assert EventSeal.objects.count() == last.number + 1


def test_seal_that_fails_stops_nothing_else(monkeypatch, caplog):
    def broken(*_args, **_kwargs):
        raise ValueError("x")

    monkeypatch.setattr(seals, "build", broken)
    written(1)
    factories.Shop().open()
    counts = sweeps.sweep()
    assert (counts["delivered"], counts["sealed"]) == (1, 0)
    assert "a step of the sweep failed" in caplog.text


def test_every_column_of_an_event_is_sealed():
    assert list(SEALED_COLUMNS) == [field.attname for field in Event._meta.concrete_fields]


@pytest.mark.parametrize(
    ("ids", "runs"),
    [([], []), ([7], [[7, 7]]), ([1, 2, 3, 5, 8, 9], [[1, 3], [5, 5], [8, 9]])],
    ids=str,
)
def test_ids_are_kept_as_runs(ids, runs):
    assert runs_of(ids) == runs


def test_seal_is_told_in_the_log_as_its_anchor(caplog):
    written(1)
    with caplog.at_level(logging.INFO, "twofa"):
        seals.seal(now())
    assert str(EventSeal.objects.get()) in caplog.text


@pytest.fixture(autouse=True)
def quiet():
    alerts.forget()
