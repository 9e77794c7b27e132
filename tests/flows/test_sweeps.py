from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm, points, tamper, travel, unchanged
from twofa.channels.memory import outbox
from twofa.flows import completions, deliveries, devices, sweeps
from twofa.models import Challenge, Delivery, IdempotencyRecord, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def test_sweep_sends_what_no_worker_was_told_of(shop):
    """The broker was down when the redemption opened."""
    shop.open()
    counts = sweeps.sweep()
    assert counts["delivered"] == 1
    assert len(outbox) == 1
    with unchanged():
        sweeps.sweep()


def test_sweep_ends_what_is_overdue_and_gives_its_points_back(shop):
    overdue = shop.open()
    travel(timedelta(minutes=20))
    fresh = shop.open()
    travel(timedelta(minutes=10))
    assert sweeps.sweep()["expired"] == 1
    assert points(overdue) == ("expired", "released")
    assert points(fresh) == ("pending_2fa_approval", "reserved")


def test_sweeper_that_was_down_for_a_day_changes_no_decision(shop):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    travel(timedelta(days=1))
    with pytest.raises(Exception, match="challenge_closed"):
        confirm(shop, redemption, token)
    assert points(redemption) == ("expired", "released")


def test_sweep_ends_challenges_of_devices(shop):
    shop.device.delete()
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    )
    travel(timedelta(minutes=30))
    sweeps.sweep()
    assert Challenge.objects.get(pk=registration.challenge.pk).status == "expired"


def test_sweep_forgets_accepted_tokens_after_a_day(shop):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    confirm(shop, redemption, token)
    travel(timedelta(hours=23, minutes=59))
    sweeps.sweep()
    assert confirm(shop, redemption, token).status == "completed"
    travel(timedelta(minutes=1))
    sweeps.sweep()
    assert Challenge.objects.get(redemption=redemption).accepted is None
    with pytest.raises(Exception, match="challenge_closed"):
        confirm(shop, redemption, token)


def test_sweep_deletes_old_idempotency_records(shop):
    record = {"storefront": shop.storefront, "path": "/", "fingerprint": b"x", "kid": "test"}
    IdempotencyRecord.objects.create(**record, key="old", claimed_at=now() - timedelta(hours=24))
    IdempotencyRecord.objects.create(**record, key="new", claimed_at=now() - timedelta(hours=23))
    sweeps.sweep()
    assert [row.key for row in IdempotencyRecord.objects.all()] == ["new"]


def test_sweep_takes_the_oldest_first_and_a_bounded_number(shop):
    shop.campaign.max_open_challenges = 99
    shop.campaign.save()
    opened = [shop.open() for _ in range(4)]
    counts = sweeps.sweep(limit=2)
    assert counts["delivered"] == 2
    sent = Delivery.objects.filter(status="sent").order_by("id").values_list("challenge__redemption_id", flat=True)
    assert list(sent) == [redemption.pk for redemption in opened[:2]]
    sweeps.sweep(limit=2)
    assert len(outbox) == 4


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), Exception("z"), RuntimeError()], ids=repr)
@pytest.mark.parametrize("step", ["expire", "drive", "deliver"])
def test_row_that_fails_stops_no_other(shop, monkeypatch, step, error):
    """One row that nobody foresaw must not keep everybody's messages, points and deadlines waiting."""
    module, name = {
        "expire": (sweeps.challenges, "expire"),
        "drive": (completions, "drive"),
        "deliver": (deliveries, "deliver"),
    }[step]
    work = getattr(module, name)
    poisoned: list[object] = []

    def failing_once(row):
        if not poisoned:
            poisoned.append(row)
            raise error
        work(row)

    if step == "drive":
        RecordingBackend.failures["complete"] = iter([TimeoutError(), TimeoutError()])
    opened = [shop.open() for _ in range(2)]
    if step == "drive":
        for redemption in opened:
            confirm(shop, redemption, token_of(redemption.challenge))
    travel({"expire": timedelta(hours=1), "drive": timedelta(minutes=1), "deliver": timedelta(0)}[step])
    monkeypatch.setattr(module, name, failing_once)
    sweeps.sweep()
    assert len(poisoned) == 1
    if step == "deliver":
        assert len(outbox) == 1
        return
    sweeps.sweep()
    final = ("expired", "released") if step == "expire" else ("completed", "completed")
    assert [points(redemption) for redemption in opened] == [final, final]


def test_row_that_was_broken_by_hand_stops_no_other(shop):
    """Items that are no list: whatever stumbles over them, the others' points come back."""
    broken, sound = shop.open(), shop.open()
    tamper(broken, items='{"a": [1, {"b": null}]}')
    travel(timedelta(hours=1))
    sweeps.sweep()
    sweeps.sweep()
    assert points(sound) == ("expired", "released")
    assert points(broken) == ("expired", "released")


def test_every_pending_redemption_ends_without_anybody(shop, settings):
    """I5, with a host that fails at random, nobody confirming, and no broker at all."""
    RecordingBackend.failures["release"] = iter([TimeoutError(), None, KeyError(), None, None])
    opened = [shop.open() for _ in range(3)]
    for _ in range(6):
        travel(timedelta(minutes=20))
        sweeps.sweep()
    assert {points(redemption) for redemption in opened} == {("expired", "released")}
    assert not Redemption.objects.filter(due_at__isnull=False).exists()
    assert not Delivery.objects.open().exists()


def test_idle_sweep_says_nothing(caplog):
    caplog.clear()
    assert set(sweeps.sweep().values()) == {0}
    assert caplog.records == []


def test_each_sweep_has_one_correlation_id(shop):
    factories.participant(shop.campaign)
    shop.open()
    shop.open()
    travel(timedelta(hours=1))
    sweeps.sweep()
    ids = {
        event.correlation_id
        for event in Challenge.objects.first().events.model.objects.filter(type="challenge.expired")
    }
    assert len(ids) == 1
    assert "" not in ids
