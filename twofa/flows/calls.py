"""Calling the host's backend: whatever it raises, and whatever it does to the transaction that it is called in."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction

from twofa import correlation
from twofa.exceptions import RedemptionRefused, TemporaryFailure, Unavailable
from twofa.fulfillment import get_backend
from twofa.models import Redemption

logger = correlation.get_logger(__name__)

# libpq's PQTRANS_INTRANS: a transaction is open, and sound.
_IN_TRANSACTION = 2
RETRY_AFTER = 5
"""Seconds after which a storefront may ask again, where the host's points did not answer."""


def attempt(method: Callable[[Redemption], None], redemption: Redemption) -> Exception | None:
    """Call the host in a savepoint and return what it raised: its failure must not undo what we write about it."""
    try:
        with transaction.atomic():
            method(redemption)
            ensure_kept()
    except RedemptionRefused as refusal:
        return refusal
    except Exception as error:
        logger.warning("%s of redemption %s failed", method.__name__, redemption.pk, exc_info=True)
        return error
    return None


def reserve(redemption: Redemption) -> None:
    """Set the points aside inside the checkout's transaction. Raises: RedemptionRefused, Unavailable.

    Without a savepoint of its own, because whatever is raised here undoes the whole checkout.
    """
    try:
        get_backend().reserve(redemption)
        ensure_kept()
    except RedemptionRefused:
        raise
    except Exception as error:
        logger.warning("reserve of redemption %s failed", redemption.pk, exc_info=True)
        raise Unavailable(RETRY_AFTER) from error


def ensure_kept() -> None:
    """Raise where the host's work will not be kept: it told Django to roll back, caught an error of the database, lost
    the connection, or ended the transaction by a statement of its own.

    PostgreSQL rolls an aborted transaction back at its commit without a word, and we would call done what is undone.
    Raises: TemporaryFailure.
    """
    driver = getattr(connection.connection, "info", None)
    broken = driver is not None and int(driver.transaction_status) != _IN_TRANSACTION
    if broken or transaction.get_rollback():
        raise TemporaryFailure
