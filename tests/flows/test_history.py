from __future__ import annotations

import pytest

from tests.factories import token_of
from tests.stories import confirm, deliver_due
from twofa import correlation, signals
from twofa.exceptions import TwoFactorError
from twofa.flows.history import SIGNALS, WORKER, Actor, Trail
from twofa.models import Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def test_event_points_at_its_rows_and_at_what_they_belong_to(shop):
    redemption = shop.open()
    trail = Trail(Actor.storefront(shop.storefront), now())
    with correlation.bound("abc"):
        trail.add("test.happened", redemption.challenge, number=1)
    trail.write()
    event = Event.objects.get(type="test.happened")
    assert (event.challenge_id, event.redemption_id) == (redemption.challenge.pk, redemption.pk)
    assert (event.storefront_id, event.campaign_id) == (shop.storefront.pk, shop.campaign.pk)
    assert (event.participant_id, event.correlation_id, event.data) == (shop.participant.pk, "abc", {"number": 1})
    assert (event.actor_kind, event.actor) == ("storefront", shop.storefront.name)


def test_trail_is_written_once():
    trail = Trail(WORKER, now())
    trail.write()
    trail.add("test.happened")
    trail.write()
    trail.write()
    assert Event.objects.count() == 1


def test_trail_of_several_actors_is_written_once_and_in_its_order(sql):
    trail = Trail(WORKER, now())
    trail.add("test.first")
    other = trail.by(Actor("provider", "two"))
    other.add("test.second")
    trail.add("test.third")
    with sql() as statements:
        trail.write()
        other.write()
        trail.write()

    assert len(statements) == 1, str(statements)
    assert list(Event.objects.order_by("pk").values_list("type", "actor_kind", "actor")) == [
        ("test.first", "worker", ""),
        ("test.second", "provider", "two"),
        ("test.third", "worker", ""),
    ]


def test_story_is_told_in_events(shop):
    redemption = shop.open()
    deliver_due()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert list(Event.objects.order_by("id").values_list("type", flat=True)[1:]) == [
        "redemption.pending",
        "challenge.issued",
        "delivery.sent",
        "challenge.approved",
        "redemption.approved",
        "redemption.completed",
    ]


def test_signals_are_sent_after_the_commit_with_their_row(shop, django_capture_on_commit_callbacks):
    told = []

    def receiver(**payload):
        told.append(payload)

    signals.redemption_opened.connect(receiver)
    try:
        with django_capture_on_commit_callbacks() as callbacks:
            redemption = shop.open()
        assert told == []
        for callback in callbacks:
            callback()
    finally:
        signals.redemption_opened.disconnect(receiver)
    assert [payload["redemption"].pk for payload in told] == [redemption.pk]


def test_receiver_that_fails_undoes_nothing(shop, django_capture_on_commit_callbacks, caplog):
    def receiver(**_payload):
        raise TwoFactorError.__subclasses__()[0]

    signals.redemption_opened.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            redemption = shop.open()
    finally:
        signals.redemption_opened.disconnect(receiver)
    redemption.refresh_from_db()
    assert redemption.status == "pending_2fa_approval"
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.name == "django.dispatch", "once, and where it happened"
    assert record.exc_info


def test_every_signal_is_sent_by_some_event():
    declared = {value for value in vars(signals).values() if isinstance(value, signals.Signal)}
    assert set(SIGNALS.values()) == declared


def test_actor_of_staff_has_a_name(django_user_model):
    assert Actor.staff(django_user_model(username="maria")) == Actor("staff", "maria")


def test_operator_has_the_name_of_the_system(monkeypatch):
    monkeypatch.setenv("LOGNAME", "maria")
    assert Actor.operator() == Actor("staff", "maria (command line)")
