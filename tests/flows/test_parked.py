"""Completions that the machine has given up: what staff may do about them, and what follows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import token_of
from tests.fulfillment import RecordingBackend, RemoteBackend
from tests.stories import STAFF, confirm, points, refused, travel
from twofa.exceptions import TemporaryFailure, WrongState
from twofa.flows import parked_completions, sweeps, turns
from twofa.models import Event, Redemption

pytestmark = pytest.mark.django_db


def fails(call: str, *errors: Exception | None) -> None:
    RecordingBackend.failures[call] = iter(errors)


@pytest.fixture
def parked(shop, settings) -> Redemption:
    """A redemption whose right token was told, and whose only try of completion the host let fail."""
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    redemption: Redemption = shop.open()
    fails("complete", TemporaryFailure())
    assert confirm(shop, redemption, token_of(redemption.challenge)).is_parked
    return redemption


def test_parked_completion_is_tried_again_by_staff(parked):
    assert parked_completions.retry(parked.pk, actor=STAFF, reason="ledger is back").status == "completed"
    event = Event.objects.get(type="redemption.completion_retried")
    assert (event.actor, event.data["reason"]) == ("maria", "ledger is back")


@pytest.mark.parametrize("backend", [RecordingBackend, RemoteBackend], ids=["local", "remote"])
def test_retry_by_staff_never_gives_back_what_an_earlier_call_may_have_spent(shop, parked, settings, backend):
    settings.TWOFA_FULFILLMENT_BACKEND = backend
    settings.TWOFA_COMPLETION_MAX_TRIES = 10
    type(shop.participant).objects.update(is_active=False)
    parked_completions.retry(parked.pk, actor=STAFF, reason="")
    assert points(parked) == ("approved", "reserved")
    assert Redemption.objects.get(pk=parked.pk).parked_at is not None
    assert RecordingBackend.count("release") == 0


def test_retry_by_staff_begins_a_new_row_of_tries(parked, settings):
    settings.TWOFA_COMPLETION_MAX_TRIES = 3
    fails("complete", TimeoutError())
    assert parked_completions.retry(parked.pk, actor=STAFF, reason="").status == "approved"
    assert Redemption.objects.get(pk=parked.pk).parked_at is None
    travel(timedelta(hours=1, minutes=20))
    sweeps.sweep()
    assert points(parked) == ("completed", "completed")


def test_parked_completion_is_failed_by_staff_and_released(parked):
    failed = parked_completions.fail(parked.pk, actor=STAFF, reason="customer gave up")
    assert (failed.status, failed.points, failed.failure_code) == ("failed", "released", "failed_by_staff")
    assert RecordingBackend.count("complete") == 1


def test_release_after_a_parked_completion_begins_a_new_row_of_tries(parked):
    """Else its second try would wait as long as the last of the completion, with the customer's points held."""
    Redemption.objects.filter(pk=parked.pk).update(completion_tries=11)
    fails("release", TimeoutError())
    failed = parked_completions.fail(parked.pk, actor=STAFF, reason="customer gave up")
    assert (failed.status, failed.points, failed.completion_tries) == ("failed", "reserved", 1)
    assert failed.due_at - failed.read_at < turns.FIRST_DELAY * 2
    travel(turns.FIRST_DELAY * 2)
    sweeps.sweep()
    assert points(parked) == ("failed", "released")


def test_staff_touch_nothing_that_is_not_parked(shop):
    redemption = shop.open()
    for act in (parked_completions.retry, parked_completions.fail):
        with refused(WrongState):
            act(redemption.pk, actor=STAFF, reason="")
