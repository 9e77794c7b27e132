"""“It was not me”, said of a batch: the whole of it ends, and so do batches that wait on the same device."""

from __future__ import annotations

import pytest

from tests.batches import approve, confirm, lines, status
from tests.factories import link_of, token_of
from tests.fulfillment import RecordingBackend
from tests.stories import points, refused
from twofa.exceptions import ChallengeClosed
from twofa.flows import denials
from twofa.models import Challenge, Event

pytestmark = pytest.mark.django_db(transaction=True)


def test_whole_batch_is_rejected_and_its_points_are_given_back(shop):
    batch = shop.open_batch()
    token = token_of(batch.challenge)
    case = denials.deny(*link_of(batch.challenge))
    assert (status(batch), lines(batch)) == ("rejected", {("rejected", "released"): 3})
    assert (case.challenge_id, case.too_late) == (batch.challenge.pk, False)
    batch.refresh_from_db()
    assert {batch.failure_code, *batch.redemptions.values_list("failure_code", flat=True)} == {"not_me"}
    assert RecordingBackend.count("release") == 3
    told = Event.objects.filter(type__in=["batch.rejected", "redemption.rejected"])
    assert [event.data["reason"] for event in told] == ["not_me"] * 4
    with refused(ChallengeClosed):
        confirm(shop, batch, token)


def test_batch_that_is_completed_is_not_undone(shop):
    batch = shop.open_batch()
    link = link_of(batch.challenge)
    approve(shop, batch)
    assert denials.deny(*link).too_late
    assert (status(batch), lines(batch)) == ("completed", {("completed", "completed"): 3})


@pytest.mark.parametrize("said_of", ["batch", "redemption"])
def test_what_else_waits_on_the_device_is_cancelled(shop, said_of):
    batch, single, other = shop.open_batch(), shop.open(), shop.open_batch()
    denials.deny(*link_of(batch.challenge if said_of == "batch" else single.challenge))
    ended = "rejected" if said_of == "batch" else "cancelled"
    assert (status(batch), lines(batch)) == (ended, {(ended, "released"): 3})
    assert points(single) == ("cancelled" if said_of == "batch" else "rejected", "released")
    assert (status(other), lines(other)) == ("cancelled", {("cancelled", "released"): 3})
    assert not Challenge.objects.filter(status="pending").exists()
