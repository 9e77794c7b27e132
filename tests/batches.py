"""The steps that tests of batches are made of."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tests import factories
from twofa.flows import batches
from twofa.models import Redemption, RedemptionBatch


def confirm(
    shop: factories.Shop, batch: RedemptionBatch, token: object, amount: Decimal | None = None
) -> RedemptionBatch:
    return batches.confirm(batch.pk, storefront=shop.storefront, token=token, amount=amount, actor=shop.actor)


def approve(shop: factories.Shop, batch: RedemptionBatch) -> RedemptionBatch:
    """Type the right token."""
    return confirm(shop, batch, factories.token_of(batch.challenge))


def resend(shop: factories.Shop, batch: RedemptionBatch, channel: str | None = None) -> RedemptionBatch:
    return batches.resend(batch.pk, storefront=shop.storefront, actor=shop.actor, channel=channel)


def cancel(shop: factories.Shop, batch: RedemptionBatch) -> RedemptionBatch:
    return batches.cancel(batch.pk, storefront=shop.storefront, actor=shop.actor)


def reject(shop: factories.Shop, batch: RedemptionBatch, times: int) -> None:
    """Type ``times`` wrong tokens."""
    for _ in range(times):
        with pytest.raises(Exception, match="token_invalid|attempts_exhausted"):
            confirm(shop, batch, factories.wrong_token(batch.challenge))


def status(batch: RedemptionBatch) -> str:
    return str(RedemptionBatch.objects.values_list("status", flat=True).get(pk=batch.pk))


def lines(batch: RedemptionBatch) -> Counter[tuple[str, str]]:
    """How many lines have each status and place of their points, as they are stored."""
    return Counter(Redemption.objects.filter(batch=batch).values_list("status", "points"))
