from __future__ import annotations

import contextlib
import itertools
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend, RemoteBackend
from tests.stories import cancel, confirm, deliver_due, points, reject, tamper, travel
from twofa.channels.memory import outbox
from twofa.exceptions import RedemptionRefused, TemporaryFailure, WrongState
from twofa.flows import completions, reservations, sweeps, turns
from twofa.models import Campaign, Event, Redemption, Storefront

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1, minutes=20)
ERRORS = [
    TemporaryFailure(),
    WrongState(),  # an error of our own tree, from the host's lips
    KeyError("k"),
    IntegrityError("i"),
    RecursionError(),
    OSError(5, "io"),
]
BACKENDS = pytest.mark.parametrize("backend", [RecordingBackend, RemoteBackend], ids=["local", "remote"])


class Vanished(BaseException):
    """What a worker's timeout or a signal raises: no Exception at all."""


def fails(call: str, *errors: Exception | None) -> None:
    RecordingBackend.failures[call] = iter(errors)


def sweep_for(hours: int) -> None:
    for _ in range(hours):
        travel(HOUR)
        sweeps.sweep()


def approved(shop) -> Redemption:
    """A redemption whose right token was told, and whose completion the host let fail once."""
    redemption = shop.open()
    fails("complete", TemporaryFailure())
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "approved"
    return redemption


# --- complete ---------------------------------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_unknown_outcome_is_tried_again_and_completes_once(shop, settings, backend, error):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    redemption = shop.open()
    token = token_of(redemption.challenge)
    fails("complete", error, error)
    assert points(confirm(shop, redemption, token)) == ("approved", "reserved")
    assert confirm(shop, redemption, token).status in ("approved", "completed"), "the verdict stands"
    sweep_for(2)
    assert points(redemption) == ("completed", "completed")
    calls = RecordingBackend.count("complete")
    sweep_for(2)
    assert RecordingBackend.count("complete") == calls == 3
    assert RecordingBackend.count("release") == 0
    assert Event.objects.filter(type="redemption.completed", redemption=redemption).count() == 1


@BACKENDS
def test_permanent_no_fails_and_releases(shop, settings, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    redemption = shop.open()
    fails("complete", RedemptionRefused("insufficient_points"))
    done = confirm(shop, redemption, token_of(redemption.challenge))
    assert (done.status, done.points, done.failure_code) == ("failed", "released", "insufficient_points")
    sweep_for(2)
    assert [name for name, _pk in RecordingBackend.calls] == ["reserve", "complete", "release"]


def test_reason_of_the_host_is_cut_to_its_column(shop):
    redemption = shop.open()
    fails("complete", RedemptionRefused("x" * 5000))
    assert confirm(shop, redemption, token_of(redemption.challenge)).failure_code == "x" * 64


@BACKENDS
def test_completion_that_never_answers_is_parked_and_never_released(shop, settings, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    settings.TWOFA_COMPLETION_MAX_TRIES = 3
    redemption = shop.open()
    RecordingBackend.failures["complete"] = itertools.repeat(TimeoutError())
    confirm(shop, redemption, token_of(redemption.challenge))
    sweep_for(6)
    row = Redemption.objects.get(pk=redemption.pk)
    assert points(redemption) == ("approved", "reserved")
    assert row.parked_at is not None
    assert RecordingBackend.count("complete") == 3
    assert RecordingBackend.count("release") == 0
    assert Event.objects.filter(type="redemption.parked").count() == 1


def test_host_that_vanishes_in_the_middle_is_asked_again(shop):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    fails("complete", Vanished())
    with pytest.raises(Vanished):
        confirm(shop, redemption, token)
    assert points(redemption) == ("approved", "reserved")
    travel(turns.GRACE)
    sweeps.sweep()
    assert points(redemption) == ("completed", "completed")


def test_sweeper_leaves_a_fresh_approval_to_whoever_made_it(shop):
    redemption = shop.open()
    fails("complete", Vanished())
    with pytest.raises(Vanished):
        confirm(shop, redemption, token_of(redemption.challenge))
    sweeps.sweep()
    assert points(redemption) == ("approved", "reserved")


def test_host_that_rolls_back_has_not_completed(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RollingBack
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert points(redemption) == ("approved", "reserved")


def test_what_a_failing_host_wrote_is_undone_and_our_record_of_it_kept(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = WritingThenFailing
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert not Storefront.objects.filter(name="written by the host").exists()
    assert Event.objects.filter(type="redemption.completion_postponed").exists()


def test_host_that_breaks_its_transaction_harms_nobody(shop, settings):
    """An error of the database that the host swallows leaves PostgreSQL's transaction unusable."""
    settings.TWOFA_FULFILLMENT_BACKEND = Swallowing
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert points(redemption) == ("approved", "reserved")
    assert Redemption.objects.get(pk=redemption.pk).completion_tries == 1


@pytest.mark.parametrize("state", ["rejected", "cancelled", "completed"])
def test_completion_of_what_is_not_its_turn_calls_nobody(shop, state):
    redemption = shop.open()
    act = {
        "rejected": lambda: reject(shop, redemption, 5),
        "cancelled": lambda: cancel(shop, redemption),
        "completed": lambda: confirm(shop, redemption, token_of(redemption.challenge)),
    }
    act[state]()
    calls = list(RecordingBackend.calls)
    completions.complete(redemption.pk)
    reservations.release(redemption.pk)
    completions.drive(redemption.pk)
    assert RecordingBackend.calls == calls
    assert points(redemption)[0] == state


def test_pending_redemption_is_neither_completed_nor_released(shop):
    redemption = shop.open()
    for act in (completions.complete, reservations.release, completions.drive):
        act(redemption.pk)
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert RecordingBackend.calls == [("reserve", redemption.pk)]


def approved_for_a_worker(shop):
    """An approved redemption whose points no call has touched yet."""
    Campaign.objects.filter(pk=shop.campaign.pk).update(completion_mode="async")
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert RecordingBackend.count("complete") == 0
    return redemption


def test_row_written_to_after_its_approval_does_not_pass_the_gate(shop):
    redemption = approved_for_a_worker(shop)
    tamper(redemption, amount="15000.00")
    travel(HOUR)
    sweeps.sweep()
    assert points(redemption) == ("failed", "released")
    assert Redemption.objects.get(pk=redemption.pk).failure_code == "transaction_changed"
    assert RecordingBackend.count("complete") == 0
    assert Event.objects.filter(type="redemption.tampered").count() == 1


@pytest.mark.parametrize("switched_off", ["participant", "campaign"])
def test_whoever_is_switched_off_after_the_approval_spends_nothing(shop, switched_off):
    redemption = approved_for_a_worker(shop)
    row = getattr(shop, switched_off)
    type(row).objects.filter(pk=row.pk).update(is_active=False)
    travel(HOUR)
    sweeps.sweep()
    assert points(redemption) == ("failed", "released")
    assert Redemption.objects.get(pk=redemption.pk).failure_code == "not_active"


def test_gate_that_closes_after_an_unknown_outcome_parks(shop):
    """The call that failed may have spent the points: giving them back as well would pay twice."""
    redemption = approved(shop)
    type(shop.participant).objects.filter(pk=shop.participant.pk).update(is_active=False)
    travel(HOUR)
    sweeps.sweep()
    assert points(redemption) == ("approved", "reserved")
    assert Redemption.objects.get(pk=redemption.pk).parked_at is not None
    assert RecordingBackend.count("release") == 0


def test_backend_that_is_missing_leaves_everything_as_it_is(shop, settings):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    settings.TWOFA_FULFILLMENT_BACKEND = None
    with pytest.raises(ImproperlyConfigured):
        confirm(shop, redemption, token)
    assert points(redemption) == ("approved", "reserved")
    settings.TWOFA_FULFILLMENT_BACKEND = RecordingBackend
    sweep_for(1)
    assert points(redemption) == ("completed", "completed")


# --- release ----------------------------------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("error", [*ERRORS, RedemptionRefused("no")], ids=repr)
def test_release_that_fails_is_tried_until_it_succeeds(shop, settings, backend, error):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    redemption = shop.open()
    fails("release", error, error)
    reject(shop, redemption, 5)
    assert points(redemption) == ("rejected", "reserved")
    sweep_for(2)
    assert points(redemption) == ("rejected", "released")
    calls = RecordingBackend.count("release")
    sweep_for(2)
    assert RecordingBackend.count("release") == calls == 3
    assert RecordingBackend.count("complete") == 0


def test_verdict_is_told_even_where_the_release_vanishes(shop):
    redemption = shop.open()
    fails("release", Vanished())
    with pytest.raises(Vanished):
        cancel(shop, redemption)
    assert points(redemption) == ("cancelled", "reserved")
    sweeps.sweep()
    assert points(redemption) == ("cancelled", "released")


@BACKENDS
def test_release_after_a_refused_completion_begins_a_new_row_of_tries(shop, settings, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    redemption = shop.open()
    fails("complete", TemporaryFailure(), TemporaryFailure(), RedemptionRefused("insufficient_points"))
    fails("release", TimeoutError())
    confirm(shop, redemption, token_of(redemption.challenge))
    sweep_for(2)
    row = Redemption.objects.get(pk=redemption.pk)
    assert (row.status, row.points, row.completion_tries) == ("failed", "reserved", 1)
    sweep_for(1)
    assert points(redemption) == ("failed", "released")


# --- a ledger beyond the network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_remote_reserve_is_tried_again_and_then_the_token_is_sent(shop, settings, error):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    fails("reserve", error)
    redemption = shop.open()
    deliver_due()
    assert not list(outbox)
    travel(timedelta(minutes=1))
    sweeps.sweep()
    sweeps.sweep()
    assert points(redemption) == ("pending_2fa_approval", "reserved")
    assert redemption.challenge.deliveries.get().status == "sent"
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"


def test_remote_ledger_that_never_answers_is_asked_to_release_in_the_end(shop, settings):
    """A reserve may have been heard without our hearing of it."""
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    RecordingBackend.failures["reserve"] = itertools.repeat(TimeoutError())
    redemption = shop.open()
    sweep_for(3)
    assert points(redemption) == ("expired", "released")
    assert RecordingBackend.count("release") == 1
    assert not list(outbox)
    assert not redemption.challenge.deliveries.open().exists()


def test_late_refusal_of_a_remote_ledger_ends_the_redemption(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    fails("reserve", TimeoutError(), RedemptionRefused("insufficient_points"))
    redemption = shop.open()
    travel(timedelta(minutes=1))
    sweeps.sweep()
    assert points(redemption) == ("cancelled", "none")
    assert RecordingBackend.count("release") == 0
    assert Event.objects.get(type="challenge.cancelled").data == {"attempts": 0}


def test_exempt_redemption_whose_remote_ledger_refuses_late_fails(settings):
    shop = factories.Shop(two_factor_mode="off")
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    fails("reserve", TimeoutError(), RedemptionRefused("insufficient_points"))
    redemption = shop.open()
    assert points(redemption) == ("approved", "none")
    travel(timedelta(minutes=1))
    sweeps.sweep()
    assert points(redemption) == ("failed", "none")


def test_redemption_whose_process_died_before_the_ledger_was_asked_is_driven_by_the_sweeper(settings):
    shop = factories.Shop(two_factor_mode="off")
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    fails("reserve", Vanished())
    with pytest.raises(Vanished):
        shop.open()
    redemption = Redemption.objects.get()
    assert points(redemption) == ("approved", "none")
    travel(turns.GRACE)
    sweeps.sweep()
    assert points(redemption) == ("completed", "completed")


@pytest.mark.parametrize("tries", range(20))
def test_pause_doubles_up_to_an_hour_with_jitter(tries):
    pause = turns.backoff(tries)
    least = min(timedelta(seconds=10) * 2**tries, timedelta(hours=1))
    assert least <= pause <= least * 1.25


class RollingBack(RecordingBackend):
    def complete(self, redemption: Redemption) -> None:
        super().complete(redemption)
        transaction.set_rollback(True)


class WritingThenFailing(RecordingBackend):
    def complete(self, redemption: Redemption) -> None:
        Storefront.objects.create(name="written by the host")
        raise ConnectionError


class Swallowing(RecordingBackend):
    def complete(self, redemption: Redemption) -> None:
        with contextlib.suppress(IntegrityError):
            Redemption.objects.filter(pk=redemption.pk).update(amount=-1)
