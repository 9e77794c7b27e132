from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import token_of
from tests.flows.channels import BUSY, REFUSED, SETTING, ScriptedChannel
from tests.stories import cancel, confirm, deliver_due, everything, points, reject, resend, states, travel
from twofa import jobs
from twofa.channels import Receipt
from twofa.channels.memory import outbox
from twofa.flows import deliveries
from twofa.models import Challenge, Delivery, Event
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def scripted(settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow()


def the_row() -> Delivery:
    return Delivery.objects.latest("id")


# --- sent -------------------------------------------------------------------------------------------------------------


def test_message_is_sent_once_and_its_hand_off_recorded(redemption):
    ScriptedChannel.follow(Receipt("provider-7"))
    for _ in range(10):
        deliveries.deliver(the_row().pk)
    row = the_row()
    assert (row.status, row.tries, row.provider_message_id) == ("sent", 1, "provider-7")
    assert ScriptedChannel.calls == len(outbox) == 1
    challenge = Challenge.objects.get(redemption=redemption)
    assert challenge.expires_at == row.sent_at + timedelta(minutes=5)
    event = Event.objects.get(type="delivery.sent")
    assert (event.actor_kind, event.challenge_id, event.redemption_id) == ("worker", challenge.pk, redemption.pk)
    assert (event.delivery_id, event.storefront_id) == (row.pk, redemption.storefront_id)


def test_delivery_that_is_not_there_sends_nothing(redemption):
    before = everything()
    deliveries.deliver(the_row().pk + 1000)
    assert everything() == before


def test_test_campaign_never_reaches_a_provider(settings):
    settings.TWOFA_CHANNELS = {**SETTING, "sms": {"BACKEND": "tests.flows.missing.Channel"}}
    shop = factories.Shop(test=True)
    shop.open()
    deliver_due()
    assert the_row().status == "sent"


# --- not sent ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["cancelled", "approved", "rejected"])
def test_message_of_what_has_ended_is_not_sent(shop, redemption, ending):
    token = token_of(redemption.challenge)
    act = {
        "cancelled": lambda: cancel(shop, redemption),
        "approved": lambda: confirm(shop, redemption, token),
        "rejected": lambda: reject(shop, redemption, 5),
    }
    act[ending]()
    deliver_due()
    # A rejection is told, by a notice without a token.
    assert [message.event for message in outbox] == (["redemption.rejected"] if ending == "rejected" else [])
    assert {message.token for message in outbox} <= {""}
    assert states(redemption)[0][2] == "superseded"


def test_message_of_an_older_generation_is_not_sent(shop, redemption):
    older = the_row()
    travel(timedelta(seconds=31))
    resend(shop, redemption)
    deliveries.deliver(older.pk)
    assert ScriptedChannel.calls == 0
    deliver_due()
    (message,) = outbox
    assert message.token == token_of(redemption.challenge)


@pytest.mark.parametrize("days", [1, 3])
def test_task_that_comes_days_late_sends_nothing(redemption, days):
    """Celery ran expired tasks days later (celery #7918): the row, not the broker, says what may be sent."""
    travel(timedelta(days=days))
    deliveries.deliver(the_row().pk)
    assert ScriptedChannel.calls == 0
    assert states(redemption) == [(1, "sms", "expired", "too_late")]
    assert Event.objects.filter(type="delivery.expired").count() == 1


def test_token_that_would_come_too_late_is_reminted_once(redemption):
    travel(timedelta(minutes=9, seconds=30))
    first = token_of(redemption.challenge)
    deliver_due()
    deliver_due()
    assert states(redemption) == [(1, "sms", "superseded", "reminted"), (2, "sms", "sent", "")]
    (message,) = outbox
    assert message.token == token_of(redemption.challenge) != first
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.resends, challenge.attempts) == (0, 0)


def test_token_is_reminted_no_second_time(redemption):
    travel(timedelta(minutes=9, seconds=30))
    deliver_due()
    travel(timedelta(minutes=9, seconds=30))
    deliver_due()
    assert states(redemption) == [(1, "sms", "superseded", "reminted"), (2, "sms", "expired", "too_late")]
    assert ScriptedChannel.calls == 0


def test_token_is_not_reminted_where_the_deadline_does_not_allow_it(redemption):
    travel(timedelta(minutes=29, seconds=30))
    deliver_due()
    assert states(redemption) == [(1, "sms", "expired", "too_late")]


def test_token_with_a_minute_left_is_sent(redemption):
    travel(timedelta(minutes=8, seconds=50))
    deliver_due()
    challenge = Challenge.objects.get(redemption=redemption)
    assert challenge.expires_at == challenge.issued_at + timedelta(minutes=10)


def test_short_lives_are_sent_too():
    shop = factories.Shop(token_ttl=timedelta(seconds=20))
    redemption = shop.open()
    deliver_due()
    assert states(redemption) == [(1, "sms", "sent", "")]


def test_short_time_to_confirm_is_no_reason_to_send_nothing():
    shop = factories.Shop(redemption_ttl=timedelta(seconds=45))
    redemption = shop.open()
    deliver_due()
    assert states(redemption) == [(1, "sms", "sent", "")]
    assert confirm(shop, redemption, outbox[0].token).status == "completed"


# --- tried again ------------------------------------------------------------------------------------------------------


def test_temporary_error_is_tried_again_with_the_same_text(redemption):
    ScriptedChannel.follow(BUSY, BUSY)
    deliver_due()
    assert states(redemption) == [(1, "sms", "queued", "provider_busy")]
    assert the_row().due_at > now()
    deliver_due()
    assert ScriptedChannel.calls == 1, "not before its time"
    for _ in range(2):
        travel(timedelta(seconds=15))
        deliver_due()
    row = the_row()
    assert (row.status, row.reason, row.tries) == ("sent", "", 3)
    assert outbox[0].token == token_of(redemption.challenge)


@pytest.mark.parametrize("eager", [False, True])
def test_next_try_is_published_for_its_time(redemption, django_capture_on_commit_callbacks, monkeypatch, eager):
    """In eager mode nobody would wait: there it is left to the sweeper."""
    published = []
    monkeypatch.setattr(jobs, "publish", lambda *args, delay: published.append((*args, delay)))
    monkeypatch.setattr(jobs, "is_eager", lambda: eager)
    ScriptedChannel.follow(BUSY)
    with django_capture_on_commit_callbacks(execute=True):
        deliver_due()
    row = the_row()
    assert published == ([] if eager else [(jobs.DELIVER, row.pk, published[0][2])])
    assert eager or timedelta(seconds=4) <= published[0][2] <= timedelta(seconds=5)


def test_tries_are_bounded(redemption):
    ScriptedChannel.follow(*[BUSY] * 10)
    for _ in range(8):
        deliver_due()
        travel(timedelta(seconds=40))
    assert ScriptedChannel.calls == 4
    assert states(redemption) == [(1, "sms", "failed", "provider_busy")]


def test_try_that_would_come_too_late_is_not_made(redemption):
    travel(timedelta(minutes=8, seconds=58))
    ScriptedChannel.follow(BUSY)
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "provider_busy")]


def test_anything_a_channel_raises_is_a_temporary_error(redemption, canary):
    ScriptedChannel.follow(RuntimeError("token 7K2M9Q to +5511999990034"))
    deliver_due()
    assert states(redemption) == [(1, "sms", "queued", "channel_error")]
    assert not Event.objects.filter(data__icontains="7K2M9Q").exists()


def test_permanent_error_fails_at_once_and_is_told(redemption):
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "message_refused")]
    assert Event.objects.get(type="delivery.failed").data["reason"] == "message_refused"
    assert points(redemption) == ("pending_2fa_approval", "reserved")


def test_key_that_left_the_ring_fails_the_message(redemption, settings):
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32))}
    deliver_due()
    assert states(redemption)[0][2] == "failed"
    assert ScriptedChannel.calls == 0


@pytest.mark.parametrize("tries", [1, 2, 3, 4])
def test_pause_grows_with_each_try(tries):
    pause = deliveries._backoff(tries)
    assert timedelta(seconds=4) * 2 ** (tries - 1) <= pause <= timedelta(seconds=5) * 2 ** (tries - 1)


# --- a worker that dies -----------------------------------------------------------------------------------------------


def abandon(row: Delivery) -> None:
    """Claim it as a worker that is killed before it sends, or before it records."""
    assert Delivery.objects.claim(row.pk, at=now(), lease=timedelta(seconds=30)) is not None


def test_message_of_a_dead_worker_is_sent_again_after_its_lease_with_the_same_text(redemption):
    abandon(the_row())
    deliver_due()
    assert ScriptedChannel.calls == 0
    travel(timedelta(seconds=30))
    deliver_due()
    row = the_row()
    assert (row.status, row.tries) == ("sent", 2)
    assert outbox[0].token == token_of(redemption.challenge)


def test_message_that_kills_every_worker_is_given_up(redemption):
    """An OOM or a crash in a driver counts as a try, though nobody lives to say so."""
    for _ in range(4):
        abandon(the_row())
        travel(timedelta(seconds=30))
    deliver_due()
    assert ScriptedChannel.calls == 0
    assert states(redemption) == [(1, "sms", "failed", "lease_lost")]


def test_worker_that_lost_its_lease_records_nothing(redemption, monkeypatch):
    """It was suspended in the middle; another one has sent the same text meanwhile, and its record stands."""
    pk = the_row().pk
    send = deliveries.delivery.send

    def overtaken(row):
        travel(timedelta(seconds=31))
        monkeypatch.setattr(deliveries.delivery, "send", send)
        deliveries.deliver(pk)
        return send(row)

    monkeypatch.setattr(deliveries.delivery, "send", overtaken)
    deliveries.deliver(pk)
    row = the_row()
    assert (row.status, row.tries, row.provider_message_id) == ("sent", 2, "scripted-1")
    assert outbox[0].token == outbox[1].token
    assert outbox[0].idempotency_key == outbox[1].idempotency_key
    assert Event.objects.filter(type="delivery.sent").count() == 1


def test_failure_of_a_worker_that_lost_its_lease_changes_nothing(redemption, monkeypatch):
    pk = the_row().pk
    send = deliveries.delivery.send

    def overtaken(row):
        travel(timedelta(seconds=31))
        monkeypatch.setattr(deliveries.delivery, "send", send)
        deliveries.deliver(pk)
        raise REFUSED

    monkeypatch.setattr(deliveries.delivery, "send", overtaken)
    deliveries.deliver(pk)
    assert states(redemption) == [(1, "sms", "sent", "")]


def test_renewal_between_claim_and_sending_is_harmless(shop, redemption, monkeypatch):
    """The claim is taken, then the generation rotates: the row is superseded under the worker's hands."""
    travel(timedelta(seconds=31))
    pk = the_row().pk
    claim = Delivery.objects.for_sending

    def renewed_meanwhile(*_args):
        monkeypatch.undo()
        resend(shop, redemption)
        return claim()

    monkeypatch.setattr(type(Delivery.objects.all()), "for_sending", renewed_meanwhile)
    deliveries.deliver(pk)
    assert [state for _generation, _channel, state, _reason in states(redemption)] == ["superseded", "queued"]
    assert len(outbox) == 0


def test_confirmation_in_the_middle_of_a_sending_stands(shop, redemption, monkeypatch):
    token = token_of(redemption.challenge)
    send = deliveries.delivery.send

    def confirmed_meanwhile(row):
        receipt = send(row)
        confirm(shop, redemption, token)
        return receipt

    monkeypatch.setattr(deliveries.delivery, "send", confirmed_meanwhile)
    deliveries.deliver(the_row().pk)
    assert points(redemption) == ("completed", "completed")
    assert the_row().status == "sent"
    assert Challenge.objects.get(redemption=redemption).expires_at is None
