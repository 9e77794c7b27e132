"""Lives of batches: together they write every event of a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import batches, factories
from tests.fulfillment import RecordingBackend
from tests.stories import tamper, travel
from twofa.exceptions import RedemptionRefused, TransactionChanged
from twofa.flows import sweeps


def live(settings: Any) -> None:
    """Live them all."""
    shop = factories.Shop(max_open_challenges=9)

    def outcomes(*refusals: Exception | None) -> None:
        RecordingBackend.failures["complete"] = iter(refusals)

    batches.approve(shop, shop.open_batch())
    refused = RedemptionRefused("no_stock")
    outcomes(None, refused)
    batches.approve(shop, shop.open_batch())
    outcomes(refused, RedemptionRefused("closed"), refused)
    batches.approve(shop, shop.open_batch())
    batches.reject(shop, shop.open_batch(), 5)
    batches.cancel(shop, shop.open_batch())
    changed = shop.open_batch()
    tamper(changed.lines[0], amount="1.00")
    with pytest.raises(TransactionChanged):
        batches.approve(shop, changed)
    factories.Shop(two_factor_mode="off").open_batch()
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RemoteBackend"
    RecordingBackend.failures["reserve"] = iter([None, refused])
    with pytest.raises(RedemptionRefused):
        factories.Shop().open_batch()
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RecordingBackend"
    shop.open_batch()
    travel(timedelta(minutes=31))
    sweeps.sweep()
