from __future__ import annotations

import pytest

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa import exceptions
from twofa.flows import redemptions
from twofa.models import Challenge, Delivery, Event, Redemption

pytestmark = pytest.mark.django_db


def confirm(shop, redemption, token, amount=None):
    return redemptions.confirm(redemption.pk, storefront=shop.storefront, token=token, amount=amount, actor=shop.actor)


def test_right_token_completes_once(shop):
    redemption = shop.open()
    assert redemption.status == "pending_2fa_approval"
    token = factories.token_of(redemption.challenge)

    done = confirm(shop, redemption, token)

    assert (done.status, done.points) == ("completed", "completed")
    assert confirm(shop, redemption, token.lower()).status == "completed"
    assert RecordingBackend.count("complete") == 1


def test_five_wrong_tokens_reject_and_release(shop):
    redemption = shop.open()
    wrong = factories.wrong_token(redemption.challenge)
    for remaining in (4, 3, 2, 1):
        with pytest.raises(exceptions.TokenInvalid) as refused:
            confirm(shop, redemption, wrong)
        assert refused.value.params["attempts_remaining"] == remaining
    with pytest.raises(exceptions.AttemptsExhausted):
        confirm(shop, redemption, wrong)
    row = Redemption.objects.get(pk=redemption.pk)
    assert (row.status, row.points) == ("rejected", "released")
    with pytest.raises(exceptions.ChallengeClosed):
        confirm(shop, redemption, wrong)
    challenge = Challenge.objects.get(pk=row.challenge.pk)
    assert challenge.seed is None
    assert challenge.attempts == 5
    assert RecordingBackend.count("release") == 1


def test_renewal_voids_the_old_token_and_keeps_attempts(shop):
    shop.campaign.resend_cooldown *= 0
    shop.campaign.save()
    redemption = shop.open()
    old = factories.token_of(redemption.challenge)
    with pytest.raises(exceptions.TokenInvalid):
        confirm(shop, redemption, factories.wrong_token(redemption.challenge))
    renewed = redemptions.resend(redemption.pk, storefront=shop.storefront, actor=shop.actor)
    assert renewed.challenge.generation == 2
    with pytest.raises(exceptions.TokenSuperseded) as refused:
        confirm(shop, redemption, old)
    assert refused.value.params["attempts_remaining"] == 3
    assert confirm(shop, redemption, factories.token_of(redemption.challenge)).status == "completed"
    assert Delivery.objects.filter(challenge=redemption.challenge).count() == 2
    assert Event.objects.filter(redemption=redemption, type="challenge.renewed").count() == 1
