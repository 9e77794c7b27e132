"""Workers and sweepers at the same moment: each message once, each completion once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from tests import factories
from tests.factories import token_of
from tests.flows.channels import SETTING, ScriptedChannel
from tests.fulfillment import RecordingBackend
from tests.races.guards import Pause, blind_changes, meet_after, outcomes, unlocked
from tests.stories import cancel, confirm, points, resend, travel
from twofa.channels import DeliveryError
from twofa.channels.memory import outbox
from twofa.flows import completions, deliveries, facts, reservations, sweeps
from twofa.models import Challenge, Delivery, Event, Redemption
from twofa.models.clock import now
from twofa.models.delivery import DeliveryQuerySet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def blind_claims(monkeypatch) -> None:
    """Let every worker take the row, whoever has it."""

    def claim(self, pk, *, at, lease):
        self.filter(pk=pk).update(status="sending", leased_until=at + lease, tries=F("tries") + 1)
        return self.for_sending().get(pk=pk)

    monkeypatch.setattr(DeliveryQuerySet, "claim", claim)


def test_delivery_of_ten_workers_is_sent_once(shop, threads):
    redemption = shop.open()
    pk = Delivery.objects.get().pk
    assert outcomes(threads([lambda: deliveries.deliver(pk)] * 10)) == {"done": 10}
    assert [message.token for message in outbox] == [token_of(redemption.challenge)]
    assert Event.objects.filter(type="delivery.sent").count() == 1
    assert Delivery.objects.get().tries == 1


def test_without_the_guards_it_is_sent_more_than_once(shop, threads, monkeypatch):
    shop.open()
    pk = Delivery.objects.get().pk
    blind_claims(monkeypatch)
    meet_after(monkeypatch, deliveries, "now", 4)
    threads([lambda: deliveries.deliver(pk)] * 4)
    assert len(outbox) > 1
    assert len({message.text for message in outbox}) == 1, "I14 holds even so: one generation, one text"


# --- sweepers ---------------------------------------------------------------------------------------------------------


def prepare(shop, number: int) -> list[Redemption]:
    """Messages to send, completions to make and points to give back, all due."""
    shop.campaign.max_open_challenges = 99
    shop.campaign.save()
    opened = [shop.open() for _ in range(2 * number)]
    RecordingBackend.failures["complete"] = iter([TimeoutError()] * number)
    for redemption in opened[:number]:
        confirm(shop, redemption, token_of(redemption.challenge))
    RecordingBackend.failures["release"] = iter([TimeoutError()] * number)
    for redemption in opened[number:]:
        cancel(shop, redemption)
    travel(timedelta(minutes=1))
    for _ in range(number):
        shop.open()
    RecordingBackend.calls.clear()
    return opened


def test_sweepers_at_once_do_nothing_twice(shop, threads):
    opened = prepare(shop, 6)
    assert outcomes(threads([sweeps.sweep] * 5)) == {"done": 5}
    sweeps.sweep()
    assert {points(redemption) for redemption in opened[:6]} == {("completed", "completed")}
    assert {points(redemption) for redemption in opened[6:]} == {("cancelled", "released")}
    assert (RecordingBackend.count("complete"), RecordingBackend.count("release")) == (6, 6)
    assert len(outbox) == 6


def test_without_the_guards_sweepers_do_things_twice(shop, threads, monkeypatch):
    prepare(shop, 3)
    blind_changes(monkeypatch)
    blind_claims(monkeypatch)
    meet_after(monkeypatch, sweeps, "_free", 3)
    meet_after(monkeypatch, RecordingBackend, "complete", 3)
    threads([unlocked(sweeps.sweep)] * 3)
    assert RecordingBackend.count("complete") > 3
    assert len(outbox) > 3


def test_sweeper_passes_by_what_somebody_holds(shop, threads, monkeypatch):
    """SKIP LOCKED: one slow ledger does not make all sweepers wait in line."""
    held, _released = prepare(shop, 1)
    pause = Pause(monkeypatch, RecordingBackend, "complete", patience=2)
    _done, counts = threads([lambda: completions.complete(held.pk), pause.then(sweeps.sweep)])
    assert counts["driven"] == 1, "the other one"
    assert RecordingBackend.count("complete") == 1


# --- completions ------------------------------------------------------------------------------------------------------


def approved(shop) -> Redemption:
    redemption = shop.open()
    RecordingBackend.failures["complete"] = iter([TimeoutError()])
    confirm(shop, redemption, token_of(redemption.challenge))
    RecordingBackend.calls.clear()
    return redemption


def test_completion_of_ten_workers_happens_once(shop, threads):
    redemption = approved(shop)
    results = threads([lambda: completions.complete(redemption.pk)] * 10)
    assert {result.status for result in results} == {"completed"}
    assert RecordingBackend.calls == [("complete", redemption.pk)]


def test_without_the_guards_completion_happens_more_than_once(shop, threads, monkeypatch):
    redemption = approved(shop)
    blind_changes(monkeypatch)
    meet_after(monkeypatch, RecordingBackend, "complete", 4)
    threads([unlocked(lambda: completions.complete(redemption.pk))] * 4)
    assert RecordingBackend.count("complete") > 1


def test_even_without_locks_one_completion_is_committed(shop, threads, monkeypatch):
    """The second guard: the UPDATE holds only if the row has not moved. The host's work of the losers is undone."""
    redemption = approved(shop)
    meet_after(monkeypatch, RecordingBackend, "complete", 4)
    results = threads([unlocked(lambda: completions.complete(redemption.pk))] * 4)
    # A loser of the last step finds in the end that it is done; one of an earlier step is refused.
    assert outcomes(results).keys() <= {"done", "transition_refused"}
    assert points(redemption) == ("completed", "completed")
    assert Event.objects.filter(type="redemption.completed").count() == 1


def test_points_are_given_back_once(shop, threads, monkeypatch):
    redemption = shop.open()
    RecordingBackend.failures["release"] = iter([TimeoutError()])
    cancel(shop, redemption)
    RecordingBackend.calls.clear()
    threads([lambda: reservations.release(redemption.pk)] * 8)
    assert RecordingBackend.calls == [("release", redemption.pk)]


def test_cancelled_at_once_is_cancelled_once(shop, threads):
    redemption = shop.open()
    results = threads([lambda: cancel(shop, redemption)] * 8)
    assert {result.status for result in results} == {"cancelled"}
    assert RecordingBackend.count("release") == 1
    assert Event.objects.filter(type="redemption.cancelled").count() == 1


# --- renewals ---------------------------------------------------------------------------------------------------------


def test_renewed_at_once_is_renewed_once(shop, threads):
    redemption = shop.open()
    travel(timedelta(seconds=31))
    told = outcomes(threads([lambda: resend(shop, redemption)] * 8))
    assert told == {"done": 1, "resend_cooldown": 7}
    challenge = Challenge.objects.get()
    assert (challenge.generation, challenge.resends) == (2, 1)
    assert Delivery.objects.open().count() == 1


def test_without_the_lock_the_database_itself_refuses_a_second_renewal(shop, threads, monkeypatch):
    redemption = shop.open()
    travel(timedelta(seconds=31))
    meet_after(monkeypatch, facts, "standing", 3)
    told = outcomes(threads([unlocked(lambda: resend(shop, redemption))] * 3))
    assert told["done"] == 1
    assert set(told) - {"done", "resend_cooldown"}, "the losers met a constraint or a guard, not the pause"


def test_renewal_after_a_failed_message_is_free_once(shop, threads):
    redemption = shop.open()
    Delivery.objects.update(status="failed")
    told = outcomes(threads([lambda: resend(shop, redemption)] * 6))
    assert told == {"done": 1, "resend_cooldown": 5}


def test_renewal_during_a_sending_sends_no_dead_token_as_alive(shop, threads, monkeypatch):
    redemption = shop.open()
    travel(timedelta(seconds=31))
    pk = Delivery.objects.get().pk
    pause = Pause(monkeypatch, deliveries.delivery, "send")
    threads([lambda: deliveries.deliver(pk), pause.then(lambda: resend(shop, redemption))])
    assert list(Delivery.objects.order_by("generation").values_list("status", flat=True)) == ["superseded", "queued"]
    assert Challenge.objects.get().expires_at is None, "the clock of the new token has not begun"


# --- failover ---------------------------------------------------------------------------------------------------------


def race_of_failover_and_checkout(threads, monkeypatch, settings, guard):
    """One message left in the participant's budget; a failover and a checkout both want it."""
    settings.TWOFA_CHANNELS = SETTING
    shop = factories.Shop(sends_per_participant_per_day=2)
    factories.device(shop.participant, "email")
    shop.open(channel=None)
    pk = Delivery.objects.get().pk
    ScriptedChannel.follow(DeliveryError("message_refused", retryable=False))
    meet_after(monkeypatch, facts, "budgets", 2)
    threads([guard(lambda: deliveries.deliver(pk)), guard(lambda: shop.open(channel="sms"))])
    return Delivery.objects.filter(participant=shop.participant).count()


def test_failover_and_checkout_share_the_participants_budget(threads, monkeypatch, settings):
    assert race_of_failover_and_checkout(threads, monkeypatch, settings, lambda call: call) == 2


def test_without_the_guards_they_overdraw_it(threads, monkeypatch, settings):
    assert race_of_failover_and_checkout(threads, monkeypatch, settings, unlocked) == 3


def test_lease_that_ended_is_taken_over_by_one_worker(shop, threads):
    shop.open()
    row = Delivery.objects.get()
    Delivery.objects.claim(row.pk, at=now() - timedelta(minutes=1), lease=timedelta(seconds=30))
    Delivery.objects.update(status="sending", leased_until=now() - timedelta(seconds=1))
    threads([lambda: deliveries.deliver(row.pk)] * 8)
    assert len(outbox) == 1
