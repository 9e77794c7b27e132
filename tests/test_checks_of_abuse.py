"""What the checks say of prices, and of when a range of numbers is paused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.test_checks import EMAIL, found


async def answer_later(_number: str) -> bool:
    return True


PRICED = {"TWOFA_COST_CURRENCY": "BRL"}
BAD_SETTINGS = {
    "E026-float": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": 0.1}}}),
    "E026-text": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": "cheap"}}}),
    "E026-negative": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": "-1"}}}),
    "E026-endless": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": "Infinity"}}}),
    "E026-places": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": "0.0000001"}}}),
    "E026-null": ("twofa.E026", {**PRICED, "TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": None}}}),
    "E027-none": ("twofa.E027", {"TWOFA_CHANNELS": {"sms": {**EMAIL, "COST": "0.05"}}}),
    "E027-name": ("twofa.E027", {"TWOFA_COST_CURRENCY": "reais"}),
    "E027-number": ("twofa.E027", {"TWOFA_COST_CURRENCY": 986}),
    "E038-list": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": [20]}),
    "E038-name": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"send": 20}}),
    "E038-sends": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"sends": 0}}),
    "E038-conversion": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"conversion": 10}}),
    "E038-none": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"conversion": 0}}),
    "E038-yes": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"conversion": True}}),
    "E038-window": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"window": timedelta(hours=25)}}),
    "E039-module": ("twofa.E039", {"TWOFA_NUMBER_CHECK": "no.such.check"}),
    "E039-signature": ("twofa.E039", {"TWOFA_NUMBER_CHECK": lambda: True}),
    "E039-not-callable": ("twofa.E039", {"TWOFA_NUMBER_CHECK": 7}),
    "E039-class": ("twofa.E039", {"TWOFA_NUMBER_CHECK": str}),
    "E039-async": ("twofa.E039", {"TWOFA_NUMBER_CHECK": answer_later}),
    "E038-pause": ("twofa.E038", {"TWOFA_PREFIX_BREAKER": {"pause": 3600}}),
}


@pytest.mark.parametrize(("expected", "settings"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_setting_gives_its_own_id_only(expected: str, settings: dict[str, object]):
    assert found(**settings) == [expected]


@pytest.mark.parametrize("cost", ["0.045", "0", "1.000001", 1, Decimal("0.3")])
def test_good_prices_are_silent(cost):
    assert found(**PRICED, TWOFA_CHANNELS={"sms": {**EMAIL, "COST": cost}, "email": EMAIL}) == []
    assert found(**PRICED) == []


def test_good_check_of_numbers_is_silent():
    assert found(TWOFA_NUMBER_CHECK=lambda number: True) == []
    assert found(TWOFA_NUMBER_CHECK="twofa.contacts.country") == found(TWOFA_NUMBER_CHECK=None) == []


def test_good_breaker_is_silent():
    assert found(TWOFA_PREFIX_BREAKER=None) == []
    breaker = {"sends": 1, "conversion": 1, "window": timedelta(hours=24), "pause": timedelta(days=7)}
    assert found(TWOFA_PREFIX_BREAKER=breaker) == []
