"""A points system beyond the network, which may refuse, fail, or do as it is asked and lose its answer."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.fulfillment import FulfillmentBackend
from twofa.models import Redemption

REFUSED, FAILED, LOST, FINE = "refused", "failed", "lost", "fine"


class Ledger(FulfillmentBackend):
    """Holds what is set aside and what is spent, by redemption; ``script`` is what the next calls come to."""

    remote = True
    held: ClassVar[dict[UUID, Decimal]] = {}
    spent: ClassVar[dict[UUID, Decimal]] = {}
    given_back: ClassVar[set[UUID]] = set()
    script: ClassVar[list[str]] = []

    @classmethod
    def clear(cls, script: list[str]) -> None:
        for kept in (cls.held, cls.spent, cls.given_back):
            kept.clear()
        cls.script[:] = script

    def reserve(self, redemption: Redemption) -> None:
        answer = self._answer()
        if redemption.pk not in self.spent:
            self.held[redemption.pk] = redemption.amount
        self._tell(answer)

    def complete(self, redemption: Redemption) -> None:
        answer = self._answer(may_refuse=redemption.pk not in self.spent)
        assert redemption.pk not in self.given_back, "points that were given back are spent"
        if redemption.pk in self.held:
            self.spent[redemption.pk] = self.held.pop(redemption.pk)
        self._tell(answer)

    def release(self, redemption: Redemption) -> None:
        answer = self._answer(may_refuse=False)
        assert redemption.pk not in self.spent, "points that were spent are given back"
        self.held.pop(redemption.pk, None)
        self.given_back.add(redemption.pk)
        self._tell(answer)

    def _answer(self, *, may_refuse: bool = True) -> str:
        """What this call comes to; one that is refused, or fails, does nothing."""
        answer = self.script.pop(0) if self.script else FINE
        if answer == REFUSED and may_refuse:
            raise RedemptionRefused("no")
        if answer == FAILED:
            raise TemporaryFailure
        return answer

    def _tell(self, answer: str) -> None:
        if answer == LOST:
            raise TemporaryFailure
