"""Whatever somebody does to the stored trail is named; the tampering is done past every model."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from tests.flows.test_seals import LONG_AGO, written
from tests.stories import confirm, tamper, travel, unchanged
from twofa.flows import audits, seals
from twofa.flows.audits import Audit, Flaw
from twofa.models import Event, EventSeal
from twofa.models.clock import now
from twofa.models.seal import build

pytestmark = pytest.mark.django_db


def found(**options) -> list[tuple[Any, ...]]:
    """Flaw, seal and event of each finding."""
    return [(finding.flaw, finding.seal, finding.event) for finding in Audit(**options).findings()]


def sealed(number: int, batch: int, monkeypatch) -> list[int]:
    monkeypatch.setattr(seals, "BATCH", batch)
    ids = written(number)
    seals.seal(now())
    return ids


def execute(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.fixture
def ids(monkeypatch) -> list[int]:
    """Nine events under three seals."""
    return sealed(9, 3, monkeypatch)


def test_trail_of_real_events_is_sound(shop):
    redemption = shop.open()
    confirm(shop, redemption, shop_token(redemption))
    travel(LONG_AGO)
    seals.seal(now())
    audit = Audit()
    with unchanged():
        assert list(audit.findings()) == []
    assert audit.events == Event.objects.count()
    assert audit.unsealed == 0


def shop_token(redemption) -> str:
    return redemption.challenge.derive_token()


def test_empty_trail_is_sound():
    assert found() == []


@pytest.mark.parametrize(
    "columns",
    [
        {"type": "campaign.opened"},
        {"actor": "somebody else"},
        {"actor_kind": "worker"},
        {"correlation_id": "x"},
        {"campaign_id": 999},
        {"storefront_id": 1},
        {"delivery_id": 1},
        {"data": json.dumps({"count": 4, "more": None})},
        {"created_at": "2020-01-01 00:00:00+00:00"},
    ],
    ids=str,
)
def test_changed_event_is_named(ids, columns):
    tamper(Event.objects.get(pk=ids[4]), **columns)
    assert found() == [(Flaw.EVENT_CHANGED, 2, ids[4])]


def test_same_data_in_another_order_is_the_same(monkeypatch):
    """As a database of another vendor, or a dump and a restore, may write it."""
    (pk,) = written(1)
    tamper(Event.objects.get(pk=pk), data='{"b": [1, {"d": 1, "c": "é"}], "a": 0.5}')
    seals.seal(now())
    tamper(Event.objects.get(pk=pk), data='{"a": 0.5, "b": [1, {"c": "\\u00e9", "d": 1}]}')
    assert found() == []


@pytest.mark.parametrize("place", [0, 2, 4, 8])
def test_removed_event_is_named(ids, place):
    execute("DELETE FROM twofa_event WHERE id = %s", ids[place])
    assert found() == [(Flaw.EVENT_REMOVED, place // 3 + 1, ids[place])]


def test_event_put_in_by_hand_is_named(monkeypatch):
    ids = written(4)
    row = Event.objects.filter(pk=ids[1]).values().get()
    execute("DELETE FROM twofa_event WHERE id = %s", ids[1])
    seals.seal(now())
    monkeypatch.setattr(seals, "LATE_WATCH", timedelta(0))
    Event(**row).save_base(raw=True, force_insert=True)
    seals.seal(now())
    assert found() == [(Flaw.EVENT_INSERTED, None, ids[1])]


def test_event_before_the_first_one_is_named(ids):
    row = Event.objects.filter(pk=ids[0]).values().get()
    Event(**{**row, "id": -5}).save_base(raw=True, force_insert=True)
    assert found() == [(Flaw.EVENT_INSERTED, None, -5)]


def test_late_event_is_sound_once_it_is_sealed_as_late(monkeypatch):
    ids = written(5)
    row = Event.objects.filter(pk=ids[2]).values().get()
    execute("DELETE FROM twofa_event WHERE id = %s", ids[2])
    seals.seal(now())
    Event(**row).save_base(raw=True, force_insert=True)
    assert found() == [(Flaw.EVENT_INSERTED, None, ids[2])]
    seals.seal(now())
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.late, audit.events, audit.sealed_through) == (1, 5, ids[4])
    tamper(Event.objects.get(pk=ids[2]), actor="x")
    assert found() == [(Flaw.EVENT_CHANGED, 2, ids[2])]


def test_reordered_events_are_both_named(ids):
    execute("UPDATE twofa_event SET id = -1 WHERE id = %s", ids[3])
    execute("UPDATE twofa_event SET id = %s WHERE id = %s", ids[3], ids[7])
    execute("UPDATE twofa_event SET id = %s WHERE id = -1", ids[7])
    assert found() == [(Flaw.EVENT_CHANGED, 2, ids[3]), (Flaw.EVENT_CHANGED, 3, ids[7])]


@pytest.mark.parametrize(
    "columns",
    [
        {"marks": b"x" * 48},
        {"runs": "[]"},
        {"runs": '{"a": 1}'},
        {"digest": b"x" * 32},
        {"previous": b""},
        {"count": 1},
        {"first_event": 1},
        {"last_event": 10**9},
        {"late": True},
        {"sealed_at": "2020-01-01 00:00:00+00:00"},
    ],
    ids=str,
)
def test_broken_seal_is_named_and_hides_no_other(ids, columns):
    tamper(Event.objects.get(pk=ids[7]), actor="x")
    tamper(EventSeal.objects.get(number=2), **columns)
    assert found() == [(Flaw.SEAL_BROKEN, 2, None), (Flaw.EVENT_CHANGED, 3, ids[7])]


def test_removed_seal_is_named(ids):
    execute("DELETE FROM twofa_eventseal WHERE number = 2")
    (finding,) = Audit().findings()
    assert (finding.flaw, finding.seal, finding.until) == (Flaw.SEAL_REMOVED, 2, 2)


def test_first_seals_that_are_gone_are_named(ids):
    execute("DELETE FROM twofa_eventseal WHERE number <= 2")
    (finding,) = Audit().findings()
    assert (finding.flaw, finding.seal, finding.until) == (Flaw.SEAL_REMOVED, 1, 2)


def test_seal_made_with_the_key_but_not_on_the_one_before_is_named(ids):
    """As after parts of an older backup were put back."""
    rows = list(Event.objects.filter(pk__in=ids[6:]).order_by("pk").values_list(*audits.SEALED_COLUMNS))
    other = build(rows, number=3, previous=b"another chain", sealed_at=now())
    EventSeal.objects.filter(number=3).delete()
    other.save(force_insert=True)
    assert found() == [(Flaw.SEAL_BROKEN, 3, None)]


def test_seal_of_another_key_is_broken(ids, settings):
    settings.TWOFA_TOKEN_KEYS = {"test": b"y" * 32}
    assert {flaw for flaw, _seal, _event in found()} == {Flaw.SEAL_BROKEN}


def test_key_that_left_the_ring_is_told(ids, settings):
    settings.TWOFA_TOKEN_KEYS = {"other": b"y" * 32}
    assert found() == [(Flaw.SEAL_UNREADABLE, number, None) for number in (1, 2, 3)]


def test_rotated_key_goes_on_with_the_chain(ids, settings, monkeypatch):
    settings.TWOFA_TOKEN_KEYS = {"new": b"y" * 32, **settings.TWOFA_TOKEN_KEYS}
    written(3)
    seals.seal(now())
    assert EventSeal.objects.last().kid == "new"
    assert found() == []


def test_end_that_was_cut_off_is_found_by_an_anchor_alone(ids):
    last = audits.latest()
    anchor = (last.number, bytes(last.digest))
    assert found(anchor=anchor) == []
    execute("DELETE FROM twofa_event WHERE id >= %s", ids[6])
    execute("DELETE FROM twofa_eventseal WHERE number = 3")
    assert found() == []
    assert found(anchor=anchor) == [(Flaw.ANCHOR_LOST, 3, None)]
    assert found(anchor=(1, b"x")) == [(Flaw.ANCHOR_LOST, 1, None)]


def test_trail_that_nobody_seals_is_told():
    ids = written(2, ago=timedelta(minutes=59))
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.unsealed, audit.sealed_through) == (2, None)
    travel(timedelta(minutes=2))
    assert found() == [(Flaw.EVENTS_UNSEALED, None, ids[0])]


@pytest.mark.postgres
def test_rights_of_the_documentation_keep_events_from_being_changed(shop):
    """The recipe of the page, for a role that owns nothing: all goes on, and nobody changes what was written."""
    text = (Path(__file__).parents[2] / "docs/explanation/audit-trail.md").read_text()
    recipe = re.search(r"```sql\n(.*?)```", text, re.DOTALL)[1]
    execute("CREATE ROLE application")
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO application")
    execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO application")
    execute(recipe)
    execute("SET LOCAL ROLE application")
    redemption = shop.open()
    confirm(shop, redemption, shop_token(redemption))
    assert seals.seal(now() + LONG_AGO) == Event.objects.count()
    assert found() == []
    for statement in ("UPDATE twofa_event SET actor = 'x'", "DELETE FROM twofa_event", "DELETE FROM twofa_eventseal"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            execute(statement)


def test_memory_is_that_of_a_page(monkeypatch, sql):
    """The number of statements grows with the seals, and none reads more than a batch of events."""
    sealed(40, 4, monkeypatch)
    monkeypatch.setattr(audits, "PAGE", 3)
    calls: list[int] = []
    audit = Audit(progress=lambda run: calls.append(run.events))
    with sql() as statements:
        assert list(audit.findings()) == []
    assert calls == list(range(4, 41, 4))
    assert len(statements) <= 2 * 10 + 5 + 4


def test_event_from_the_future_keeps_nothing_from_its_seal():
    """Whoever may write to the table could put one in, after which nothing is ever of age."""
    (stopper,) = written(1, ago=-timedelta(days=3650))
    behind = written(2)
    assert seals.seal(now()) == 3
    assert list(EventSeal.objects.get().ids()) == [stopper, *behind]
    assert found() == []


def test_event_from_the_future_does_not_hide_what_is_long_without_a_seal():
    written(1, ago=-timedelta(days=3650))
    behind = written(2, ago=timedelta(hours=2))
    assert found() == [(Flaw.EVENTS_UNSEALED, None, behind[0])]


def test_chain_that_was_cut_and_sealed_anew_says_how_late_it_is(monkeypatch, caplog):
    """The database alone is enough for it: the sweeper has the key, and seals what it finds."""
    ids = sealed(4, 2, monkeypatch)
    execute("DELETE FROM twofa_eventseal")
    tamper(Event.objects.get(pk=ids[0]), actor="somebody else")
    travel(timedelta(hours=1))
    caplog.clear()
    seals.seal(now())
    assert [record.getMessage().count("(belated)") for record in caplog.records] == [1, 1]
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.belated, audit.belated_seal) == (4, 2)


def test_what_is_sealed_in_time_is_not_belated(monkeypatch, caplog):
    sealed(4, 2, monkeypatch)
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.belated, audit.belated_seal) == (0, None)
    assert {record.levelname for record in caplog.records} == {"INFO"}
