"""A fulfillment backend that records what it is asked, and fails as a test wants it to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from twofa.fulfillment import FulfillmentBackend
from twofa.models import Redemption


class RecordingBackend(FulfillmentBackend):
    """Keeps every call in ``calls``; raises what ``failures`` holds for it, one after another."""

    calls: ClassVar[list[tuple[str, UUID]]] = []
    failures: ClassVar[dict[str, Iterator[BaseException | None]]] = {}

    def reserve(self, redemption: Redemption) -> None:
        self._record("reserve", redemption)

    def complete(self, redemption: Redemption) -> None:
        self._record("complete", redemption)

    def release(self, redemption: Redemption) -> None:
        self._record("release", redemption)

    @classmethod
    def reset(cls) -> None:
        cls.calls.clear()
        cls.failures.clear()

    @classmethod
    def count(cls, name: str) -> int:
        return sum(called == name for called, _pk in cls.calls)

    def _record(self, name: str, redemption: Redemption) -> None:
        self.calls.append((name, redemption.pk))
        failure = next(self.failures.get(name, iter(())), None)
        if failure is not None:
            raise failure


class RemoteBackend(RecordingBackend):
    """The same, beyond the network."""

    remote = True
