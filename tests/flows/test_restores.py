from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, confirm, deliver_due, points, travel
from twofa.channels.memory import outbox
from twofa.exceptions import TwoFactorError
from twofa.flows import devices, redemptions, restores
from twofa.models import Challenge, Delivery, Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> factories.Shop:
    RecordingBackend.reset()
    return factories.Shop(max_open_challenges=9)


def test_everything_pending_ends_and_its_points_are_given_back(shop):
    waiting, overdue = shop.open(), shop.open()
    token = factories.token_of(waiting.challenge)
    Challenge.objects.filter(pk=overdue.challenge.pk).update(deadline=overdue.challenge.created_at)
    new = devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="bea@example.com", actor=shop.actor
    )

    assert restores.end_pending(actor=STAFF, reason="restored from backup") == (3, 0)

    assert points(waiting) == ("cancelled", "released")
    assert points(overdue) == ("expired", "released")
    new.authorization.refresh_from_db()
    assert new.authorization.status == "cancelled"
    assert not Challenge.objects.filter(seed__isnull=False).exists(), "and no token can be told any more"
    with pytest.raises(TwoFactorError, match="challenge_closed|wrong_state"):
        confirm(shop, waiting, token)


def test_its_messages_are_not_sent_any_more(shop):
    shop.open()
    outbox.clear()

    restores.end_pending(actor=STAFF, reason="restored from backup")
    deliver_due()

    assert list(outbox) == []
    assert not Delivery.objects.open().exists()


def test_who_and_why_stand_in_the_history(shop):
    redemption = shop.open()

    restores.end_pending(actor=STAFF, reason="restored from backup")

    told = Event.objects.get(type="redemption.cancelled", redemption=redemption.pk)
    assert told.data["reason"] == "restored from backup"
    assert told.actor == "maria"
    assert told.correlation_id


def test_reason_stands_in_the_history_of_a_device_too(shop):
    new = devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="bea@example.com", actor=shop.actor
    )

    assert restores.end_pending(actor=STAFF, reason="restored from backup") == (1, 0)

    told = Event.objects.get(type="challenge.cancelled", challenge=new.authorization.pk)
    assert (told.actor, told.data["reason"]) == ("maria", "restored from backup")


def test_what_is_past_its_deadline_is_not_said_to_have_been_ended_for_the_reason(shop):
    new = devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="bea@example.com", actor=shop.actor
    )
    Challenge.objects.filter(pk=new.authorization.pk).update(deadline=new.authorization.created_at)

    assert restores.end_pending(actor=STAFF, reason="restored from backup") == (1, 0)

    assert Event.objects.get(type="challenge.expired", challenge=new.authorization.pk).actor_kind == "worker"
    assert not Event.objects.filter(data__reason="restored from backup").exists()


def test_what_has_ended_stays_as_it_is(shop):
    redemption = shop.open()
    confirm(shop, redemption, factories.token_of(redemption.challenge))
    before = Event.objects.count()

    assert restores.end_pending(actor=STAFF, reason="x") == (0, 0)

    assert points(redemption) == ("completed", "completed")
    assert Event.objects.count() == before


def test_one_that_fails_keeps_no_other_alive(shop, monkeypatch, caplog):
    broken, fine = shop.open(), shop.open()
    cancel = redemptions.cancel_open

    def fail(pk, **kwargs):
        if pk == broken.pk:
            raise RuntimeError("on purpose")
        cancel(pk, **kwargs)

    monkeypatch.setattr(redemptions, "cancel_open", fail)

    assert restores.end_pending(actor=STAFF, reason="x") == (1, 1)

    assert points(fine) == ("cancelled", "released")
    assert str(broken.challenge.pk) in caplog.text
    monkeypatch.undo()
    travel(timedelta(hours=1))
    assert restores.end_pending(actor=STAFF, reason="x") == (1, 0)
    assert points(broken) == ("expired", "released")
