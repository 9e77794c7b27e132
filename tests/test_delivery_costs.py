"""What a message costs, as far as anybody knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from tests.letters import row
from tests.test_delivery import NamingChannel
from twofa import delivery
from twofa.channels import Receipt

pytestmark = pytest.mark.django_db  # a campaign's own texts are looked for

PRICES = {
    "sms": {"BACKEND": "tests.test_delivery.NamingChannel", "COST": "0.05"},
    "whatsapp": {"BACKEND": "tests.test_delivery.NamingChannel", "COST": Decimal("0.02")},
    "email": {"BACKEND": "tests.test_delivery.NamingChannel"},
}


@pytest.mark.parametrize(
    ("channel", "text", "cost"),
    [("sms", "", "0.05"), ("sms", "ã" * 100, "0.20"), ("whatsapp", "ã" * 100, "0.02"), ("email", "", None)],
)
@override_settings(TWOFA_CHANNELS=PRICES)
def test_cost_is_that_of_the_list_and_of_an_sms_by_its_segments(
    monkeypatch: pytest.MonkeyPatch, channel: str, text: str, cost: str | None
):
    render = delivery._render_first
    monkeypatch.setattr(delivery, "_render_first", lambda *args, **how: text + render(*args, **how))

    assert delivery.send(row("redemption.token", channel)).cost == (None if cost is None else Decimal(cost))


@override_settings(TWOFA_CHANNELS=PRICES)
def test_message_of_a_test_campaign_costs_nothing_that_is_known():
    assert delivery.send(row("redemption.token", campaign={"test": True})).cost is None


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (Decimal("0.031"), "0.031"),
        (Decimal("0"), "0"),
        (0.031, "0.05"),
        (Decimal("NaN"), "0.05"),
        (Decimal(-1), "0.05"),
    ],
)
@override_settings(TWOFA_CHANNELS=PRICES)
def test_cost_that_the_provider_tells_goes_before_the_list(monkeypatch: pytest.MonkeyPatch, told: Any, cost: str):
    monkeypatch.setattr(NamingChannel, "send", lambda _self, _message: Receipt("id", cost=told))

    assert delivery.send(row("redemption.token")).cost == Decimal(cost)
