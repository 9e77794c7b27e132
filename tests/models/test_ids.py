from __future__ import annotations

import time
import uuid

from twofa.models.ids import uuid7


def test_id_has_the_layout_of_rfc_9562():
    identifier = uuid7()
    assert identifier.variant == uuid.RFC_4122
    assert identifier.version == 7
    assert abs((identifier.int >> 80) - time.time() * 1000) < 1000


def test_ids_ascend_with_time():
    earlier = uuid7()
    time.sleep(0.002)
    assert earlier < uuid7()


def test_id_is_built_from_the_clock_and_randomness_alone(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 0x0123456789AB * 1_000_000)
    monkeypatch.setattr("os.urandom", lambda size: b"\xff" * size)
    assert str(uuid7()) == "01234567-89ab-7fff-bfff-ffffffffffff"
    monkeypatch.setattr("os.urandom", bytes)
    assert str(uuid7()) == "01234567-89ab-7000-8000-000000000000"


def test_ids_do_not_repeat():
    assert len({uuid7() for _ in range(5000)}) == 5000
