"""The steps that most tests of the engine are made of, and what must hold after each refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import F

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa.channels.memory import outbox
from twofa.flows import deliveries, redemptions
from twofa.flows.history import Actor
from twofa.models import ActorKind, Challenge, Delivery, Redemption
from twofa.models.clock import now

STAFF = Actor(ActorKind.STAFF, "maria")


def confirm(shop: factories.Shop, redemption: Redemption, token: object, amount: Decimal | None = None) -> Redemption:
    return redemptions.confirm(redemption.pk, storefront=shop.storefront, token=token, amount=amount, actor=shop.actor)


def resend(shop: factories.Shop, redemption: Redemption, channel: str | None = None) -> Redemption:
    return redemptions.resend(redemption.pk, storefront=shop.storefront, actor=shop.actor, channel=channel)


def cancel(shop: factories.Shop, redemption: Redemption) -> Redemption:
    return redemptions.cancel(redemption.pk, storefront=shop.storefront, actor=shop.actor)


def reject(shop: factories.Shop, redemption: Redemption, times: int) -> None:
    """Type ``times`` wrong tokens."""
    for _ in range(times):
        with pytest.raises(Exception, match="token_invalid|attempts_exhausted"):
            confirm(shop, redemption, factories.wrong_token(redemption.challenge))


def deliver_due() -> None:
    """What workers do: send what is due now."""
    for pk in Delivery.objects.due(now()).order_by("pk").values_list("pk", flat=True):
        deliveries.deliver(pk)


def points(redemption: Redemption) -> tuple[str, str]:
    """Status and points, as they are stored."""
    return Redemption.objects.values_list("status", "points").get(pk=redemption.pk)


def travel(forward: timedelta) -> None:
    """Let time pass, for the database's clock too: every time that is stored moves back instead.

    A digest with a time in it moves with it, where it was that of the row.
    """
    timed = Redemption.objects.filter(scheduled_for__isnull=False)
    approved = [row.pk for row in timed if row.is_as_approved()]
    asked = {
        row.redemption_id
        for row in Challenge.objects.filter(redemption__in=timed).select_related("redemption")
        if row.redemption is not None and bytes(row.transaction_digest) == row.redemption.digest()
    }
    for model in apps.get_app_config("twofa").get_models():
        columns = [field.name for field in model._meta.concrete_fields if isinstance(field, models.DateTimeField)]
        if columns:
            model._base_manager.update(**{column: F(column) - forward for column in columns})
    for row in timed.all():
        digest = row.digest()
        Redemption.objects.filter(pk=row.pk, pk__in=approved).update(approved_digest=digest)
        Challenge.objects.filter(redemption=row.pk, redemption__in=asked).update(transaction_digest=digest)


def stored() -> dict[str, list[dict[str, Any]]]:
    """All rows of all our tables."""
    return {
        model.__name__: [
            {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
            for row in model._base_manager.order_by("pk").values()
        ]
        for model in apps.get_app_config("twofa").get_models()
    }


def everything() -> tuple[Any, ...]:
    """What a refusal may not change: rows, messages sent, calls of the host."""
    return stored(), [message.idempotency_key for message in outbox], list(RecordingBackend.calls)


@contextmanager
def unchanged(*, but: str = "") -> Iterator[None]:
    """The block changes nothing: no row, ``but`` in one table, no message, no call of the host's points."""
    before = everything()
    yield
    after = everything()
    for rows, *_others in (before, after):
        rows.pop(but, None)
    assert after == before


@contextmanager
def refused(*errors: type[Exception]) -> Iterator[pytest.ExceptionInfo[Any]]:
    """The block raises, and changes nothing: no row, no message, no call of the host's points."""
    with unchanged(), pytest.raises(errors) as info:
        yield info


def tamper(row: models.Model, **columns: Any) -> None:
    """Write to a row as somebody with a connection to the database would, past every model."""
    names = ", ".join(f"{column} = %s" for column in columns)
    key = row._meta.pk.get_db_prep_value(row.pk, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {row._meta.db_table} SET {names} WHERE {row._meta.pk.column} = %s", [*columns.values(), key]
        )


def states(redemption: Redemption) -> list[tuple[int, str, str, str]]:
    """Return what became of each message: generation, channel, status, reason."""
    rows = Delivery.objects.filter(challenge=redemption.challenge).order_by("generation")
    return list(rows.values_list("generation", "channel", "status", "reason"))
