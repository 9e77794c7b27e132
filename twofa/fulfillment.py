"""What the host's points system must answer: reserve, complete, release.

Calls arrive *at least once*: a worker may die between your commit and ours. Use ``redemption.pk`` as the idempotency
key, so that a repeated call changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofa.conf import conf

if TYPE_CHECKING:
    from twofa.models import Redemption


class FulfillmentBackend:
    """Base class of a host's backend; named in ``TWOFA_FULFILLMENT_BACKEND``, instantiated without arguments.

    Raise :class:`twofa.exceptions.RedemptionRefused` for a permanent no. Anything else that is raised (by convention
    :class:`twofa.exceptions.TemporaryFailure`) means an unknown outcome: it is retried, and points are not released.
    """

    remote: bool = False
    """Whether :meth:`reserve` leaves this database. A remote one is called after the checkout's commit, because a
    network call inside the transaction would hold its locks, and could not be undone by its rollback."""

    def reserve(self, redemption: Redemption) -> None:
        """Set the points aside. A local backend runs inside the checkout's transaction, as its last step."""
        raise TypeError(f"{type(self).__name__} does not implement reserve()")

    def complete(self, redemption: Redemption) -> None:
        """Spend the points set aside. Runs in a transaction (savepoint) of its own."""
        raise TypeError(f"{type(self).__name__} does not implement complete()")

    def release(self, redemption: Redemption) -> None:
        """Give the points set aside back. Runs in a transaction (savepoint) of its own."""
        raise TypeError(f"{type(self).__name__} does not implement release()")


def get_backend() -> FulfillmentBackend:
    """Return the host's backend. Raises: ImproperlyConfigured where none is set."""
    backend: FulfillmentBackend = conf.fulfillment_backend()
    return backend
