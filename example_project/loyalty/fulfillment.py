"""The fulfillment backend: what the second factor guards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from example_project.loyalty import ledger
from twofa.exceptions import RedemptionRefused
from twofa.fulfillment import FulfillmentBackend

if TYPE_CHECKING:
    from twofa.models import Redemption


class PointsBackend(FulfillmentBackend):
    """Reserves, spends and releases points in the ledger of this database.

    Every call may come more than once: the redemption's id is the ledger's idempotency key.
    """

    def reserve(self, redemption: Redemption) -> None:
        """Set the points aside. Raises: RedemptionRefused where there are not enough."""
        try:
            ledger.reserve(redemption.participant, redemption.amount, reference=redemption.pk)
        except ledger.InsufficientPoints:
            raise RedemptionRefused(
                "insufficient_points", _("The participant does not have that many points.")
            ) from None

    def complete(self, redemption: Redemption) -> None:
        """Spend the points set aside. Raises: RedemptionRefused where there are none, or they were given back."""
        try:
            ledger.spend(reference=redemption.pk)
        except (ledger.NotReserved, ledger.AlreadySettled):
            raise RedemptionRefused("not_reserved", _("The points were not set aside for this redemption.")) from None

    def release(self, redemption: Redemption) -> None:
        """Give the points set aside back."""
        ledger.release(reference=redemption.pk)
