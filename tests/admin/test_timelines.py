"""A timeline is cut at its old end, and says so where something is missing, and only there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from twofa.admin import timelines
from twofa.models import Delivery, Event

BEGAN = datetime(2026, 11, 29, tzinfo=UTC)


def events(count: int) -> list[Event]:
    return [
        Event(pk=number, type="redemption.pending", created_at=BEGAN + timedelta(seconds=number), actor_kind="worker")
        for number in range(count)
    ]


def deliveries(count: int) -> list[Delivery]:
    return [
        Delivery(pk=number, channel="sms", event="redemption_token", created_at=BEGAN + timedelta(seconds=number))
        for number in range(count)
    ]


@pytest.mark.parametrize(("of_events", "of_deliveries", "is_cut"), [(2, 1, False), (3, 1, True), (4, 0, True)])
def test_note_is_there_where_lines_are_missing(
    of_events: int, of_deliveries: int, is_cut: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(timelines, "MOST", 3)

    section = timelines.timeline(events(of_events), deliveries(of_deliveries))

    assert bool(section.note) == is_cut
    assert len(section.rows) == 3


@pytest.mark.parametrize("newest_first", [False, True])
def test_newest_lines_are_those_that_stay(newest_first: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timelines, "MOST", 2)

    section = timelines.timeline(events(4), newest_first=newest_first)

    times = [str(row[0].text) for row in section.rows]
    assert sorted(times, reverse=newest_first) == times
    assert times[0 if newest_first else -1].endswith(":03")
