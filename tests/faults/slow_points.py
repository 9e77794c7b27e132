"""The example's ledger behind a slow network: so that a worker can be killed in the middle of a batch."""

from __future__ import annotations

import time

from example_project.loyalty.fulfillment import PointsBackend
from twofa.models import Redemption


class SlowPoints(PointsBackend):
    """Spends points as the example does, a moment later."""

    def complete(self, redemption: Redemption) -> None:
        super().complete(redemption)
        time.sleep(0.03)
