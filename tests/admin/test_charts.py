from __future__ import annotations

import pytest

from twofa.admin import charts


def test_bars_stand_on_the_ground_on_one_scale():
    bars = charts.upright([0, 50, 100], ["a", "b", "c"], most=100)

    assert [(bar.place, bar.x, bar.y, bar.height) for bar in bars] == [
        ("0", "0.10", "40.00", "0.00"),
        ("1", "1.10", "20.00", "20.00"),
        ("2", "2.10", "0.00", "40.00"),
    ]


def test_what_is_not_nothing_is_seen_beside_very_much():
    one, very_many = charts.upright([1, 10**18], ["a", "b"], most=10**18)

    assert float(one.height) == charts.LEAST
    assert float(very_many.height) == charts.HEIGHT


def test_nothing_at_all_has_no_bars():
    assert charts.upright([], [], most=0) == []
    assert {bar.height for bar in charts.upright([0, 0], ["a", "b"], most=0)} == {"0.00"}
    assert charts.Bars("", "", []).width == 1


@pytest.mark.parametrize(
    ("part", "filled"),
    [(None, "0.00"), (0.0, "0.00"), (0.125, "12.50"), (1.0, "100.00"), (7.0, "100.00"), (-1, "0.00")],
)
def test_share_stays_within_its_rail(part: float | None, filled: str):
    assert charts.percent(part) == filled
